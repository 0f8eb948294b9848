//! Keeps what is generated under `packaging/` (man pages, completions, the annotated configuration, the pages about
//! translation and metrics, the packages' user units) what the command lines, the table of keys, the tables of fields and of
//! metrics and `systemd/user` say. After a change of any of them,
//! `UPDATE_GENERATED=1 cargo test -p proxy-tests --test it -- generated` writes it anew.

#![expect(
    clippy::disallowed_methods,
    reason = "a test that reads one variable and writes files of the source tree"
)]

mod config;
mod man;
mod units;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use clap_complete::Shell;

/// Contents by their paths below `packaging/`.
type Files = BTreeMap<PathBuf, Vec<u8>>;

/// The folders that hold nothing but generated files.
const FOLDERS: &[&str] = &["completions", "man", "systemd/user"];

/// What belongs under `packaging/`.
fn generated() -> Files {
    let mut files = Files::new();
    completions(proxyd::cli::command(), &mut files);
    own_completions(&mut files);
    man::of_command(&proxyctl::cli::command(), "1", &mut files);
    man::of_command(&proxyd::cli::command(), "8", &mut files);
    files.insert("man/proxyd.toml.5".into(), man::of_configuration());
    files.insert("proxyd.toml".into(), proxyd::config::annotated().into_bytes());
    files.insert("docs/metrics.md".into(), proxyd::telemetry::metrics::table::document().into_bytes());
    files.insert("docs/translation.md".into(), proxyd::translate::fields::document().into_bytes());
    units::of_packages(&packaging().join("../systemd/user"), &mut files);
    files
}

/// Those of `proxyctl`, which asks itself and the running daemon when the shell completes.
fn own_completions(files: &mut Files) {
    use proxyctl::cli::Shell;
    for (shell, name) in
        [(Shell::Bash, "proxyctl.bash"), (Shell::Fish, "proxyctl.fish"), (Shell::Zsh, "_proxyctl")]
    {
        let script = proxyctl::completion_script(shell).into_bytes();
        files.insert(Path::new("completions").join(name), script);
    }
}

fn completions(mut command: clap::Command, files: &mut Files) {
    let program = command.get_name().to_owned();
    for (shell, name) in [
        (Shell::Bash, format!("{program}.bash")),
        (Shell::Zsh, format!("_{program}")),
        (Shell::Fish, format!("{program}.fish")),
    ] {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut command, &program, &mut script);
        files.insert(Path::new("completions").join(name), script);
    }
}

/// What lies there already: everything in the folders, and what else is generated.
fn committed(packaging: &Path, expected: &Files) -> Files {
    let entries =
        FOLDERS.iter().flat_map(|folder| fs::read_dir(packaging.join(folder)).into_iter().flatten());
    let lying = entries.map(|entry| entry.unwrap().path());
    let wanted = expected.keys().map(|path| packaging.join(path)).filter(|path| path.exists());
    let relative = |path: &Path| path.strip_prefix(packaging).unwrap().to_owned();
    lying.chain(wanted).map(|path| (relative(&path), fs::read(&path).unwrap())).collect()
}

/// The paths that are missing, stale or left over.
fn differing(expected: &Files, found: &Files) -> Vec<PathBuf> {
    let all = expected.keys().chain(found.keys().filter(|path| !expected.contains_key(*path)));
    all.filter(|path| expected.get(*path) != found.get(*path)).cloned().collect()
}

fn packaging() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging")
}

#[test]
fn packaging_says_what_the_programs_say() {
    let packaging = packaging();
    let expected = generated();
    let found = committed(&packaging, &expected);
    let differing = differing(&expected, &found);
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        for path in differing {
            let target = packaging.join(&path);
            match expected.get(&path) {
                Some(content) => {
                    fs::create_dir_all(target.parent().unwrap()).unwrap();
                    fs::write(target, content).unwrap();
                }
                None => fs::remove_file(target).unwrap(),
            }
        }
        return;
    }
    assert!(
        differing.is_empty(),
        "out of date under packaging/: {differing:?}; run `UPDATE_GENERATED=1 cargo test -p proxy-tests --test it -- generated`"
    );
}

#[test]
fn a_missing_a_stale_and_a_left_over_file_are_found() {
    let files = |list: &[(&str, &str)]| -> Files {
        list.iter().map(|(path, text)| (PathBuf::from(path), text.as_bytes().to_vec())).collect()
    };
    let expected = files(&[("man/a.1", "new"), ("man/b.1", "same"), ("proxyd.toml", "text")]);
    let found = files(&[("man/a.1", "old"), ("man/b.1", "same"), ("man/c.1", "left over")]);
    let wrong: Vec<_> = ["man/a.1", "proxyd.toml", "man/c.1"].map(PathBuf::from).into();
    assert_eq!(differing(&expected, &found), wrong);
}
