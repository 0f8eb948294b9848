//! One edit in each format, and what each of them must leave alone.

use serde_json::{Map, Value, json};

use super::*;

fn item() -> Map<String, Value> {
    let item =
        json!({ "name": "proxyd", "model": "claude-x", "tools": true, "url": "http://127.0.0.1:1/v1" });
    item.as_object().unwrap().clone()
}

/// The text after the edit, which a second one does not change.
fn edited(format: Format, text: &str, changes: &[Change]) -> String {
    let edited = format.edit(text, changes).unwrap().unwrap();
    assert_eq!(format.edit(&edited, changes), Ok(None), "{edited}");
    edited
}

#[test]
fn json_keeps_comments_order_and_commas() {
    let text = "// mine\n{\n  \"z\": 1, // last\n  \"env\": {\n    \"B\": \"old\",\n    \"KEY\": \"x\", // gone\n  },\n  \"a\": [1,  2],\n}\n";
    let changes = [
        change("env.B").set("new"),
        change("env.C").set("c"),
        change("env.KEY").remove(any),
        change("env.NONE").remove(any),
        change("p.q.r").set(true),
    ];
    let edited = edited(Format::Json, text, &changes);
    for kept in [
        "// mine\n{\n  \"z\": 1, // last\n  \"env\": {\n    \"B\": \"new\",\n",
        "\"C\": \"c\"",
        "\"a\": [1,  2],",
    ] {
        assert!(edited.contains(kept), "{edited}");
    }
    assert!(!edited.contains("KEY"), "{edited}");
}

#[test]
fn an_empty_file_of_json_becomes_an_object() {
    for text in ["", "\n", "{}\n"] {
        let edited = edited(Format::Json, text, &[change("a.b").set("c")]);
        assert_eq!(edited, "{\n  \"a\": {\n    \"b\": \"c\"\n  }\n}\n", "{text:?}");
    }
}

#[test]
fn toml_keeps_comments_and_writes_keys_before_tables() {
    let text = "# mine\nmodel = \"gpt\" # why\n\n[tools]\nweb = true\n\n[profiles.x]\n# inside\na = 1\n";
    let changes = [
        change("model").unless(|model| model == "claude", "claude"),
        change("model_provider").set("proxyd"),
        change("model_providers.proxyd.name").set("proxyd"),
        change("model_providers.proxyd.args").set(vec!["a", "b c"]),
    ];
    assert_eq!(
        edited(Format::Toml, text, &changes),
        "# mine\nmodel = \"claude\" # why\nmodel_provider = \"proxyd\"\n\n[tools]\nweb = true\n\n[profiles.x]\n# inside\na = 1\n\n\
         [model_providers.proxyd]\nname = \"proxyd\"\nargs = [\"a\", \"b c\"]\n"
    );
    let inline = "model_providers = { proxyd = { name = \"old\" } }\n";
    let edited = edited(Format::Toml, inline, &[change("model_providers.proxyd.name").set("new")]);
    assert_eq!(edited, "model_providers = { proxyd = { name = \"new\" } }\n");
}

#[test]
fn yaml_keeps_comments_and_gets_entries_where_the_others_are() {
    let text = "# mine\nname: Mine # why\nmodels:\n  - name: other\n    model: x # note\n\n  # about the end\nrules:\n  - one\n";
    let changes = [
        change("name").unless(any, "Yours"),
        change("schema").unless(any, "v1"),
        change("models").item("name", item()),
        change("rules").word("A=", "A=b".to_owned()),
    ];
    let edited = edited(Format::Yaml, text, &changes);
    for kept in
        ["# mine\nname: Mine # why\n", "model: x # note\n", "  # about the end\n", "- one\n", "schema: v1\n"]
    {
        assert!(edited.contains(kept), "{kept:?} is not in\n{edited}");
    }
    let meant: Value = serde_saphyr::from_str(&edited).unwrap();
    assert_eq!(meant["models"][1], Value::Object(item()), "{edited}");
    assert_eq!(meant["rules"], json!(["one", "A=b"]));
}

#[test]
fn an_entry_of_yaml_that_is_there_gets_the_new_values_and_keeps_its_own() {
    let text = "models:\n  - name: proxyd\n    model: old # mine\n    extra: 1\nwords:\n  - A=old\n  - C\n";
    let changes = [change("models").item("name", item()), change("words").word("A=", "A=new".to_owned())];
    let edited = edited(Format::Yaml, text, &changes);
    let meant: Value = serde_saphyr::from_str(&edited).unwrap();
    assert_eq!(meant["models"][0]["extra"], json!(1), "{edited}");
    assert_eq!(meant["models"][0]["url"], json!("http://127.0.0.1:1/v1"), "{edited}");
    assert_eq!(meant["models"][0]["tools"], json!(true), "{edited}");
    assert_eq!((&meant["words"], edited.contains("# mine")), (&json!(["A=new", "C"]), true), "{edited}");
}

#[test]
fn lists_of_yaml_that_are_not_there_are_made() {
    for text in ["", "# mine\n", "---\n# mine\n", "a: b"] {
        let changes = [change("models").item("name", item()), change("words").word("A=", "A=b".to_owned())];
        let edited = edited(Format::Yaml, text, &changes);
        assert!(edited.starts_with(text.trim_end()), "{edited}");
        let meant: Value = serde_saphyr::from_str(&edited).unwrap();
        assert_eq!(
            (&meant["models"][0]["tools"], &meant["words"][0]),
            (&json!(true), &json!("A=b")),
            "{edited}"
        );
    }
    for text in ["", "# mine\n", "- name: other\n  model: x\n"] {
        let edited = edited(Format::Yaml, text, &[change("").item("name", item())]);
        let meant: Value = serde_saphyr::from_str(&edited).unwrap();
        assert_eq!(meant.as_array().unwrap().last().unwrap()["name"], "proxyd", "{edited}");
    }
}

#[test]
fn what_cannot_be_read_is_told_with_line_and_column() {
    for (format, text, told) in [
        (Format::Json, "{\n  \"a\": 1\n  \"b\": 2\n}\n", "line 2, column 9"),
        (Format::Json, "{ a: 1 }", "line 1, column 3"),
        (Format::Toml, "a = 1\nb = = 2\n", "line 2, column 5"),
        (Format::Yaml, "a: 1\nb: [1, 2\n", "line 2, column 4"),
        (Format::Yaml, "a: b: c\n", "line 1, column 5"),
        (Format::Yaml, "a: b\n---\nc: d\n", "line 3, column 1"),
    ] {
        let err = format.edit(text, &[change("x").set("y")]).unwrap_err().to_string();
        assert!(err.starts_with(&format!("{told}: ")) && !err.contains('\n'), "{text:?}: {err}");
        // The reader's own words are for programmers.
        assert!(!err.contains("from_str"), "{err}");
    }
}

#[test]
fn what_is_of_another_form_is_left_alone() {
    let form = |format: Format, text, change| format.edit(text, &[change]).unwrap_err().to_string();
    assert_eq!(
        form(Format::Json, "[1]", change("a").set("b")),
        "the file as a whole is not an object of keys and values"
    );
    assert_eq!(
        form(Format::Json, "{\"a\": 1}", change("a.b").set("c")),
        "a is not an object of keys and values"
    );
    assert_eq!(form(Format::Yaml, "a: 1\n", change("a").item("name", item())), "a is not a list");
    // Of two keys of the same name no edit means what it says.
    assert_eq!(Format::Json.edit("{\"a\": 1, \"a\": 2}", &[change("a").set("3")]), Err(Unfit::Risky));
}

#[test]
fn lines_end_as_they_did_and_a_byte_order_mark_stays() {
    for (format, text) in [
        (Format::Toml, "a = \"x\" # why\r\n\r\n[list]\r\nb = [\r\n  1,\r\n]\r\n"),
        (Format::Toml, "# only\r\n# comments\r\n"),
        (Format::Json, "// mine\r\n{\r\n  \"a\": \"x\",\r\n}\r\n"),
        (Format::Yaml, "a: x # why\r\n# end\r\n"),
    ] {
        let changes = match format {
            Format::Yaml => [change("a").set("b"), change("words").word("A=", "A=b".to_owned())],
            Format::Json | Format::Toml => [change("a").set("b"), change("table.c").set("d")],
        };
        let marked = edited(format, &format!("\u{feff}{text}"), &changes);
        let plain = edited(format, text, &changes);
        assert_eq!(marked, format!("\u{feff}{plain}"));
        assert_eq!(plain.matches('\n').count(), plain.matches("\r\n").count(), "{plain:?}");
        // What is not changed is as it was, down to the byte.
        let kept = text.lines().filter(|line| !line.contains('x')).all(|line| plain.contains(line));
        assert!(kept, "{plain:?}");
    }
}

#[test]
fn a_list_of_yaml_that_is_there_and_empty_gets_its_first_entry_in_its_place() {
    for empty in ["models: []", "models:", "models: [ ] # none yet", "models: null", "models: ~\r"] {
        let text = format!("name: Mine\n{empty}\nschema: v1\n");
        let edited = edited(Format::Yaml, &text, &[change("models").item("name", item())]);
        let meant: Value = serde_saphyr::from_str(&edited).unwrap();
        assert_eq!(meant["models"], json!([item()]), "{edited}");
        assert!(edited.starts_with("name: Mine\nmodels:") && edited.ends_with("schema: v1\n"), "{edited}");
        assert_eq!(edited.contains("# none yet"), empty.contains('#'), "{edited}");
    }
}

#[test]
fn null_where_json_needs_an_object_counts_as_nothing() {
    let edited = edited(Format::Json, "{\"a\": null, \"z\": 1}", &[change("a.b.c").set("d")]);
    let meant: Value = serde_json::from_str(&edited).unwrap();
    assert_eq!(meant, json!({ "a": { "b": { "c": "d" } }, "z": 1 }));
}
