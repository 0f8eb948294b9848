//! What a caller may use.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, header};

use super::*;
use crate::claude::CallBody;
use crate::clock::{ManualClock, Timestamp};
use crate::id::RequestId;
use crate::keys::{Keys, NewKey, Rules};
use crate::store::Store;

/// Whoever has a key for these models.
async fn caller(models: &[&str]) -> Caller {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("auth")).unwrap();
    let keys = Keys::load(store, ManualClock::at(Timestamp::UNIX_EPOCH).clock()).unwrap();
    let models = models.iter().map(|model| (*model).to_owned()).collect();
    let rules = Rules { models, ..Rules::default() };
    let (key, _) = keys.create(NewKey { name: "ci".to_owned(), expires_at: None, rules }).unwrap();
    Caller { permit: Some(Arc::new(key.admit().await.unwrap())), ..Caller::default() }
}

fn native(caller: &Caller, body: &'static str) -> Result<(), NotAllowed> {
    let request = Request::post("/v1/messages").extension(caller.clone()).body(()).unwrap();
    let (head, ()) = request.into_parts();
    let body = Bytes::from_static(body.as_bytes()).into();
    let exchange = Exchange::native(RequestId::new(), Endpoint::Messages, &head, body).unwrap();
    exchange.caller.check(&exchange)
}

fn unnamed(caller: &Caller, endpoint: Endpoint, method: Method, path: &str) -> Result<(), NotAllowed> {
    let request = Request::builder().method(method).uri(path).extension(caller.clone()).body(()).unwrap();
    let (head, ()) = request.into_parts();
    let body = CallBody::from(Bytes::new());
    let exchange = Exchange::unnamed(RequestId::new(), endpoint, &head, body);
    exchange.caller.check(&exchange)
}

#[test]
fn a_request_without_a_caller_is_the_daemons_own_users() {
    let caller = Caller::of(&Extensions::new());
    assert!(caller.may_use("anything") && caller.accounts().is_empty() && caller.holder().is_none());
    assert_eq!(native(&caller, r#"{"model":"anything"}"#), Ok(()));
    assert_eq!(unnamed(&caller, Endpoint::Batches, Method::POST, "/v1/messages/batches"), Ok(()));
}

#[tokio::test]
async fn every_model_that_a_request_names_must_be_one_of_the_keys() {
    let caller = caller(&["haiku*"]).await;
    assert_eq!(native(&caller, r#"{"model":"haiku-5","messages":[{"model":"opus"}]}"#), Ok(()));
    let refused = NotAllowed::Model { key: "ci".to_owned(), model: "opus".to_owned() };
    for body in [
        r#"{"model":"opus"}"#,
        r#"{"model":"opus","model":"haiku-5"}"#,
        r#"{"model":"haiku-5","tools":[{"type":"advisor","model":"opus"}]}"#,
        r#"{"model":"haiku-5","fallbacks":[{"model":"haiku-4"},{"model":"opus"}]}"#,
    ] {
        assert_eq!(native(&caller, body), Err(refused.clone()), "{body}");
    }
    let words = refused.to_string();
    assert!(words.contains("\"ci\"") && words.contains("\"opus\""), "{words}");
}

#[tokio::test]
async fn who_may_use_certain_models_only_makes_no_batches() {
    let limited = caller(&["haiku*"]).await;
    for (method, path, allowed) in [
        (Method::POST, "/v1/messages/batches", false),
        (Method::POST, "/v1/messages/batches/", false),
        (Method::PUT, "/v1/messages/batches/msgbatch_1", false),
        (Method::POST, "/v1/messages/batches/msgbatch_1/cancel", true),
        (Method::GET, "/v1/messages/batches", true),
        (Method::GET, "/v1/messages/batches/msgbatch_1/results", true),
        (Method::DELETE, "/v1/messages/batches/msgbatch_1", true),
    ] {
        assert_eq!(unnamed(&limited, Endpoint::Batches, method, path).is_ok(), allowed, "{path}");
    }
    assert_eq!(unnamed(&limited, Endpoint::Files, Method::POST, "/v1/files"), Ok(()));
    assert_eq!(unnamed(&caller(&[]).await, Endpoint::Batches, Method::POST, "/v1/messages/batches"), Ok(()));
}

#[tokio::test]
async fn what_is_stored_is_its_keys_or_else_its_credentials() {
    let headers: HeaderMap =
        [(header::AUTHORIZATION, HeaderValue::from_static("Bearer sk-ant-api03-FAKE"))].into_iter().collect();
    let own = OwnCredential::of(&headers);
    let by_own = Caller { credential: own.clone(), ..Caller::default() };
    let by_both = Caller { credential: own, ..caller(&[]).await };
    let held = by_own.holder().unwrap();
    assert!(!format!("{by_own:?} {held:?}").contains("FAKE"));
    assert_ne!(by_both.holder(), Some(held));
    assert_eq!(
        by_both.holder().map(|holder| holder == Holder::key(by_both.key().unwrap().id.as_str())),
        Some(true)
    );
}
