//! Every form of an account's file, and of a stored response's, that ever shipped stays loadable. A form is added to
//! `fixtures` when it ships, and none is ever changed or removed.

use std::fs;
use std::path::Path;

use proxyd::account::{Account, Credential, Document, FileName};
use proxyd::secret::RefreshToken;
use proxyd::stored::{Holder, Record};
use proxyd::wire::responses::ResponseId;

fn load(fixture: &str) -> (Document, Account) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/auth").join(fixture);
    let document =
        Document::parse(&fs::read(&path).expect("the fixture is there")).expect("the fixture is JSON");
    let account = document
        .to_account(FileName::parse("claude-x.json").expect("a name"))
        .expect("the fixture is an account");
    (document, account)
}

#[test]
fn a_login_loads_whole() {
    let (_, account) = load("login-0.1.json");
    assert_eq!(account.identity.organization_name.as_deref(), Some("Example"));
    assert_eq!(account.renewable(), Some(&RefreshToken::new("sk-ant-ort01-FAKE-refresh")));
    assert!(account.needs_login.is_none() && !account.disabled);
}

#[test]
fn a_login_that_was_refused_still_needs_one() {
    let (_, account) = load("needs-login-0.1.json");
    let needs_login = account.needs_login.as_ref().expect("it needs a login");
    assert_eq!(needs_login.reason, "Refresh token revoked");
    assert!(account.disabled && account.renewable().is_none());
    assert_eq!(account.id, load("login-0.1.json").1.id);
}

#[test]
fn an_api_key_loads_as_one() {
    let (_, account) = load("api-key-0.1.json");
    assert!(matches!(account.credential, Credential::ApiKey(_)));
    assert_eq!(account.label.as_deref(), Some("work"));
}

#[test]
fn a_setup_token_loads_without_a_refresh_token() {
    let (_, account) = load("setup-token-0.1.json");
    assert!(account.oauth().is_some_and(|tokens| tokens.refresh.is_none() && tokens.expires_at.is_some()));
}

#[test]
fn a_file_of_cliproxyapi_loads_and_keeps_what_it_says() {
    let (document, account) = load("cliproxyapi-6.json");
    let expires_at = account.oauth().and_then(|tokens| tokens.expires_at).expect("an end");
    assert_eq!(expires_at.to_string(), "2026-01-01T10:00:00Z");
    let written = String::from_utf8(document.to_bytes()).expect("UTF-8");
    for kept in
        ["\"priority\": 3", "\"prefix\": \"team\"", "\"note\": \"kept\"", "claude-3-*", "\"id_token\": \"\""]
    {
        assert!(written.contains(kept), "{kept} in {written}");
    }
}

#[test]
fn a_stored_response_loads_as_whose_it_is() {
    for (fixture, holder) in
        [("response-0.1.json", None), ("held-0.1.json", Some(Holder::key("key_0123456789ab")))]
    {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/stored").join(fixture);
        let bytes = fs::read(&path).expect("the fixture is there");
        let id = ResponseId::parse("resp_01FAKE").expect("an id");
        let record = Record::parse(&bytes, &id).expect("the fixture is a record");
        assert_eq!(record.holder, holder);
        assert!(
            record.items().get("msg_01FAKE_0").is_some() && record.items().get("msg_01FAKE_in0").is_some()
        );
        assert_eq!(record.to_bytes(), bytes, "{fixture}");
    }
}
