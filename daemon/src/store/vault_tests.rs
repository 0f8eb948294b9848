//! Secrets at rest against a real directory: what lies there, and what each key makes of it.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;

use tempfile::TempDir;

use super::*;
use crate::account::{FileName, OAuth};
use crate::clock::Timestamp;
use crate::seal::OpenError;
use crate::secret::{AccessToken, RefreshToken};
use crate::store::{Edit, MOST_TRIES, Recovered, Store, StoreError};

const ONE: &[u8] = b"\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f\x20";
const TWO: &[u8] = b"\xff\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f\x20";
const ACCESS: &str = "sk-ant-oat01-FAKE-access";
const REFRESH: &str = "sk-ant-ort01-FAKE-refresh";
const API_KEY: &str = "sk-ant-api03-FAKE-key";

fn login() -> String {
    format!(
        r#"{{"note":"mine","type":"claude","access_token":"{ACCESS}","refresh_token":"{REFRESH}","x":1.0,"account_uuid":"u","last_refresh":"2026-01-01T00:00:00Z"}}"#
    )
}

fn put(dir: &Path, name: &str, text: &str) {
    let mut options = fs::OpenOptions::new();
    let file = options.write(true).create(true).truncate(true).mode(0o600).open(dir.join(name));
    file.unwrap().write_all(text.as_bytes()).unwrap();
}

fn name(name: &str) -> FileName {
    FileName::parse(name).unwrap()
}

/// A directory with a login and a key in clear.
fn home() -> TempDir {
    let home = tempfile::tempdir().unwrap();
    fs::set_permissions(home.path(), std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    put(home.path(), "claude-a.json", &login());
    put(home.path(), "claude-k.json", &format!(r#"{{"type":"claude","api_key":"{API_KEY}"}}"#));
    home
}

fn start(home: &TempDir, key: Option<&[u8]>, old: Option<&[u8]>, is_sealing: bool) -> Store {
    let store = Store::open_with(home.path(), Vault::of(key, old, is_sealing), None).unwrap();
    store.recover().unwrap();
    store.put_in_form().unwrap();
    store
}

/// Everything that lies in the directory.
fn bytes(home: &TempDir) -> Vec<u8> {
    let files = home.path().read_dir().unwrap().map(|entry| entry.unwrap().path());
    files.flat_map(|file| fs::read(file).unwrap()).collect()
}

fn has(home: &TempDir, text: &str) -> bool {
    memchr::memmem::find(&bytes(home), text.as_bytes()).is_some()
}

fn refresh_token(store: &Store) -> RefreshToken {
    let loaded = store.read(&name("claude-a.json")).unwrap();
    loaded.account.oauth().unwrap().refresh.clone().unwrap()
}

fn problem(store: &Store, file: &str) -> String {
    store.read(&name(file)).unwrap_err().to_string()
}

#[test]
fn a_start_with_a_key_leaves_nothing_in_clear_and_everything_else_as_it_was() {
    let home = home();
    let store = start(&home, Some(ONE), None, true);
    for secret in [ACCESS, REFRESH, API_KEY] {
        assert!(!has(&home, secret), "{secret}");
    }
    assert_eq!(refresh_token(&store), RefreshToken::new(REFRESH));
    let key = store.read(&name("claude-k.json")).unwrap();
    assert_eq!(key.document, Document::for_api_key(&crate::secret::ApiKey::new(API_KEY)));
    let text = fs::read_to_string(home.path().join("claude-a.json")).unwrap();
    assert!(text.starts_with("{\n  \"note\": \"mine\",\n  \"type\": \"claude-sealed\","), "{text}");
    assert!(text.contains("\"x\": 1.0,"), "{text}");
    // The next start finds nothing to do.
    let before = bytes(&home);
    assert_eq!(store.put_in_form().unwrap(), []);
    drop(store);
    drop(start(&home, Some(ONE), None, true));
    assert!(bytes(&home) == before);
}

#[test]
fn what_is_written_is_sealed_and_what_a_person_edits_stays() {
    let home = home();
    let store = start(&home, Some(ONE), None, true);
    let file = name("claude-a.json");
    let text = fs::read_to_string(home.path().join("claude-a.json")).unwrap();
    put(home.path(), "claude-a.json", &text.replace("mine", "edited by hand"));
    let tokens = OAuth {
        access: AccessToken::new("sk-ant-oat01-FAKE-second"),
        refresh: Some(RefreshToken::new("sk-ant-ort01-FAKE-second")),
        expires_at: None,
    };
    let reservation = store.reserve_update(&file).unwrap();
    store
        .update(reservation, &file, |document| document.set_tokens(&tokens, None, Timestamp::UNIX_EPOCH))
        .unwrap();
    assert_eq!(refresh_token(&store), tokens.refresh.unwrap());
    assert!(!has(&home, "FAKE-second") && has(&home, "edited by hand"));
    let new = Document::for_api_key(&crate::secret::ApiKey::new("sk-ant-api03-FAKE-third"));
    store.create(store.reserve_new().unwrap(), &name("claude-n.json"), &new).unwrap();
    assert!(!has(&home, "FAKE-third"));
    assert_eq!(store.read(&name("claude-n.json")).unwrap().document, new);
}

#[test]
fn a_file_in_clear_is_used_and_sealed_with_its_next_change() {
    let home = home();
    let store = start(&home, Some(ONE), None, true);
    put(home.path(), "claude-a.json", &login());
    assert_eq!(refresh_token(&store), RefreshToken::new(REFRESH));
    let file = name("claude-a.json");
    store
        .update(store.reserve_update(&file).unwrap(), &file, |document| document.set_disabled(true))
        .unwrap();
    assert!(!has(&home, REFRESH));
}

#[test]
fn a_new_key_takes_over_from_the_old_one() {
    let home = home();
    drop(start(&home, Some(ONE), None, true));
    let store = start(&home, Some(TWO), Some(ONE), true);
    assert_eq!(refresh_token(&store), RefreshToken::new(REFRESH));
    drop(store);
    // The old one is not needed any more.
    let store = start(&home, Some(TWO), None, true);
    assert_eq!(refresh_token(&store), RefreshToken::new(REFRESH));
    assert!(store.read(&name("claude-k.json")).is_ok());
}

#[test]
fn the_way_back_is_to_the_file_as_it_was() {
    let home = home();
    let before = start(&home, None, None, false).read(&name("claude-a.json")).unwrap().document;
    drop(start(&home, Some(ONE), None, true));
    assert!(!has(&home, REFRESH));
    drop(start(&home, Some(ONE), None, false));
    assert!(has(&home, REFRESH) && has(&home, ACCESS) && has(&home, API_KEY));
    let store = start(&home, None, None, false);
    assert_eq!(store.read(&name("claude-a.json")).unwrap().document, before);
}

#[test]
fn without_the_right_key_a_file_says_why_and_nothing_touches_it() {
    let home = home();
    drop(start(&home, Some(ONE), None, true));
    let id = SealKey::parse(ONE).unwrap().id().to_owned();
    let before = bytes(&home);
    for (key, expected) in [(None, "there is no seal key"), (Some(TWO), "the seal key given is")] {
        let store = start(&home, key, None, key.is_some());
        let told = problem(&store, "claude-a.json");
        assert!(told.starts_with(&format!("its `access_token` is sealed with the key {id}")), "{told}");
        assert!(told.contains(expected) && told.contains("proxyd.seal-key"), "{told}");
        let file = name("claude-a.json");
        let reservation = store.reserve_update(&file).unwrap();
        let (error, reservation) = store.update_if(reservation, &file, |_, _| Edit::Write).unwrap_err();
        assert!(matches!(error, StoreError::Unusable(Unusable::Sealed { .. })), "{error:?}");
        drop(reservation);
        assert!(bytes(&home) == before);
    }
    assert_eq!(refresh_token(&start(&home, Some(ONE), None, true)), RefreshToken::new(REFRESH));
}

#[test]
fn a_secret_opens_in_its_own_field_and_account_only() {
    let home = home();
    let store = start(&home, Some(ONE), None, true);
    let text = fs::read_to_string(home.path().join("claude-a.json")).unwrap();
    let altered = |text: &str| {
        put(home.path(), "claude-a.json", text);
        matches!(
            store.read(&name("claude-a.json")).unwrap_err(),
            Unusable::Sealed { problem, .. } if *problem == OpenError::Altered
        )
    };
    let other_field =
        text.replace("\"refresh_token\"", "\"?\"").replace("\"access_token\"", "\"refresh_token\"");
    assert!(altered(&other_field.replace("\"?\"", "\"access_token\"")));
    assert!(altered(&text.replace("\"account_uuid\": \"u\"", "\"account_uuid\": \"v\"")));
    put(home.path(), "claude-a.json", &text);
    assert_eq!(refresh_token(&store), RefreshToken::new(REFRESH));
}

#[test]
fn what_a_crash_left_is_adopted_sealed_and_stays_where_it_cannot_be_opened() {
    let home = home();
    drop(start(&home, Some(ONE), None, true));
    let sealed = |text: &str| {
        let document = Document::parse(text.as_bytes()).unwrap();
        String::from_utf8(Vault::of(Some(ONE), None, true).bytes(&document).unwrap().to_vec()).unwrap()
    };
    let newer = login().replace("2026-01-01", "2026-02-01").replace(REFRESH, "sk-ant-ort01-FAKE-newer");
    put(home.path(), ".update-1.claude-a.json", &(sealed(&newer) + "\0\0\0"));
    let before = bytes(&home);
    for (key, is_sealing) in [(None, false), (Some(TWO), true)] {
        drop(start(&home, key, None, is_sealing));
        assert!(bytes(&home) == before);
    }
    let store = Store::open_with(home.path(), Vault::of(Some(ONE), None, true), None).unwrap();
    let _asked = store.intend(&RefreshToken::new(REFRESH), Timestamp::UNIX_EPOCH).unwrap();
    let [Recovered { .. }] = store.recover().unwrap()[..] else { panic!("it is adopted") };
    assert_eq!(refresh_token(&store), RefreshToken::new("sk-ant-ort01-FAKE-newer"));
    assert!(!has(&home, "FAKE-newer"));
    // Its intent is over, since no file holds that token any more.
    assert_eq!(store.tries(&RefreshToken::new(REFRESH)).unwrap(), 0);
}

#[test]
fn what_was_asked_is_remembered_while_nobody_can_say_whose_it_is() {
    let home = home();
    let store = start(&home, Some(ONE), None, true);
    let token = RefreshToken::new(REFRESH);
    for _ in 0..MOST_TRIES {
        let _asked = store.intend(&token, Timestamp::UNIX_EPOCH).unwrap();
    }
    drop(store);
    for (key, is_sealing) in [(None, false), (Some(TWO), true), (Some(ONE), true)] {
        assert_eq!(start(&home, key, None, is_sealing).tries(&token).unwrap(), MOST_TRIES);
    }
}

#[test]
fn an_import_opens_what_was_sealed_here_and_refuses_the_rest_and_an_export_is_in_clear() {
    let (home, other) = (home(), home());
    drop(start(&other, Some(ONE), None, true));
    let file = |content: &Result<Document, Unusable>| content.as_ref().ok().and_then(Document::refresh_token);
    let store = start(&home, Some(ONE), None, true);
    let source = store.open_source(other.path()).unwrap();
    let candidates = source.candidates().unwrap();
    assert_eq!(file(&candidates[0].content), Some(RefreshToken::new(REFRESH)));
    source.delete(&candidates[0]).unwrap();
    drop((store, source));
    let store = start(&home, Some(TWO), Some(ONE), true);
    let target = other.path().join("out.json");
    store.export(&target, &store.read(&name("claude-a.json")).unwrap().document).unwrap();
    assert!(fs::read_to_string(&target).unwrap().contains(REFRESH));
    drop(store);
    fs::remove_file(&target).unwrap();
    let store = start(&home, Some(TWO), None, true);
    let candidates = store.open_source(other.path()).unwrap().candidates().unwrap();
    let refused = candidates[0].content.as_ref().unwrap_err().to_string();
    assert!(refused.starts_with("its `api_key` is sealed with the key"), "{refused}");
}

#[test]
fn keys_come_from_credentials_and_files_and_two_must_be_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let (credentials, file) = (dir.path().join("credentials"), dir.path().join("key"));
    fs::create_dir(&credentials).unwrap();
    let config = |key_file: bool, old_key_file: bool| Config {
        credentials: Some(credentials.clone()),
        key_file: key_file.then(|| file.clone()),
        old_key_file: old_key_file.then(|| file.clone()),
        seal: true,
    };
    let hex = |key: &[u8]| key.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat() + "\n";
    let problem = |config: &Config| crate::chain::ErrorChain(&Vault::load(config).unwrap_err()).to_string();
    assert_eq!(Vault::load(&config(false, false)).unwrap().seals_with(), None);
    let missing = problem(&config(true, false));
    assert!(missing.contains(file.to_str().unwrap()) && missing.ends_with("the file is gone"), "{missing}");
    put(dir.path(), "key", &hex(ONE));
    let id = SealKey::parse(ONE).unwrap().id().to_owned();
    assert_eq!(Vault::load(&config(true, false)).unwrap().seals_with(), Some(id.as_str()));
    assert!(matches!(Vault::load(&config(false, true)), Err(VaultError::OnlyOld)));
    // The service manager says who may read its own.
    fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o444)
        .open(credentials.join(KEY))
        .unwrap();
    assert_eq!(problem(&config(false, false)), "the credential proxyd.seal-key is no seal key: it is empty");
    put(&credentials, OLD_KEY, &hex(TWO));
    fs::remove_file(credentials.join(KEY)).unwrap();
    put(&credentials, KEY, &hex(ONE));
    assert_eq!(Vault::load(&config(true, false)).unwrap().seals_with(), Some(id.as_str()));
    let two = problem(&config(false, true));
    assert_eq!(
        two,
        "the file gives another key than the credential proxyd.seal-key.old: give one of the two"
    );
    fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    assert!(
        problem(&config(true, false))
            .ends_with("others may read the file (mode 0644); `chmod 600` makes it private")
    );
}

#[test]
fn no_key_is_shown() {
    let vault = Vault::of(Some(ONE), Some(TWO), true);
    let shown = format!("{vault:?}");
    let id = SealKey::parse(ONE).unwrap().id().to_owned();
    assert!(shown.contains(&id) && !shown.contains("0x") && shown.len() < 120, "{shown}");
}
