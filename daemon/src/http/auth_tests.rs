//! Who is served with which key, and who without.

use super::*;
use crate::clock::Clock;
use crate::keys::{NewKey, Rules};
use crate::store::Store;

struct Fixture {
    _dir: tempfile::TempDir,
    authenticator: Authenticator,
    /// A key that is accepted.
    good: String,
}

fn fixture(auth: Auth) -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("auth")).unwrap();
    let keys = Keys::load(store, Clock::system()).unwrap();
    let new = NewKey { name: "test".to_owned(), expires_at: None, rules: Rules::default() };
    let good = keys.create(new).unwrap().1.expose().to_owned();
    let authenticator = Authenticator { auth, keys, throttle: Throttle::default() };
    Fixture { _dir: dir, authenticator, good }
}

const WRONG: &str = "sk-proxyd-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

impl Fixture {
    /// The name of the key that a request is made with, or its status.
    fn ask(&self, trusted: bool, headers: &[(&'static str, &str)]) -> Result<Option<String>, u16> {
        self.ask_for("/v1/messages", trusted, headers)
    }

    fn ask_for(
        &self,
        uri: &str,
        trusted: bool,
        headers: &[(&'static str, &str)],
    ) -> Result<Option<String>, u16> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_str(value).unwrap());
        }
        let origin = Origin { trusted, source: Source::Other };
        let found = self.authenticator.authenticate(origin, &uri.parse().unwrap(), &map, Instant::now());
        found.map(|key| key.map(|key| key.name.clone())).map_err(|refused| match refused {
            Refused::Api(error) => error.status,
            Refused::Throttled(_) => 429,
        })
    }
}

#[tokio::test]
async fn a_key_is_taken_from_each_of_its_headers_and_counts_for_whom_it_is() {
    let fixture = fixture(Auth::PeerOrKey);
    let bearer = format!("bearer  {}", fixture.good);
    for header in
        [("authorization", bearer.as_str()), ("x-api-key", &fixture.good), ("x-proxyd-key", &fixture.good)]
    {
        for trusted in [true, false] {
            assert_eq!(fixture.ask(trusted, &[header]), Ok(Some("test".to_owned())), "{}", header.0);
        }
    }
    // One key, sent both ways, or beside a word for a program that insists on one.
    for other in [fixture.good.as_str(), "unused"] {
        let both = [("x-api-key", other), ("authorization", bearer.as_str())];
        assert_eq!(fixture.ask(false, &both), Ok(Some("test".to_owned())));
    }
}

#[tokio::test]
async fn whoever_is_trusted_needs_none_and_any_word_will_do() {
    let fixture = fixture(Auth::PeerOrKey);
    assert_eq!(fixture.ask(true, &[]), Ok(None));
    assert_eq!(fixture.ask(true, &[("authorization", "Bearer unused"), ("x-api-key", "any")]), Ok(None));
    assert_eq!(fixture.ask(true, &[("authorization", "Basic dTpw")]), Ok(None));
}

#[tokio::test]
async fn a_wrong_key_is_refused_also_to_whom_needs_none() {
    let fixture = fixture(Auth::PeerOrKey);
    assert_eq!(fixture.ask(true, &[("x-api-key", WRONG)]), Err(401));
    assert_eq!(fixture.ask(true, &[("x-proxyd-key", "unused")]), Err(401));
    assert_eq!(fixture.ask(true, &[("x-api-key", WRONG), ("x-proxyd-key", &fixture.good)]), Err(401));
}

#[tokio::test]
async fn everybody_else_needs_one() {
    let fixture = fixture(Auth::PeerOrKey);
    for headers in [&[][..], &[("x-api-key", "unused")], &[("authorization", "Bearer sk-ant-api03-FAKE")]] {
        assert_eq!(fixture.ask(false, headers), Err(401), "{headers:?}");
    }
}

#[tokio::test]
async fn the_mode_decides_who_needs_one() {
    assert_eq!(fixture(Auth::Key).ask(true, &[]), Err(401));
    assert_eq!(fixture(Auth::Nobody).ask(false, &[("x-api-key", "unused")]), Ok(None));
    assert_eq!(fixture(Auth::Nobody).ask(false, &[("x-api-key", WRONG)]), Err(401));
}

#[tokio::test]
async fn without_any_key_a_stranger_is_told_who_is_served() {
    let fixture = fixture(Auth::PeerOrKey);
    for key in fixture.authenticator.keys.list() {
        fixture.authenticator.keys.revoke(&key.id).unwrap();
    }
    assert_eq!(fixture.ask(false, &[]), Err(403));
    assert_eq!(fixture.ask(false, &[("x-api-key", &fixture.good)]), Err(401));
}

#[tokio::test]
async fn a_key_in_a_url_is_refused_whoever_sends_it() {
    let fixture = fixture(Auth::PeerOrKey);
    let uri = format!("/v1/messages?key={}", fixture.good);
    assert_eq!(fixture.ask_for(&uri, true, &[("x-api-key", &fixture.good)]), Err(400));
}

#[tokio::test]
async fn wrong_keys_hold_back_nobody_who_has_a_good_one() {
    let fixture = fixture(Auth::PeerOrKey);
    for _ in 0..49 {
        assert!(fixture.ask(false, &[("x-api-key", WRONG)]).is_err());
    }
    assert_eq!(fixture.ask(false, &[("x-api-key", WRONG)]), Err(429));
    assert_eq!(fixture.ask(false, &[("x-api-key", &fixture.good)]), Ok(Some("test".to_owned())));
    assert_eq!(fixture.ask(true, &[]), Ok(None));
}

#[test]
fn the_modes_are_written_as_documented() {
    for (text, auth) in [("peer-or-key", Auth::PeerOrKey), ("key", Auth::Key), ("none-i-know", Auth::Nobody)]
    {
        assert_eq!(text.parse(), Ok(auth));
    }
    assert!("none".parse::<Auth>().is_err());
}
