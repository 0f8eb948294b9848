//! Keys over a real directory.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use super::*;
use crate::clock::{ManualClock, SignedDuration};
use crate::store::crash::{self, Crash};

fn clock() -> ManualClock {
    ManualClock::at("2026-11-27T10:00:00Z".parse().unwrap())
}

fn store() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("auth")).unwrap();
    (dir, store)
}

fn named(name: &str) -> NewKey {
    NewKey { name: name.to_owned(), expires_at: None, rules: Rules::default() }
}

#[test]
fn a_key_is_accepted_until_it_is_revoked() {
    let (_dir, store) = store();
    let keys = Keys::load(store, clock().clock()).unwrap();
    assert!(keys.is_empty());
    let (key, text) = keys.create(named("ci")).unwrap();
    assert!(text.expose().starts_with(PREFIX) && text.expose().len() == PREFIX.len() + 43);
    assert!(!keys.is_empty());
    assert_eq!(keys.verify(text.expose()).unwrap().id, key.id);
    for wrong in ["", PREFIX, &text.expose()[1..], &format!("{}x", text.expose()), "sk-ant-api03-x"] {
        assert_eq!(keys.verify(wrong).unwrap_err(), Refusal::Unknown, "{wrong}");
    }
    keys.revoke(&key.id).unwrap();
    assert_eq!(keys.verify(text.expose()).unwrap_err(), Refusal::Unknown);
    assert!(keys.is_empty() && keys.list().is_empty());
    assert!(matches!(keys.revoke(&key.id), Err(RevokeError::Gone)));
}

#[test]
fn every_key_is_another_and_each_is_found() {
    let (_dir, store) = store();
    let keys = Keys::load(store, clock().clock()).unwrap();
    let made: Vec<_> = (0..20).map(|number| keys.create(named(&format!("key-{number}"))).unwrap()).collect();
    for (key, text) in &made {
        assert_eq!(keys.verify(text.expose()).unwrap().id, key.id);
    }
}

#[test]
fn a_restart_keeps_the_keys_and_their_rules_and_the_file_holds_no_key() {
    let (_dir, store) = store();
    let manual = clock();
    let keys = Keys::load(store.clone(), manual.clock()).unwrap();
    let rules = Rules {
        models: vec!["claude-haiku-*".to_owned()],
        rpm: Some(6),
        wait: SignedDuration::from_millis(250),
        concurrency: Some(2),
        ..Rules::default()
    };
    let end = "2027-01-01T00:00:00Z".parse().ok();
    let (key, text) =
        keys.create(NewKey { name: "ci".to_owned(), expires_at: end, rules: rules.clone() }).unwrap();
    let file = store.keys_path();
    let meta = fs::metadata(&file).unwrap();
    assert_eq!((meta.mode() & 0o777, meta.nlink()), (0o600, 1));
    let written = fs::read_to_string(&file).unwrap();
    assert!(!written.contains(&text.expose()[PREFIX.len()..]) && !written.contains(PREFIX), "{written}");

    let again = Keys::load(store.clone(), manual.clock()).unwrap();
    let read = again.verify(text.expose()).unwrap();
    assert_eq!((&read.id, &read.rules, read.expires_at), (&key.id, &rules, end));
    assert!(read.may_use("claude-haiku-4-5") && !read.may_use("claude-opus-4-5"));
    again.revoke(&read.id).unwrap();
    assert!(Keys::load(store, manual.clock()).unwrap().list().is_empty());
}

#[test]
fn an_expired_key_is_told_from_an_unknown_one() {
    let (_dir, store) = store();
    let manual = clock();
    let keys = Keys::load(store, manual.clock()).unwrap();
    let at: Timestamp = "2026-11-27T11:00:00Z".parse().unwrap();
    let (_, text) = keys.create(NewKey { expires_at: Some(at), ..named("ci") }).unwrap();
    manual.advance(SignedDuration::from_nanos(3_599_999_999_999));
    assert!(keys.verify(text.expose()).is_ok() && !keys.is_empty());
    manual.advance(SignedDuration::from_nanos(1));
    let refusal = keys.verify(text.expose()).unwrap_err();
    assert_eq!(refusal, Refusal::Expired { name: "ci".to_owned(), at });
    assert_eq!(refusal.to_string(), "the key ci expired at 2026-11-27T11:00:00Z");
    assert!(keys.is_empty());
}

#[test]
fn a_name_is_taken_once_and_an_end_lies_ahead() {
    let (_dir, store) = store();
    let keys = Keys::load(store, clock().clock()).unwrap();
    let (first, _) = keys.create(named("ci")).unwrap();
    assert!(matches!(keys.create(named("ci")), Err(CreateError::NameTaken(name)) if name == "ci"));
    assert!(matches!(keys.create(named("c i")), Err(CreateError::Unfit(_))));
    let over = NewKey { expires_at: "2026-11-27T10:00:00Z".parse().ok(), ..named("over") };
    assert!(matches!(keys.create(over), Err(CreateError::Unfit(_))));
    let rules = Rules { rpm: Some(0), ..Rules::default() };
    assert!(matches!(keys.create(NewKey { rules, ..named("none") }), Err(CreateError::Unfit(_))));
    keys.revoke(&first.id).unwrap();
    assert!(keys.create(named("ci")).is_ok(), "the name is free again");
}

#[test]
fn there_is_an_end_to_how_many_keys_are_made() {
    let (_dir, store) = store();
    let keys = Keys::load(store, clock().clock()).unwrap();
    let entry = |number: u32| {
        let mut hash = [0; 32];
        hash[..4].copy_from_slice(&number.to_be_bytes());
        let created_at = Timestamp::UNIX_EPOCH;
        let (expires_at, last_used_at, rules) = (None, None, Rules::default());
        let name = format!("key-{number}");
        Entry {
            name,
            hash: KeyHash(hash),
            created_at,
            expires_at,
            last_used_at,
            rules,
            rest: Rest::default(),
        }
    };
    let many = (0..u32::try_from(MOST_KEYS).unwrap() - 1).map(entry);
    let many = many.map(|entry| Arc::new(Key::new(entry, clock().clock()))).collect();
    keys.0.current.store(Arc::new(many));
    let (_, text) = keys.create(named("last")).unwrap();
    assert!(matches!(keys.create(named("one-more")), Err(CreateError::TooMany)));
    assert_eq!(keys.verify(text.expose()).unwrap().name, "last");
}

#[test]
fn a_key_is_found_by_name_id_and_unique_beginning() {
    let (_dir, store) = store();
    let keys = Keys::load(store, clock().clock()).unwrap();
    let (ci, _) = keys.create(named("ci")).unwrap();
    let (long, _) = keys.create(named("ci-nightly")).unwrap();
    for (wanted, id) in
        [("ci", &ci.id), ("ci-", &long.id), (ci.id.as_str(), &ci.id), (&long.id.as_str()[..12], &long.id)]
    {
        assert_eq!(keys.find(wanted).unwrap().id, *id, "{wanted}");
    }
    assert_eq!(keys.find("").unwrap_err(), FindError::None(String::new()));
    assert!(matches!(keys.find("x"), Err(FindError::None(_))));
    let several = keys.find("c").unwrap_err().to_string();
    assert!(several.contains(ci.id.as_str()) && several.contains("(ci-nightly)"), "{several}");
}

#[test]
fn what_cannot_be_read_stops_the_start_and_names_the_file() {
    let (_dir, store) = store();
    let file = store.keys_path();
    let load = || Keys::load(store.clone(), clock().clock());
    let put = |bytes: &str, mode| {
        let mut options = fs::OpenOptions::new();
        let file = options.write(true).create(true).truncate(true).open(&file);
        std::io::Write::write_all(&mut file.unwrap(), bytes.as_bytes()).unwrap();
        fs::set_permissions(store.keys_path(), fs::Permissions::from_mode(mode)).unwrap();
    };
    for bytes in ["", "{", "[]", r#"{"version":2,"keys":[]}"#, r#"{"version":1}"#] {
        put(bytes, 0o600);
        let error = load().unwrap_err();
        assert!(matches!(error, LoadError::Broken { .. }), "{bytes}");
        let text = error.to_string();
        assert!(text.contains(&file.display().to_string()) && text.contains("put back the file"), "{text}");
        assert_eq!(fs::read_to_string(&file).unwrap(), bytes, "it stays as it is");
    }
    put(r#"{"version":1,"keys":[]}"#, 0o644);
    assert!(matches!(load(), Err(LoadError::Unusable { source: Unusable::OpenToOthers { .. }, .. })));
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    assert!(matches!(load(), Err(LoadError::Unusable { source: Unusable::NotAFile, .. })));
}

#[test]
fn the_last_use_is_saved_with_the_next_write() {
    let (_dir, store) = store();
    let manual = clock();
    let keys = Keys::load(store.clone(), manual.clock()).unwrap();
    let (key, _) = keys.create(named("ci")).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let permit = runtime.block_on(key.admit()).unwrap();
    assert_eq!(permit.key().id, key.id);
    keys.create(named("other")).unwrap();
    let again = Keys::load(store, manual.clock()).unwrap();
    assert_eq!(again.find("ci").unwrap().last_used_at(), Some(manual.now()));
    assert_eq!(again.find("other").unwrap().last_used_at(), None);
}

#[test]
fn wherever_a_crash_falls_the_keys_are_the_old_ones_or_the_new_ones() {
    for crash in [Crash::Killed, Crash::PowerCut] {
        for points in 0.. {
            let (_dir, store) = store();
            let keys = Keys::load(store.clone(), clock().clock()).unwrap();
            let (kept, _) = keys.create(named("kept")).unwrap();
            crash::arrange(Some((points, crash)));
            let made = keys.create(named("new"));
            let died = crash::happened();
            crash::arrange(None);
            let again = Keys::load(store.clone(), clock().clock()).unwrap();
            let found = again.list();
            assert_eq!(found[0].id, kept.id, "{points}");
            match made {
                Ok((key, text)) => {
                    assert_eq!(again.verify(text.expose()).unwrap().id, key.id);
                    assert_eq!(keys.list().len(), 2);
                }
                Err(error) => {
                    assert!(matches!(error, CreateError::Save(_)), "{error}");
                    assert_eq!(keys.list().len(), 1, "nobody is told of a key that may be lost");
                    // What is left behind is in nobody's way.
                    keys.create(named("new")).unwrap();
                    assert_eq!(Keys::load(store, clock().clock()).unwrap().list().len(), 2);
                }
            }
            if !died {
                break;
            }
        }
    }
}
