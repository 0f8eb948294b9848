//! The configuration that is in use: which keys are set and where, and what its files say by now. The files are read, and nothing of
//! them is told but the names of keys.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use proxy_proto::v1::ConfigurationKey;
use toml_edit::{DocumentMut, Item, TableLike, Value};

use crate::clients::shell::quoted;
use crate::json::{Finding, Severity};
use crate::text;

const AREA: &str = "configuration";
/// The origin of what nobody has set.
const DEFAULT: &str = "default";
/// So many keys are named, and the rest counted.
const NAMED: usize = 5;
/// Told in one form, whatever that of the file: cannot be compared.
const REWRITTEN: &str = "upstream.proxy_url";
/// Their values are told as the places that they mean, which is how a file says it only where it says the whole path.
const PLACES: [&str; 2] = ["auth.dir", "control.socket"];

/// How many keys are set, and where each comes from.
pub(super) fn set(keys: &[ConfigurationKey]) -> Finding {
    // Of a place, what names each key there: nothing in a file, and the variable or flag elsewhere.
    let mut origins: Vec<(String, Vec<&str>)> = Vec::new();
    for key in keys.iter().filter(|key| key.origin != DEFAULT) {
        let (place, name) = match (file(&key.origin), key.origin.split_once(' ')) {
            (Some(path), _) => (format!("in {path}"), ""),
            (None, Some((kind, name))) => (format!("by {kind}"), name),
            (None, None) => (format!("by {}", key.origin), ""),
        };
        match origins.iter_mut().find(|(known, _)| *known == place) {
            Some((_, names)) => names.push(name),
            None => origins.push((place, vec![name])),
        }
    }
    let total: usize = origins.iter().map(|(_, names)| names.len()).sum();
    let of = keys.len();
    let found = match origins.as_slice() {
        [] => format!("none of {of} keys is set: all are at their defaults"),
        origins => {
            let words: Vec<_> = origins.iter().map(|(place, names)| counted(place, names)).collect();
            let are = if total == 1 { "is" } else { "are" };
            format!("{total} of {of} keys {are} set: {}", words.join(", "))
        }
    };
    Finding::new(AREA, Severity::Ok, found)
}

/// `3 in /etc/c.toml`, `1 by flag --listen`, `2 by environment (PROXYD_A, PROXYD_B)`.
fn counted(place: &str, names: &[&str]) -> String {
    let number = names.len();
    match names {
        ["", ..] | [] => format!("{number} {place}"),
        [one] => format!("{number} {place} {one}"),
        several => format!("{number} {place} ({})", some_of(several)),
    }
}

/// What the files that the daemon has read say now.
pub(super) fn files(keys: &[ConfigurationKey]) -> Vec<Finding> {
    let paths = keys.iter().filter_map(|key| file(&key.origin));
    // Another one is named from where the daemon was started, which is not known.
    let paths: BTreeSet<&str> = paths.filter(|path| Path::new(path).is_absolute()).collect();
    let mut findings = Vec::new();
    for path in paths {
        findings.extend(mode(path));
        match fs::read_to_string(path) {
            Ok(text) => findings.extend(compare(path, &text, keys)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => findings.push(
                Finding::new(
                    AREA,
                    Severity::Note,
                    format!("{path} is gone; what it set is in use until a reload"),
                )
                .mended_by("proxyctl reload"),
            ),
            Err(error) => findings.push(Finding::new(
                AREA,
                Severity::Note,
                format!("{path} is not looked at: this user cannot read it ({error})"),
            )),
        }
    }
    findings
}

/// The path of an origin FILE:LINE:COLUMN.
fn file(origin: &str) -> Option<&str> {
    let (rest, column) = origin.rsplit_once(':')?;
    let (path, line) = rest.rsplit_once(':')?;
    let is_number = |word: &str| word.parse::<u32>().is_ok();
    (is_number(line) && is_number(column)).then_some(path)
}

/// Whoever may write it decides what the daemon does. A group is often one of the user alone.
fn mode(path: &str) -> Option<Finding> {
    let mode = fs::metadata(path).ok()?.mode() & 0o777;
    let found = format!("{path} may be changed by everybody (mode {mode:04o})");
    (mode & 0o002 != 0).then(|| {
        Finding::new(AREA, Severity::Warning, found).mended_by(format!("chmod o-w {}", quoted(path)))
    })
}

/// Where a file and what runs are not the same. What another source beats is not in use either way.
fn compare(path: &str, text: &str, keys: &[ConfigurationKey]) -> Vec<Finding> {
    let Ok(document) = text.parse::<DocumentMut>() else {
        let found = format!("{path} is not TOML any more: it cannot be read anew, and the next start fails");
        return vec![Finding::new(AREA, Severity::Warning, found).mended_by("proxyd check-config")];
    };
    let mut said = BTreeMap::new();
    collect("", document.as_table(), &mut said);
    let differing = |key: &&ConfigurationKey| match said.get(&key.key) {
        None => file(&key.origin) == Some(path),
        Some(value) => (key.origin == DEFAULT || file(&key.origin) == Some(path)) && differs(key, value),
    };
    let (reloaded, restarted): (Vec<_>, Vec<_>) = keys.iter().filter(differing).partition(|key| key.reloads);
    let finding = |keys: Vec<&ConfigurationKey>, command: &str| {
        let found = format!("{path} says something else than what runs: {}", named(&keys));
        (!keys.is_empty()).then(|| Finding::new(AREA, Severity::Note, found).mended_by(command))
    };
    [
        finding(reloaded, "proxyctl reload"),
        finding(restarted, "systemctl restart proxyd # or --user; as it was started"),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn named(keys: &[&ConfigurationKey]) -> String {
    let names: Vec<_> = keys.iter().map(|key| key.key.as_str()).collect();
    some_of(&names)
}

/// The first of them, and how many more there are.
fn some_of(names: &[&str]) -> String {
    match names.split_at_checked(NAMED) {
        Some((first, more @ [_, ..])) => format!("{} and {} more", first.join(", "), more.len()),
        _ => text::listed(names),
    }
}

/// As far as that can be known: a place may be named from somewhere else.
fn differs(key: &ConfigurationKey, value: &str) -> bool {
    let is_whole = !PLACES.contains(&key.key.as_str()) || value.starts_with("\"/");
    is_whole && key.key != REWRITTEN && key.value != value
}

/// Every key below a table, with its value as the daemon would tell it.
fn collect(section: &str, table: &dyn TableLike, said: &mut BTreeMap<String, String>) {
    for (name, item) in table.iter() {
        let path = if section.is_empty() { name.to_owned() } else { format!("{section}.{name}") };
        if let Some(inner) = item.as_table_like() {
            collect(&path, inner, said);
        } else if let Some(value) = told(item) {
            said.insert(path, value);
        }
    }
}

fn told(item: &Item) -> Option<String> {
    match item.as_value()? {
        Value::String(text) => Some(format!("{:?}", text.value())),
        Value::Integer(number) => Some(number.value().to_string()),
        Value::Boolean(value) => Some(value.value().to_string()),
        Value::Array(items) => {
            let texts: Vec<_> = items.iter().map(Value::as_str).collect::<Option<_>>()?;
            Some(format!("{texts:?}"))
        }
        // No key is of these kinds: a reload says so.
        Value::Float(_) | Value::Datetime(_) | Value::InlineTable(_) => Some(String::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(key: &str, value: &str, origin: &str) -> ConfigurationKey {
        ConfigurationKey {
            key: key.to_owned(),
            value: value.to_owned(),
            origin: origin.to_owned(),
            reloads: key != "auth.dir",
            restart_reason: String::new(),
        }
    }

    fn running() -> Vec<ConfigurationKey> {
        vec![
            key("auth.dir", "\"/srv/auth\"", "/etc/c.toml:2:1"),
            key("http.listen", "[\"127.0.0.1:8080\"]", "/etc/c.toml:5:1"),
            key("http.max_waiting", "100", "default"),
            key("log.level", "\"info\"", "/etc/config.d/10.toml:1:1"),
            key("pool.wait", "\"0s\"", "environment PROXYD_POOL__WAIT"),
            key("upstream.proxy_url", "\"http://me:****@p.example\"", "/etc/c.toml:9:1"),
        ]
    }

    #[test]
    fn what_is_set_is_counted_by_where_it_comes_from() {
        let told = "5 of 6 keys are set: 3 in /etc/c.toml, 1 in /etc/config.d/10.toml, 1 by environment PROXYD_POOL__WAIT";
        assert_eq!(set(&running()).found, told);
        let one = [key("log.level", "\"debug\"", "flag --log-level"), key("pool.wait", "\"0s\"", "default")];
        assert_eq!(set(&one).found, "1 of 2 keys is set: 1 by flag --log-level");
        let flags: Vec<_> = ["listen", "auth-dir", "config", "x", "log-level", "log-format", "y"]
            .iter()
            .map(|name| key("log.level", "\"debug\"", &format!("flag --{name}")))
            .collect();
        assert_eq!(set(&flags[..2]).found, "2 of 2 keys are set: 2 by flag (--listen and --auth-dir)");
        assert_eq!(
            set(&flags).found,
            "7 of 7 keys are set: 7 by flag (--listen, --auth-dir, --config, --x, --log-level and 2 more)"
        );
        assert_eq!(set(&one[1..]).found, "none of 1 keys is set: all are at their defaults");
    }

    #[test]
    fn an_origin_is_a_file_only_where_it_names_a_place() {
        assert_eq!(file("/a:b/c.toml:12:3"), Some("/a:b/c.toml"));
        let relative =
            [key("log.level", "\"debug\"", "c.toml:1:1"), key("pool.wait", "\"1s\"", "c.toml:2:1")];
        assert_eq!(set(&relative).found, "2 of 2 keys are set: 2 in c.toml");
        assert_eq!(files(&relative), []);
        for origin in ["default", "environment PROXYD_X__Y", "flag --listen", "/c.toml:1", "/c.toml:1:x"] {
            assert_eq!(file(origin), None, "{origin}");
        }
    }

    #[test]
    fn a_file_that_says_the_same_in_other_words_does_not_differ() {
        let text = "http.listen = [\n  '127.0.0.1:8080', # ours\n]\n[auth]\ndir = \"auth\"\n\
                    [pool]\nwait = \"5s\"\n[upstream]\nproxy_url = \"http://me:FAKE@p.example\"\n";
        assert_eq!(compare("/etc/c.toml", text, &running()), []);
    }

    #[test]
    fn keys_that_came_changed_or_went_are_named_with_what_has_them_read() {
        let text = "[http]\nlisten = [\"127.0.0.1:9090\"]\nmax_waiting = 0x65\n[log]\nlevel = \"trace\"\n";
        let found = compare("/etc/c.toml", text, &running());
        let told: Vec<_> =
            found.iter().map(|finding| (finding.found.as_str(), finding.command.as_deref())).collect();
        assert_eq!(
            told,
            [
                (
                    "/etc/c.toml says something else than what runs: http.listen, http.max_waiting and upstream.proxy_url",
                    Some("proxyctl reload")
                ),
                (
                    "/etc/c.toml says something else than what runs: auth.dir",
                    Some("systemctl restart proxyd # or --user; as it was started")
                ),
            ]
        );
        assert!(found.iter().all(|finding| finding.severity == Severity::Note));
        let broken = compare("/etc/c.toml", "[http\n", &running());
        assert_eq!(
            (broken[0].severity, broken[0].command.as_deref()),
            (Severity::Warning, Some("proxyd check-config"))
        );
    }

    #[test]
    fn a_file_that_is_gone_or_everybodys_is_told() {
        use std::os::unix::fs::PermissionsExt as _;
        let directory = tempfile::TempDir::new().unwrap();
        let path = directory.path().join("c.toml");
        let keys = [key("log.level", "\"info\"", &format!("{}:1:1", path.display()))];
        let gone = files(&keys);
        assert!(gone[0].found.ends_with("is gone; what it set is in use until a reload"), "{gone:?}");
        let mut file = fs::File::create_new(&path).unwrap();
        io::Write::write_all(&mut file, b"log.level = \"info\"\n").unwrap();
        assert_eq!(files(&keys), []);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
        let open = files(&keys);
        assert_eq!((open.len(), open[0].severity), (1, Severity::Warning), "{open:?}");
    }
}
