//! The deb and the rpm hold the same files, and all that belongs in them. What is in a package that was really built, and what its
//! scripts do, is `packaging/check-packages`' to say.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use proxyd::config::KEYS;
use toml::{Table, Value};

/// Sources, from the repository's root, by where they are installed.
type Installed = BTreeMap<String, String>;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn manifest() -> Table {
    read("daemon/Cargo.toml").parse().unwrap()
}

/// The names in a folder of the repository.
fn names(folder: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(root().join(folder)).unwrap_or_else(|error| panic!("{folder}: {error}"));
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// The files that a source names: one, or those that its only star stands for.
fn files(source: &str) -> Vec<String> {
    let Some((folder, pattern)) = source.rsplit_once('/') else { return vec![source.to_owned()] };
    let Some((start, end)) = pattern.split_once('*') else { return vec![source.to_owned()] };
    let fits = |name: &&String| name.starts_with(start) && name.ends_with(end);
    names(folder).iter().filter(fits).map(|name| format!("{folder}/{name}")).collect()
}

/// What the list under `package.metadata` installs.
fn installed(kind: &str) -> Installed {
    let manifest = manifest();
    let metadata = &manifest["package"]["metadata"][kind];
    let mut installed = Installed::new();
    for asset in metadata["assets"].as_array().unwrap() {
        let text = |key: &str| asset.get(key).and_then(Value::as_str).unwrap().trim_start_matches("../");
        let found = files(text("source"));
        assert!(!found.is_empty(), "{kind}: nothing is named by {}", text("source"));
        for file in found {
            let to = text("dest").trim_start_matches('/').to_owned();
            let name = file.rsplit('/').next().unwrap();
            let to = if to.ends_with('/') { to + name } else { to };
            let program = file.starts_with("target/");
            assert_eq!(text("mode"), if program { "755" } else { "644" }, "{kind}: the mode of {file}");
            assert!(program || root().join(&file).is_file(), "{kind}: {file} is not there");
            assert!(installed.insert(to.clone(), file).is_none(), "{kind}: two files are installed as {to}");
        }
    }
    installed
}

/// Where rpm has a file that Debian has there.
fn of_rpm(debian: &str) -> String {
    match debian {
        "usr/share/doc/proxyd/changelog" => return "usr/share/doc/proxyd/CHANGELOG.md".to_owned(),
        // What Debian's copyright file says stands in a file of its own.
        "usr/share/doc/proxyd/copyright" => return "usr/share/licenses/proxyd/LICENSE".to_owned(),
        _ => {}
    }
    debian
        .replace("usr/share/zsh/vendor-completions/", "usr/share/zsh/site-functions/")
        .replace("usr/share/doc/proxyd/licences/", "usr/share/licenses/proxyd/")
}

#[test]
fn the_deb_and_the_rpm_install_the_same_files_in_the_same_places() {
    let mut deb = installed("deb");
    // cargo deb makes this one by itself, from what `license-file` names.
    deb.insert("usr/share/doc/proxyd/copyright".to_owned(), "LICENSE".to_owned());
    let deb: Installed = deb.into_iter().map(|(to, file)| (of_rpm(&to), file)).collect();
    assert_eq!(deb, installed("generate-rpm"));
}

#[test]
fn every_unit_manual_page_completion_and_example_is_in_the_packages() {
    let installed = installed("deb");
    let packaged: BTreeSet<_> = installed.values().cloned().collect();
    let folders = ["systemd/system", "systemd/sysusers.d", "packaging/systemd/user"];
    let generated = ["packaging/man", "packaging/completions", "packaging/docs"];
    let examples = ["packaging/prometheus", "packaging/grafana"];
    for folder in folders.iter().chain(&generated).chain(&examples) {
        for name in names(folder) {
            assert!(packaged.contains(&format!("{folder}/{name}")), "{folder}/{name} is in no package");
        }
    }
    for (to, file) in &installed {
        if let Some(section) = to.strip_prefix("usr/share/man/man") {
            let section = section.split('/').next().unwrap();
            assert!(file.ends_with(&format!(".{section}")), "{file} is installed as {to}");
        }
    }
}

#[test]
fn the_packages_scripts_know_every_unit_of_the_system() {
    let units = names("systemd/system");
    for script in ["debian/postinst", "debian/prerm", "debian/postrm", "rpm/preun"] {
        let text = read(&format!("packaging/{script}"));
        let word = |text: &str| text.trim_matches(|sign: char| !sign.is_ascii_alphanumeric()).to_owned();
        let named: BTreeSet<_> = text
            .lines()
            .filter(|line| !line.trim_start().starts_with('#'))
            .flat_map(str::split_whitespace)
            .map(|text| word(text.rsplit('=').next().unwrap_or(text)))
            .filter(|word| {
                word.starts_with("proxyd") && (word.ends_with(".service") || word.ends_with(".socket"))
            })
            .collect();
        assert_eq!(named, units, "packaging/{script}");
    }
}

#[test]
fn the_debian_changelog_begins_with_this_version() {
    let changelog = read("packaging/debian/changelog");
    let first = changelog.lines().next().unwrap();
    assert!(first.starts_with(&format!("proxyd ({}-1) ", env!("CARGO_PKG_VERSION"))), "{first}");
}

#[test]
fn the_container_sets_keys_that_exist() {
    let file = read("packaging/Containerfile");
    let variables: Vec<_> = file
        .split_whitespace()
        .filter_map(|word| word.split_once('=')?.0.strip_prefix("PROXYD_"))
        .map(|name| name.to_lowercase().replace("__", "."))
        .collect();
    assert!(!variables.is_empty());
    for name in variables {
        assert!(KEYS.iter().any(|key| key.path == name), "there is no key {name}");
    }
}
