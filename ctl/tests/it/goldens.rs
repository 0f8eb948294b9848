//! Golden files: what every command prints with `--json` and with `--help`, exactly, under `tests/goldens`. After a change of any of it,
//! `UPDATE_GENERATED=1 cargo test -p proxyctl --test it -- goldens` writes them anew; read the difference, since scripts rely on the JSON.

#![expect(
    clippy::disallowed_methods,
    reason = "a test that reads one variable and writes files of the source tree"
)]

mod cases;
mod samples;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use self::cases::Case;
use super::process::{Done, command, run};

/// Commands whose standard output is not this program's to shape: a shell's script, the bytes of the control socket, another program's.
const WITHOUT_JSON: [&str; 3] = ["completions", "dial-stdio", "run"];
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/goldens");
/// Holds names that are not this program's own: those of a log line.
const FOREIGN: &str = "fields";

/// Contents by the files' names.
type Files = BTreeMap<String, String>;

/// Holds the files of a folder against what the program says now, or writes them.
fn hold(folder: &str, said: &Files) {
    let folder = Path::new(FOLDER).join(folder);
    let found: Files = fs::read_dir(&folder)
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read_to_string(entry.path()).unwrap()))
        .collect();
    let names: BTreeSet<&String> = said.keys().chain(found.keys()).collect();
    let differing: Vec<_> = names.into_iter().filter(|name| said.get(*name) != found.get(*name)).collect();
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        fs::create_dir_all(&folder).unwrap();
        for name in differing {
            match said.get(name) {
                Some(text) => fs::write(folder.join(name), text).unwrap(),
                None => fs::remove_file(folder.join(name)).unwrap(),
            }
        }
        return;
    }
    let told = differing.iter().map(|name| {
        let text = |files: &Files| files.get(*name).cloned().unwrap_or_else(|| "(nothing)\n".to_owned());
        format!("{}\n--- golden\n{}+++ now\n{}", folder.join(name).display(), text(&found), text(said))
    });
    assert!(
        differing.is_empty(),
        "{}\nif that is meant, write it anew: UPDATE_GENERATED=1 cargo test -p proxyctl --test it -- goldens",
        told.collect::<String>()
    );
}

/// Every command by its path, those that hold others, too.
fn commands() -> Vec<(Vec<String>, clap::Command)> {
    let mut all = Vec::new();
    let mut open = vec![(Vec::new(), proxyctl::cli::command())];
    while let Some((path, command)) = open.pop() {
        for inner in command.get_subcommands() {
            open.push(([path.clone(), vec![inner.get_name().to_owned()]].concat(), inner.clone()));
        }
        all.push((path, command));
    }
    all
}

/// The command line, standard output, standard error behind marks, and the exit code.
fn transcript(case: &Case, done: &Done, directory: &Path) -> String {
    let mut text = format!("$ proxyctl {}\n", case.args.join(" "));
    text.push_str(&done.stdout);
    text.extend(done.stderr.lines().map(|line| format!("! {line}\n")));
    let text = format!("{text}[ends with {}]\n", done.code);
    let mut text = text.replace(directory.to_str().unwrap(), "DIRECTORY");
    for field in case.varies {
        text = without(&text, field);
    }
    text
}

/// The text of a field by its name alone: it is another one at each run.
fn without(text: &str, field: &str) -> String {
    let begin = format!("\"{field}\":\"");
    let mut parts = text.split(&begin);
    let first = parts.next().unwrap().to_owned();
    parts.fold(first, |told, part| told + &begin + "VARIES" + part.find('"').map_or("", |end| &part[end..]))
}

fn transcripts() -> Files {
    let said = cases::all().into_iter().map(|case| {
        let (done, directory) = case.run();
        (format!("{}.txt", case.name), transcript(&case, &done, &directory))
    });
    said.collect()
}

#[test]
fn every_document_is_as_it_was() {
    let said = transcripts();
    assert_eq!(said.len(), cases::all().len(), "two cases share a name");
    for (name, text) in &said {
        // Only what a person must know in every mode is no JSON.
        for line in text.lines().filter(|line| !line.starts_with(['$', '!', '['])) {
            let document: Value =
                serde_json::from_str(line).unwrap_or_else(|err| panic!("{name}: {err}: {line}"));
            assert_eq!(document["schema_version"], 1, "{name}");
        }
    }
    hold("json", &said);
}

#[test]
fn every_help_is_as_it_was() {
    let home = tempfile::TempDir::new().unwrap();
    let said = commands().into_iter().map(|(path, _)| {
        let mut command = command(home.path(), path.iter().map(String::as_str).chain(["--help"]));
        command.env("COLUMNS", "80").env("NO_COLOR", "1");
        let done = run(command);
        assert_eq!((done.code, done.stderr.as_str()), (0, ""), "{path:?}");
        let name = [vec!["proxyctl".to_owned()], path].concat().join("-");
        (format!("{name}.txt"), done.stdout)
    });
    hold("help", &said.collect());
}

#[test]
fn every_command_has_a_golden_document() {
    let cases = cases::all();
    let leaves = commands().into_iter().filter(|(_, command)| !command.has_subcommands());
    let has =
        |path: &[String]| cases.iter().any(|case| case.args.windows(path.len()).any(|words| words == path));
    let missing: Vec<_> = leaves
        .map(|(path, _)| path)
        .filter(|path| !WITHOUT_JSON.contains(&path.join(" ").as_str()) && !has(path))
        .collect();
    assert!(missing.is_empty(), "write a case into tests/it/goldens/cases.rs for: {missing:?}");
}

/// The names of everything in a document.
fn names(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                found.insert(name.clone());
                if name != FOREIGN {
                    names(member, found);
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| names(item, found)),
        _ => {}
    }
}

#[test]
fn every_name_in_a_document_stands_in_the_page_for_scripts() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/docs/scripts.md");
    let page = fs::read_to_string(page).unwrap();
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(PathBuf::from(FOLDER).join("json")).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        let lines = text.lines().map(|line| line.trim_start_matches("! "));
        let documents = lines.filter_map(|line| serde_json::from_str::<Value>(line).ok());
        documents.for_each(|document| names(&document, &mut found));
    }
    let told =
        |name: &String| ["\"", "`"].iter().any(|quote| page.contains(&format!("{quote}{name}{quote}")));
    let untold: Vec<_> = found.iter().filter(|name| !told(name)).collect();
    assert!(!found.is_empty() && untold.is_empty(), "packaging/docs/scripts.md lacks {untold:?}");
}
