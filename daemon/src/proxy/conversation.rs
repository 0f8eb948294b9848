//! Which conversation a request belongs to. Pure.
//!
//! Clients that name their sessions are believed: by a header, or in the body. For all others it is how the
//! conversation begins (system, tools and the first message, of each as much as is looked at), which is also what a prompt cache is about. Only hashes
//! of it leave this module.

use http::{HeaderMap, HeaderName};
use serde_json::Value;

use super::steady::{self, MOST_READ};
use crate::pool::{AffinityKey, Endpoint, Gist};
use crate::wire::messages::Peek;
use crate::wire::skim;

/// A conversation, and what told it.
pub(super) type Conversation = (AffinityKey, &'static str);

static SESSION: [HeaderName; 4] = [
    HeaderName::from_static("x-claude-code-session-id"),
    HeaderName::from_static("session-id"),
    HeaderName::from_static("x-session-affinity"),
    HeaderName::from_static("x-session-id"),
];
/// Agents of one session have conversations of their own.
static AGENT: HeaderName = HeaderName::from_static("x-claude-code-agent-id");

/// The conversation that the headers name.
pub(super) fn of_headers(headers: &HeaderMap) -> Option<Conversation> {
    let value = |name: &HeaderName| {
        headers.get(name).map(http::HeaderValue::as_bytes).filter(|value| !value.is_empty())
    };
    let (name, session) = SESSION.iter().find_map(|name| Some((name.as_str(), value(name)?)))?;
    let agent = value(&AGENT).unwrap_or_default();
    Some((AffinityKey::of("session", [session, agent]), name))
}

/// The conversation that a session's name in a body stands for.
pub(super) fn of_session(session: &str) -> Conversation {
    (AffinityKey::of("session", [session.as_bytes(), b"".as_slice()]), "the session named in the body")
}

/// What all requests about files, or about batches, belong to.
pub(super) fn of_endpoint(endpoint: Endpoint) -> Conversation {
    (
        AffinityKey::of("endpoint", [endpoint.to_string().as_bytes()]),
        "what lives with one account is kept together",
    )
}

/// The conversation of a Messages body: the session it names, else how it begins. `None` for a body without messages.
pub(super) fn of_body(peek: &Peek<'_>) -> Option<Conversation> {
    if let Some(session) = peek.session.as_deref().filter(|session| !session.is_empty()) {
        return Some(of_session(&session_of(session)));
    }
    let (system, tools) = (peek.system.as_deref(), peek.tools.as_deref());
    of_beginning(system.unwrap_or_default(), tools.unwrap_or_default(), peek.messages.as_deref()?)
}

/// The same of a body that we wrote: its messages are its last field, and are not gone through to their end.
pub(super) fn of_written(body: &[u8]) -> Option<Conversation> {
    let (mut system, mut tools) = (&b""[..], &b""[..]);
    let messages = skim::members_before(body, "messages", |name, value| match name {
        b"system" => system = value,
        b"tools" => tools = value,
        _ => {}
    })?;
    of_beginning(system, tools, messages)
}

fn of_beginning(system: &[u8], tools: &[u8], messages: &[u8]) -> Option<Conversation> {
    let first = steady::first_element(messages)?;
    let mut gist = Gist::new();
    for part in [system, tools, first] {
        let part = part.get(..MOST_READ).unwrap_or(part);
        steady::read(part, &mut |bytes| gist.push(bytes));
        // No text of JSON holds it, so that one part does not run into the next.
        gist.push(&[0]);
    }
    Some((AffinityKey::of_gist(&gist), "how the conversation begins"))
}

/// `metadata.user_id` may be JSON that names the session among other things.
fn session_of(user_id: &str) -> String {
    let named = serde_json::from_str::<Value>(user_id).ok();
    let session = named.as_ref().and_then(|named| named.get("session_id")?.as_str());
    session.unwrap_or(user_id).to_owned()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::HeaderValue;

    use super::*;
    use crate::wire::messages::peek;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value))).collect()
    }

    fn body(body: &str) -> Option<AffinityKey> {
        of_body(&peek(&Bytes::copy_from_slice(body.as_bytes()).into()).unwrap()).map(|(key, _)| key)
    }

    #[test]
    fn headers_name_the_session_and_its_agent() {
        let key = |pairs| of_headers(&headers(pairs)).map(|(key, _)| key);
        let plain = key(&[("session-id", "s")]);
        assert_eq!(plain, key(&[("x-session-affinity", "s")]));
        assert_eq!(plain, key(&[("x-session-id", "s")]));
        assert_ne!(plain, key(&[("session-id", "t")]));
        let agent = key(&[("x-claude-code-session-id", "s"), ("x-claude-code-agent-id", "1")]);
        assert_ne!(agent, key(&[("x-claude-code-session-id", "s"), ("x-claude-code-agent-id", "2")]));
        assert_ne!(agent, plain);
        assert_eq!(key(&[("x-claude-code-agent-id", "1"), ("session-id", "")]), None);
    }

    #[test]
    fn the_body_names_the_session_in_either_form() {
        let with = |user_id: &str| body(&format!(r#"{{"model":"m","metadata":{{"user_id":{user_id}}}}}"#));
        let json = with(r#""{\"device_id\":\"d\",\"account_uuid\":\"\",\"session_id\":\"s\"}""#);
        assert_eq!(json, with(r#""s""#));
        assert_ne!(json, with(r#""t""#));
        assert_eq!(with(r#""""#), None);
    }

    #[test]
    fn a_marker_that_translation_sets_is_not_content() {
        use crate::translate::{Config, chat};
        let system = "Be \u{e9} \"kind\" & brief.\n".repeat(200);
        let request = serde_json::json!({"model": "claude-opus-5", "messages": [
            {"role": "system", "content": system}, {"role": "user", "content": "hello \u{1f600}"}],
            "tools": [{"type": "function", "function": {"name": "f", "parameters":
                {"type": "object", "properties": {"x": {"type": "number", "minimum": 1.50}}}}}]});
        let key = |prompt_cache| {
            let config = Config { prompt_cache, ..Config::default() };
            let prepared = chat::to_messages(request.to_string().as_bytes(), config, |_| None).unwrap();
            let text = String::from_utf8(prepared.body.to_vec()).unwrap();
            assert_eq!(text.contains("cache_control"), prompt_cache);
            let read = body(&text);
            assert_eq!(of_written(&prepared.body).map(|(key, _)| key), read);
            read
        };
        assert!(key(true).is_some());
        assert_eq!(key(true), key(false));
    }

    #[test]
    fn else_it_is_the_beginning_whatever_comes_later() {
        let turn = |first: &str, rest: &str| {
            body(&format!(
                r#"{{"system":"be kind","model":"m","messages":[ {{"role":"user","content":{first}}}{rest}]}}"#
            ))
        };
        let one = turn(r#""hello""#, "");
        assert_eq!(
            one,
            turn(r#""hello""#, r#",{"role":"assistant","content":"hi"},{"role":"user","content":"x"}"#)
        );
        assert_ne!(one, turn(r#""goodbye""#, ""));
        assert_ne!(one, body(r#"{"model":"m","messages":[{"role":"user","content":"hello"}]}"#));
        let cached = r#"[{"type":"text","text":"hello","cache_control":{"type":"ephemeral"}}]"#;
        let bare = r#"[ {"type": "text", "text":"hello" } ]"#;
        assert_eq!(turn(cached, ""), turn(bare, ""));
        for nothing in
            [r#"{"model":"m"}"#, r#"{"model":"m","messages":[]}"#, r#"{"model":"m","messages":"hello"}"#]
        {
            assert_eq!(body(nothing), None, "{nothing}");
        }
    }
}
