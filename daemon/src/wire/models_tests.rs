//! Model lists in each dialect's shape.

use super::*;

const PAGE: &str = r#"{"data":[
  {"type":"model","id":"claude-opus-5","display_name":"Opus 5","created_at":"2026-02-19T00:00:00Z","capabilities":{"thinking":{"types":["adaptive"]}},"max_tokens":1.280e5},
  {"type":"model","id":"claude-haiku-4-5","created_at":"1970-01-01T00:00:00Z"},
  {"type":"model","id":"claude-next"}
],"has_more":true,"first_id":"claude-opus-5","last_id":"claude-next"}"#;

fn catalog() -> Catalog {
    let page = Page::parse(PAGE.as_bytes()).unwrap();
    assert!(page.has_more);
    assert_eq!(page.last_id.as_deref(), Some("claude-next"));
    let mut catalog = Catalog::default();
    catalog.extend(page.data.clone());
    catalog.extend(page.data);
    catalog
}

fn ids(list: &[u8]) -> (Vec<String>, bool) {
    let page = Page::parse(list).unwrap();
    (page.data.into_iter().map(|entry| entry.id).collect(), page.has_more)
}

#[test]
fn the_anthropic_list_keeps_every_field_as_it_was_written() {
    let list = String::from_utf8(catalog().anthropic_list(&ListQuery::default()).unwrap()).unwrap();
    assert!(
        list.contains(r#""capabilities":{"thinking":{"types":["adaptive"]}},"max_tokens":1.280e5}"#),
        "{list}"
    );
    assert!(
        list.ends_with(r#""has_more":false,"first_id":"claude-opus-5","last_id":"claude-next"}"#),
        "{list}"
    );
    assert_eq!(ids(list.as_bytes()).0.len(), 3);
}

#[test]
fn pages_follow_limit_and_cursors() {
    let query = |limit, after: Option<&str>, before: Option<&str>| ListQuery {
        limit: Some(limit),
        after_id: after.map(str::to_owned),
        before_id: before.map(str::to_owned),
    };
    let catalog = catalog();
    let page = |query: &ListQuery| {
        let (ids, more) = ids(&catalog.anthropic_list(query).unwrap());
        (ids.join(","), more)
    };
    assert_eq!(page(&query(2, None, None)), ("claude-opus-5,claude-haiku-4-5".to_owned(), true));
    assert_eq!(page(&query(2, Some("claude-haiku-4-5"), None)), ("claude-next".to_owned(), false));
    assert_eq!(page(&query(1, None, Some("claude-next"))), ("claude-haiku-4-5".to_owned(), true));
    assert_eq!(page(&query(9, None, Some("claude-opus-5"))), (String::new(), false));
    assert_eq!(catalog.anthropic_list(&query(0, None, None)).unwrap_err().param.as_deref(), Some("limit"));
    assert_eq!(
        catalog.anthropic_list(&query(1, Some("x"), None)).unwrap_err().param.as_deref(),
        Some("after_id")
    );
    assert!(catalog.anthropic_list(&query(1, Some("claude-next"), Some("claude-next"))).is_err());
}

#[test]
fn an_empty_list_has_null_ids() {
    let list = Catalog::default().anthropic_list(&ListQuery::default()).unwrap();
    assert_eq!(list, br#"{"data":[],"has_more":false,"first_id":null,"last_id":null}"#);
}

#[test]
fn the_openai_shapes_carry_the_date_as_seconds() {
    let catalog = catalog();
    let limits = Limits { input: Some(1_000_000), output: Some(128_000) };
    let model = openai_model(catalog.find("claude-opus-5").unwrap(), limits);
    assert_eq!(
        String::from_utf8(model).unwrap(),
        r#"{"id":"claude-opus-5","object":"model","created":1771459200,"owned_by":"anthropic","display_name":"Opus 5","context_length":1000000,"max_output_tokens":128000}"#
    );
    let list = String::from_utf8(catalog.openai_list(|_| Limits::default())).unwrap();
    assert!(list.starts_with(r#"{"object":"list","data":[{"id":"claude-opus-5""#), "{list}");
    assert!(list.contains(r#""id":"claude-next","object":"model","created":0,"owned_by":"anthropic","display_name":"claude-next"}"#), "{list}");
    assert!(catalog.find("gpt-4").is_none());
}

#[test]
fn dates_are_read_as_the_standard_writes_them() {
    let cases = [
        ("1970-01-01T00:00:00Z", Some(0)),
        ("2000-02-29T12:30:15Z", Some(951_827_415)),
        ("2026-11-23T20:08:32.123456Z", Some(1_795_464_512)),
        ("2026-11-23T22:08:32+02:00", Some(1_795_464_512)),
        ("1969-12-31T23:00:00-01:00", Some(0)),
        ("2026-13-01T00:00:00Z", None),
        ("2026-11-23", None),
        ("2026-11-23T20:08:32", None),
        ("tomorrow", None),
        ("2026-11-23T2\u{e9}:08:32Z", None),
    ];
    for (text, expected) in cases {
        assert_eq!(unix_seconds(text), expected, "{text}");
    }
}

#[test]
fn a_renamed_entry_keeps_all_but_its_name() {
    let catalog = catalog();
    let entry = catalog.find("claude-opus-5").unwrap();
    let renamed = entry.renamed("work/\"best\"");
    assert_eq!((renamed.id.as_str(), renamed.created), ("work/\"best\"", entry.created));
    assert_eq!(renamed.raw().get(), entry.raw().get().replace("\"claude-opus-5\"", r#""work/\"best\"""#));
}

#[test]
fn a_model_that_is_not_listed_is_an_entry_like_any_other() {
    let unlisted = Entry::unlisted("best", "claude-x", Limits { input: None, output: Some(64_000) });
    assert_eq!((unlisted.model.as_str(), unlisted.described.max_output), ("claude-x", Some(64_000)));
    assert_eq!(
        unlisted.raw().get(),
        r#"{"type":"model","id":"best","display_name":"best","created_at":"1970-01-01T00:00:00Z","max_tokens":64000}"#
    );
}

#[test]
fn the_order_is_the_same_whatever_order_upstream_lists_in() {
    let sorted = |entries: &[(&str, &str)]| {
        let entry = |(id, date): &(&str, &str)| format!(r#"{{"id":"{id}","created_at":"{date}"}}"#);
        let page = format!(r#"{{"data":[{}]}}"#, entries.iter().map(entry).collect::<Vec<_>>().join(","));
        let mut catalog = Catalog::default();
        catalog.extend(Page::parse(page.as_bytes()).unwrap().data);
        catalog.sort();
        catalog.entries().iter().map(|entry| entry.id.clone()).collect::<Vec<_>>()
    };
    let [old, new] = ["2025-01-01T00:00:00Z", "2026-01-01T00:00:00Z"];
    let expected = ["c", "a", "b", "undated"];
    assert_eq!(sorted(&[("b", old), ("c", new), ("undated", ""), ("a", old)]), expected);
    assert_eq!(sorted(&[("undated", ""), ("a", old), ("b", old), ("c", new)]), expected);
}
