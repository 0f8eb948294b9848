//! The store against a real directory.

use std::os::unix::fs::symlink;

use super::*;
use crate::account::{DocumentError, OAuth};
use crate::clock::Timestamp;
use crate::secret::{AccessToken, RefreshToken};

fn put(dir: &Path, name: &str, json: &str) {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(dir.join(name))
        .unwrap();
    file.write_all(json.as_bytes()).unwrap();
}

fn store() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("auth")).unwrap();
    (dir, store)
}

fn name(name: &str) -> FileName {
    FileName::parse(name).unwrap()
}

fn tokens(access: &str, refresh: &str) -> OAuth {
    OAuth { access: AccessToken::new(access), refresh: Some(RefreshToken::new(refresh)), expires_at: None }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

const ACCOUNT: &str = r#"{"type":"claude","access_token":"a","refresh_token":"r","last_refresh":"2026-01-01T00:00:00Z","email":"x@example.com"}"#;

#[test]
fn a_second_owner_is_refused() {
    let (_dir, store) = store();
    assert!(matches!(Store::open(store.dir()), Err(OpenError::InUse { .. })));
}

#[test]
fn the_directory_is_closed_to_others() {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let _store = Store::open(dir.path()).unwrap();
    assert_eq!(fs::metadata(dir.path()).unwrap().mode() & 0o777, 0o700);
}

#[test]
fn a_directory_that_others_may_write_is_refused_and_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    for mode in [0o770, 0o777, 0o1777, 0o1700] {
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(mode)).unwrap();
        assert!(matches!(Store::open(dir.path()), Err(OpenError::Shared { .. })), "{mode:o}");
        assert_eq!(fs::metadata(dir.path()).unwrap().mode() & 0o7777, mode);
    }
}

#[test]
fn a_path_that_is_no_directory_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "file", "");
    assert!(matches!(Store::open(&dir.path().join("file")), Err(OpenError::Io { .. })));
}

#[test]
fn a_new_file_is_private_and_leaves_no_other_behind() {
    let (_dir, store) = store();
    let document = Document::for_login(&crate::account::Identity::default(), &tokens("a", "r"), None, at(0));
    let file = name("claude-a.json");
    store.create(store.reserve_new().unwrap(), &file, &document).unwrap();
    let meta = fs::metadata(store.path_of(&file)).unwrap();
    assert_eq!(meta.mode() & 0o777, 0o600);
    let mut names: Vec<_> = store.dir().read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, [".lock", "claude-a.json"]);
}

#[test]
fn an_unused_reservation_leaves_nothing() {
    let (_dir, store) = store();
    let reservation = store.reserve_update(&name("claude-a.json")).unwrap();
    assert_eq!(store.dir().read_dir().unwrap().count(), 2);
    drop(reservation);
    assert_eq!(store.dir().read_dir().unwrap().count(), 1);
}

#[test]
fn an_update_keeps_what_a_person_edited_meanwhile() {
    let (_dir, store) = store();
    let file = name("claude-a.json");
    put(store.dir(), file.as_str(), ACCOUNT);
    let reservation = store.reserve_update(&file).unwrap();
    put(store.dir(), file.as_str(), &ACCOUNT.replace("\"type\"", "\"note\":\"mine\",\"type\""));
    store
        .update(reservation, &file, |document| document.set_tokens(&tokens("a2", "r2"), None, at(9)))
        .unwrap();
    let text = fs::read_to_string(store.path_of(&file)).unwrap();
    assert!(text.contains("mine") && text.contains("r2"), "{text}");
}

#[test]
fn a_file_deleted_meanwhile_stays_deleted() {
    let (_dir, store) = store();
    let file = name("claude-a.json");
    put(store.dir(), file.as_str(), ACCOUNT);
    let reservation = store.reserve_update(&file).unwrap();
    fs::remove_file(store.path_of(&file)).unwrap();
    let (error, reservation) = store.update(reservation, &file, |_| ()).unwrap_err();
    assert!(matches!(error, StoreError::Unusable(Unusable::Gone)));
    drop(reservation);
    assert!(!store.path_of(&file).exists());
}

#[test]
fn a_file_deleted_while_its_rewrite_is_written_stays_deleted() {
    let (_dir, store) = store();
    let file = name("claude-a.json");
    put(store.dir(), file.as_str(), ACCOUNT);
    let reservation = store.reserve_update(&file).unwrap();
    let (error, reservation) =
        store.update(reservation, &file, |_| fs::remove_file(store.path_of(&file)).unwrap()).unwrap_err();
    assert!(matches!(error, StoreError::Unusable(Unusable::Gone)), "{error:?}");
    drop(reservation);
    assert_eq!(store.dir().read_dir().unwrap().count(), 1, "only the lock is left");
}

#[test]
fn a_scan_names_every_reason_and_changes_nothing() {
    let (dir, store) = store();
    put(store.dir(), "claude-good.json", ACCOUNT);
    put(store.dir(), "claude-broken.json", "{\n  \"type\": ");
    put(store.dir(), "gemini.json", r#"{"type":"gemini"}"#);
    put(store.dir(), "claude-open.json", &ACCOUNT.replace("x@", "open@"));
    fs::set_permissions(store.dir().join("claude-open.json"), fs::Permissions::from_mode(0o644)).unwrap();
    put(dir.path(), "elsewhere.json", ACCOUNT);
    symlink(dir.path().join("elsewhere.json"), store.dir().join("claude-link.json")).unwrap();
    fs::hard_link(dir.path().join("elsewhere.json"), store.dir().join("claude-hard.json")).unwrap();
    fs::create_dir(store.dir().join("claude-dir.json")).unwrap();
    nix::unistd::mkfifo(&store.dir().join("claude-pipe.json"), nix::sys::stat::Mode::S_IRUSR).unwrap();
    put(store.dir(), "notes.txt", "not an account");

    let scan = store.scan().unwrap();
    let reason = |file: &str| scan.files.get(&name(file)).unwrap().as_ref().unwrap_err();
    assert!(scan.files.get(&name("claude-good.json")).unwrap().is_ok());
    assert!(matches!(reason("claude-broken.json"), Unusable::Broken(DocumentError::Syntax { line: 2, .. })));
    assert!(matches!(reason("gemini.json"), Unusable::Broken(DocumentError::OtherProvider)));
    assert!(matches!(reason("claude-open.json"), Unusable::OpenToOthers { mode: 0o644 }));
    assert!(matches!(reason("claude-link.json"), Unusable::Link));
    assert!(matches!(reason("claude-hard.json"), Unusable::HardLinked { count: 2 }));
    assert!(matches!(reason("claude-dir.json"), Unusable::NotAFile));
    assert!(matches!(reason("claude-pipe.json"), Unusable::NotAFile));
    assert_eq!(scan.files.len(), 8);
}

#[test]
fn a_newer_orphan_is_adopted_by_the_next_start() {
    let (_dir, store) = store();
    put(store.dir(), "claude-a.json", ACCOUNT);
    put(
        store.dir(),
        ".update-1.claude-a.json",
        &ACCOUNT.replace("2026-01-01", "2026-02-01").replace("\"r\"", "\"r2\""),
    );
    let reserved = "\0".repeat(100);
    put(store.dir(), ".create-2.json", &(ACCOUNT.replace("x@", "new@") + &reserved));
    assert_eq!(store.recover().unwrap().len(), 2);
    let scan = store.scan().unwrap();
    assert_eq!(scan.files.values().filter(|finding| finding.is_ok()).count(), 2);
    let adopted = scan.files.get(&name("claude-a.json")).unwrap().as_ref().unwrap();
    assert_eq!(adopted.account.oauth().unwrap().refresh, Some(RefreshToken::new("r2")));
}

#[test]
fn an_orphan_that_is_older_cut_off_or_deleted_by_its_owner_is_removed() {
    let (_dir, store) = store();
    put(store.dir(), "claude-a.json", ACCOUNT);
    put(store.dir(), ".update-1.claude-a.json", &ACCOUNT.replace("2026-01-01", "2025-02-01"));
    put(store.dir(), ".update-2.claude-a.json", &ACCOUNT[..40]);
    put(store.dir(), ".update-3.claude-gone.json", &ACCOUNT.replace("2026-01-01", "2026-02-01"));
    put(store.dir(), ".create-4.json", "{\"type\":\"claude\"\0\0\0\0");
    assert_eq!(store.recover().unwrap(), []);
    assert_eq!(store.dir().read_dir().unwrap().count(), 2);
}

#[test]
fn a_file_that_is_being_saved_never_seems_to_be_gone() {
    let (_home, store) = store();
    let file = name("claude-a.json");
    put(store.dir(), "claude-a.json", r#"{"access_token":"a","refresh_token":"r"}"#);
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0..400 {
                let reservation = store.reserve_update(&file).unwrap();
                store.update(reservation, &file, |document| document.set_disabled(n % 2 == 0)).unwrap();
            }
            done.store(true, std::sync::atomic::Ordering::SeqCst);
        });
        while !done.load(std::sync::atomic::Ordering::SeqCst) {
            let scan = store.scan().unwrap();
            assert!(matches!(scan.files.get(&file), Some(Ok(_))), "{:?}", scan.files);
        }
    });
}

#[test]
fn a_file_that_was_taken_over_is_deleted_there_unless_it_was_written_anew_meanwhile() {
    let (home, store) = store();
    let dir = home.path().join("other");
    fs::create_dir(&dir).unwrap();
    for name in ["claude-a.json", "claude-b.json", "claude-c.json"] {
        put(&dir, name, ACCOUNT);
    }
    let source = store.open_source(&dir).unwrap();
    let candidates = source.candidates().unwrap();
    let [same, refreshed, gone] = candidates.as_slice() else { panic!("{candidates:?}") };
    put(&dir, "claude-b.json", &ACCOUNT.replace(r#""r""#, r#""next""#));
    fs::remove_file(&gone.path).unwrap();
    source.delete(same).unwrap();
    for candidate in [refreshed, gone] {
        assert!(matches!(source.delete(candidate), Err(DeleteError::Changed)));
    }
    assert!(!same.path.exists() && refreshed.path.exists());
}

#[test]
fn a_lock_that_is_none_holds_nobody_up() {
    let (home, store) = store();
    let dir = home.path().join("other");
    fs::create_dir(&dir).unwrap();
    nix::unistd::mkfifo(&dir.join(".lock"), nix::sys::stat::Mode::S_IRUSR).unwrap();
    assert!(store.open_source(&dir).unwrap().candidates().unwrap().is_empty());
    fs::remove_file(dir.join(".lock")).unwrap();
    symlink(dir.join("elsewhere"), dir.join(".lock")).unwrap();
    assert!(matches!(store.open_source(&dir), Err(ImportError::Read { .. })));
}

/// An account's file and, in a temporary one, what a crash left of its next save.
fn crashed_with(store: &Store, current: &str, written: &str) {
    let with = |refresh: &str, day: u8| {
        ACCOUNT.replace(r#""r""#, &format!(r#""{refresh}""#)).replace("01-01", &format!("01-{day:02}"))
    };
    put(store.dir(), "claude-a.json", &with(current, 5));
    // By the clock it is the older one.
    put(store.dir(), ".update-1.claude-a.json", &with(written, 2));
}

fn holds(store: &Store) -> RefreshToken {
    store.read(&name("claude-a.json")).unwrap().account.oauth().unwrap().refresh.clone().unwrap()
}

#[test]
fn of_two_tokens_the_one_that_was_asked_with_is_the_older_whatever_the_clock_says() {
    let (_dir, store) = store();
    crashed_with(&store, "r1", "r2");
    let _asked = store.intend(&RefreshToken::new("r1"), at(0)).unwrap();
    assert_eq!(store.recover().unwrap().len(), 1);
    assert_eq!(holds(&store), RefreshToken::new("r2"));
    // Now it is over, and forgotten.
    assert_eq!(store.tries(&RefreshToken::new("r1")).unwrap(), 0);

    crashed_with(&store, "r2", "r1");
    let _asked = store.intend(&RefreshToken::new("r1"), at(0)).unwrap();
    assert_eq!(store.recover().unwrap().len(), 0);
    assert_eq!(holds(&store), RefreshToken::new("r2"));
}

#[test]
fn what_is_known_of_thousands_of_accounts_is_read_again() {
    let (_dir, store) = store();
    assert_eq!(store.load_state(), None);
    let state = vec![b' '; 8 * 1024 * 1024];
    store.save_state(&state).unwrap();
    assert!(store.load_state() == Some(state));
}

#[test]
fn a_token_is_asked_with_twice_at_most_and_what_is_taken_back_does_not_count() {
    let (_dir, store) = store();
    let token = RefreshToken::new("r");
    let tries = || store.tries(&token).unwrap();
    store.withdraw(&store.intend(&token, at(0)).unwrap()).unwrap();
    assert_eq!(tries(), 0);
    let first = store.intend(&token, at(0)).unwrap();
    let _second = store.intend(&token, at(60)).unwrap();
    assert_eq!(tries(), MOST_TRIES);
    store.intend(&token, at(120)).unwrap_err();
    assert_eq!(store.open_intents().unwrap(), [(token.fingerprint(), 2)].into());
    store.withdraw(&first).unwrap();
    assert_eq!(tries(), 1);
    store.settle(&token).unwrap();
    assert_eq!((tries(), store.dir().read_dir().unwrap().count()), (0, 1));
}

#[test]
fn an_intent_that_is_not_whole_counts_for_nothing_and_one_that_is_something_else_counts() {
    let (_dir, store) = store();
    let token = RefreshToken::new("r");
    let path = format!(".intent-1.{}", token.fingerprint());
    for torn in ["", "{", r#"{"token":"another"}"#] {
        put(store.dir(), &path, torn);
        assert_eq!(store.tries(&token).unwrap(), 0, "{torn}");
    }
    let _asked = store.intend(&token, at(0)).unwrap();
    assert_eq!(store.tries(&token).unwrap(), 1);
    fs::remove_file(store.dir().join(&path)).unwrap();
    fs::create_dir(store.dir().join(&path)).unwrap();
    assert_eq!(store.tries(&token).unwrap(), 1);
}

#[test]
fn an_orphan_that_cannot_be_judged_stays_until_it_can_be() {
    let (_dir, store) = store();
    crashed_with(&store, "r1", "r2");
    let file = store.dir().join("claude-a.json");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(store.recover().unwrap(), []);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let _asked = store.intend(&RefreshToken::new("r1"), at(0)).unwrap();
    assert_eq!(store.recover().unwrap().len(), 1);
    assert_eq!(holds(&store), RefreshToken::new("r2"));
}

#[test]
fn nothing_that_is_named_like_an_orphan_or_an_intent_stops_a_start() {
    let (_dir, store) = store();
    put(store.dir(), "claude-a.json", ACCOUNT);
    for name in [".update-1.claude-a.json", ".create-2.json", ".intent-1.0123456789abcdef"] {
        fs::create_dir(store.dir().join(name)).unwrap();
    }
    assert_eq!(store.recover().unwrap(), []);
}

#[test]
fn intents_are_kept_while_a_file_cannot_be_read_and_swept_once_no_file_holds_their_token() {
    let (_dir, store) = store();
    let token = RefreshToken::new("r");
    put(store.dir(), "claude-a.json", ACCOUNT);
    let _asked = store.intend(&token, at(0)).unwrap();
    store.recover().unwrap();
    assert_eq!(store.tries(&token).unwrap(), 1, "its file is there");
    put(store.dir(), "claude-a.json", "{");
    store.recover().unwrap();
    assert_eq!(store.tries(&token).unwrap(), 1, "nobody knows what its file holds");
    put(store.dir(), "claude-a.json", &ACCOUNT.replace(r#""r""#, r#""other""#));
    store.recover().unwrap();
    assert_eq!(store.tries(&token).unwrap(), 0);
}
