//! The models that clients see, from what upstream lists and what a person set on the accounts. Pure.
//!
//! A name is listed if a request for it would be served: it is read by the very rules that route requests
//! ([`crate::pool::route`]). Listed are upstream's models, newest first, then the aliases by name, then both again under each
//! prefix: an order that depends neither on the account that upstream answered nor on the order of the accounts.
//! An entry is that of the model the name stands for, under the name. A person's alias is listed even if upstream does not
//! list what it stands for: upstream lists dated names (`claude-opus-4-5-20251101`) and takes short ones, too, and a
//! gateway may list nothing.

use std::collections::BTreeSet;

use crate::account::Settings;
use crate::pool::route::{Serving, Wanted};
use crate::translate::models::{Capabilities, capabilities};
use crate::wire::models::{Catalog, Entry, Limits};

/// `accounts` are the settings of all that may serve, `pool` those of all.
pub(super) fn listing(upstream: &Catalog, accounts: &[&Settings], pool: &[&Settings]) -> Catalog {
    let aliases = |settings: &[&Settings]| -> Vec<String> {
        let aliases = settings.iter().flat_map(|settings| &settings.aliases);
        aliases.map(|entry| entry.alias.clone()).collect::<BTreeSet<_>>().into_iter().collect()
    };
    let models = || upstream.entries().iter().map(|entry| entry.id.clone());
    let mut names: Vec<String> = models().chain(aliases(accounts)).collect();
    let prefixes: BTreeSet<_> = accounts.iter().filter_map(|settings| settings.prefix.as_ref()).collect();
    for prefix in prefixes {
        let its_own = accounts.iter().filter(|settings| settings.prefix.as_ref() == Some(prefix));
        let own = models().chain(aliases(&its_own.copied().collect::<Vec<_>>()));
        names.extend(own.map(|name| format!("{prefix}/{name}")));
    }
    let mut listed = Catalog::default();
    listed.extend(names.iter().filter_map(|name| entry(name, upstream, accounts, pool)));
    listed
}

/// The entry of one name, as the first account that serves it and whose model is known has it.
fn entry(name: &str, upstream: &Catalog, accounts: &[&Settings], pool: &[&Settings]) -> Option<Entry> {
    let wanted = Wanted::read(name, &pool.iter().copied());
    accounts.iter().find_map(|settings| {
        let Serving::As(model) = wanted.by(settings) else { return None };
        Some(match of_model(model, upstream) {
            Some(entry) if entry.id == name => entry.clone(),
            Some(entry) => entry.renamed(name),
            None => Entry::unlisted(name, model, limits_of(capabilities(model))),
        })
    })
}

/// How many tokens an entry's model takes and makes: as upstream says, else as the table knows.
pub(super) fn limits(entry: &Entry) -> Limits {
    limits_of(&capabilities(&entry.model).as_described(&entry.described))
}

const fn limits_of(capabilities: &Capabilities) -> Limits {
    Limits { input: capabilities.max_input, output: capabilities.max_output }
}

/// The entry of the model with this name, or with this name and a date.
pub(super) fn of_model<'a>(model: &str, upstream: &'a Catalog) -> Option<&'a Entry> {
    upstream.find(model).or_else(|| dated(model, upstream))
}

fn dated<'a>(model: &str, upstream: &'a Catalog) -> Option<&'a Entry> {
    let is_date = |text: &str| text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_digit());
    let rest = |entry: &'a Entry| entry.id.strip_prefix(model)?.strip_prefix('-');
    upstream.entries().iter().find(|entry| rest(entry).is_some_and(is_date))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::ModelAlias;
    use crate::wire::models::Page;

    fn upstream() -> Catalog {
        let page = br#"{"data":[{"id":"opus","max_tokens":1.0e5},{"id":"haiku"}]}"#;
        let mut catalog = Catalog::default();
        catalog.extend(Page::parse(page).unwrap().data);
        catalog
    }

    fn alias(alias: &str, model: &str) -> ModelAlias {
        ModelAlias { alias: alias.to_owned(), model: model.to_owned() }
    }

    /// The names listed for a pool all of whose accounts serve.
    fn names(pool: &[Settings]) -> Vec<String> {
        let pool: Vec<_> = pool.iter().collect();
        listing(&upstream(), &pool, &pool).entries().iter().map(|entry| entry.id.clone()).collect()
    }

    #[test]
    fn without_settings_the_list_is_upstreams() {
        assert_eq!(names(&[Settings::default(), Settings::default()]), ["opus", "haiku"]);
    }

    #[test]
    fn what_every_account_excludes_is_left_out() {
        let excluding = |pattern: &str| Settings { excluded: vec![pattern.into()], ..Settings::default() };
        assert_eq!(names(&[excluding("HAI*"), Settings::default()]), ["opus", "haiku"]);
        assert_eq!(names(&[excluding("HAI*"), excluding("*ku")]), ["opus"]);
        assert_eq!(names(&[]), Vec::<String>::new());
    }

    #[test]
    fn aliases_are_listed_whatever_they_stand_for() {
        let own = Settings {
            aliases: vec![alias("best", "opus"), alias("lost", "nowhere")],
            ..Settings::default()
        };
        assert_eq!(names(&[own]), ["opus", "haiku", "best", "lost"]);
        let base_url = Some("https://gateway.example".parse().unwrap());
        let gateway =
            Settings { base_url, aliases: vec![alias("theirs", "vendor/x")], ..Settings::default() };
        assert_eq!(names(&[gateway]), ["opus", "haiku", "theirs"]);
    }

    #[test]
    fn a_short_name_stands_for_the_dated_one() {
        let mut upstream = Catalog::default();
        let page = br#"{"data":[{"id":"opus-4-20250101x"},{"id":"opus-4-20250101","max_tokens":7}]}"#;
        upstream.extend(Page::parse(page).unwrap().data);
        let pool = [&Settings { aliases: vec![alias("best", "opus-4")], ..Settings::default() }];
        let listed = listing(&upstream, &pool, &pool);
        assert_eq!(listed.find("best").unwrap().raw().get(), r#"{"id":"best","max_tokens":7}"#);
    }

    #[test]
    fn prefixed_accounts_are_listed_under_their_prefix_too() {
        let work = Settings {
            prefix: Some("work".into()),
            aliases: vec![alias("best", "opus")],
            excluded: vec!["haiku".into()],
            ..Settings::default()
        };
        let again = Settings { prefix: Some("work".into()), ..Settings::default() };
        assert_eq!(names(std::slice::from_ref(&work)), ["opus", "best", "work/opus", "work/best"]);
        let expected = ["opus", "haiku", "best", "work/opus", "work/haiku", "work/best"];
        assert_eq!(names(&[work.clone(), again.clone()]), expected);
        assert_eq!(names(&[again, work]), expected, "whatever order the accounts have");
    }

    #[test]
    fn a_copy_keeps_every_field_but_the_name() {
        let pool = [&Settings {
            aliases: vec![alias("best", "opus"), alias("haiku", "opus")],
            ..Settings::default()
        }];
        let listed = listing(&upstream(), &pool, &pool);
        assert_eq!(listed.find("best").unwrap().raw().get(), r#"{"id":"best","max_tokens":1.0e5}"#);
        // An alias in the place of a real model describes what is served.
        assert_eq!(listed.find("haiku").unwrap().raw().get(), r#"{"id":"haiku","max_tokens":1.0e5}"#);
    }

    #[test]
    fn an_account_that_may_not_serve_lists_nothing_and_keeps_its_names() {
        let disabled = Settings { aliases: vec![alias("haiku", "opus")], ..Settings::default() };
        let serving = Settings::default();
        let listed = listing(&upstream(), &[&serving], &[&disabled, &serving]);
        assert!(listed.find("haiku").is_none() && listed.find("opus").is_some());
    }

    #[test]
    fn limits_are_upstreams_or_else_the_tables() {
        let of = |entry: &str| limits(&Page::parse_entry(entry.as_bytes()).unwrap());
        let both = of(r#"{"id":"claude-opus-5","max_tokens":7,"max_input_tokens":9}"#);
        assert_eq!(both, Limits { input: Some(9), output: Some(7) });
        let silent = of(r#"{"id":"claude-opus-4-5-20251101"}"#);
        assert_eq!(silent, Limits { input: Some(200_000), output: Some(64_000) });
        assert_eq!(of(r#"{"id":"vendor/x"}"#), Limits::default());
        // Those of the model that an alias stands for.
        let pool = [&Settings { aliases: vec![alias("best", "claude-haiku-4-5")], ..Settings::default() }];
        let listed = listing(&Catalog::default(), &pool, &pool);
        assert_eq!(
            limits(listed.find("best").unwrap()),
            Limits { input: Some(200_000), output: Some(64_000) }
        );
    }
}
