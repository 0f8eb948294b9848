//! The annotated configuration file is read by the daemon's own loader: as it is, and with every key brought
//! to life.

use std::fs;
use std::path::PathBuf;

use proxyd::config::{self, Environment, Flags, KEYS, Loaded, Origin};

use super::packaging;

/// As `proxyd check-config --config FILE` does, on a machine whose directories are known.
fn load(file: PathBuf) -> Loaded {
    let directories = [("STATE_DIRECTORY", "/var/lib/proxyd"), ("RUNTIME_DIRECTORY", "/run/proxyd")];
    let environment: Environment =
        directories.iter().map(|(name, path)| ((*name).to_owned(), (*path).to_owned())).collect();
    let flags = Flags { config: Some(file), ..Flags::default() };
    config::load(&flags, &environment).unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

#[test]
fn the_annotated_file_changes_nothing() {
    let loaded = load(packaging().join("proxyd.toml"));
    for (key, setting) in &loaded.settings {
        assert_eq!(setting.origin, Origin::Default, "{}", key.path);
    }
}

#[test]
fn a_unit_gives_a_stop_the_time_of_a_drain_and_of_a_refresh_after_it() {
    let most = load(packaging().join("proxyd.toml")).config.http.drain + proxyd::claude::oauth::TOKEN_TIMEOUT;
    for kind in ["system", "user"] {
        let unit = packaging().join("../systemd").join(kind).join("proxyd.service");
        let unit = fs::read_to_string(unit).unwrap();
        let seconds = unit.lines().find_map(|line| line.strip_prefix("TimeoutStopSec=")).unwrap();
        assert!(seconds.parse::<u64>().unwrap() > most.as_secs(), "{kind}: {seconds}");
    }
}

#[test]
fn every_key_of_the_annotated_file_can_be_uncommented_and_stands_at_its_default() {
    let text = fs::read_to_string(packaging().join("proxyd.toml")).unwrap();
    let uncomment = |line: &str| match line.strip_prefix('#') {
        Some(key) if !key.starts_with(' ') => format!("{key}\n"),
        _ => format!("{line}\n"),
    };
    let home = tempfile::tempdir().unwrap();
    let (empty, full) = (home.path().join("empty.toml"), home.path().join("full.toml"));
    for (path, text) in [(&empty, String::new()), (&full, text.lines().map(uncomment).collect())] {
        fs::write(path, text).unwrap();
    }
    let (empty, full) = (load(empty), load(full));
    assert_eq!(full.settings.len(), KEYS.len());
    for ((key, default), (_, written)) in empty.settings.iter().zip(&full.settings) {
        assert!(matches!(written.origin, Origin::File { .. }), "{} does not stand in the file", key.path);
        if key.default.is_some() {
            assert_eq!(written.value, default.value, "{}", key.path);
        }
    }
}
