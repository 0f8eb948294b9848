//! What a request's spans say, and to which trace they belong.

use opentelemetry_proto::tonic::common::v1::any_value::Value;

use super::*;
use crate::telemetry::metrics::{Ending, Parent};
use crate::wire::Dialect;

/// 1, 2, 3 ...
struct Counting(u8);

impl Ids for Counting {
    fn trace(&mut self) -> [u8; 16] {
        self.0 += 1;
        [self.0; 16]
    }

    fn span(&mut self) -> [u8; 8] {
        self.0 += 1;
        [self.0; 8]
    }
}

fn attempt(status: Option<u16>, outcome: Outcome) -> Try {
    Try {
        account: None,
        model: "claude-opus-5".to_owned(),
        server: Some(("api.example".to_owned(), Some(8443))),
        began: Duration::from_secs(1),
        took: Duration::from_secs(2),
        status,
        outcome,
    }
}

fn story(parent: Option<Parent>, attempts: Vec<Try>) -> Story {
    Story {
        parent,
        endpoint: Endpoint::ChatCompletions,
        dialect: Some(Dialect::Chat),
        method: "POST",
        model: "opus".to_owned(),
        began: Timestamp::from_second(1000).unwrap(),
        took: Duration::from_secs(9),
        first_byte: None,
        streams: true,
        status: Some(200),
        ending: Ending::Complete,
        used: Some(Used { input: 1, cache_creation: 2, cache_read: 4, output: 8 }),
        attempts,
    }
}

fn said(span: &Span) -> Vec<(&str, String)> {
    let value = |of: &KeyValue| match of.value.clone().unwrap().value.unwrap() {
        Value::StringValue(text) => text,
        Value::IntValue(number) => number.to_string(),
        other => panic!("{other:?}"),
    };
    span.attributes.iter().map(|attribute| (attribute.key.as_str(), value(attribute))).collect()
}

fn has(span: &Span, key: &str) -> Option<String> {
    said(span).into_iter().find(|(of, _)| *of == key).map(|(_, value)| value)
}

#[test]
fn a_request_is_a_servers_span_with_a_clients_for_each_call() {
    let story =
        story(None, vec![attempt(Some(429), Outcome::RateLimited), attempt(Some(200), Outcome::Answered)]);
    let spans = of(&story, &mut Counting(0));
    let [server, first, second] = spans.as_slice() else { panic!("{spans:?}") };
    assert_eq!((server.name.as_str(), server.kind), ("POST /v1/chat/completions", SpanKind::Server.into()));
    assert!(server.parent_span_id.is_empty() && spans.iter().all(|span| span.trace_id == [1; 16]));
    for client in [first, second] {
        assert_eq!((client.name.as_str(), client.kind), ("chat claude-opus-5", SpanKind::Client.into()));
        assert_eq!(client.parent_span_id, server.span_id);
        assert_eq!(
            (has(client, "server.address").as_deref(), has(client, "server.port").as_deref()),
            (Some("api.example"), Some("8443"))
        );
    }
    assert_eq!(
        (has(server, "gen_ai.request.model").as_deref(), has(server, "gen_ai.provider.name").as_deref()),
        (Some("opus"), Some("anthropic"))
    );
    assert_eq!(has(server, "gen_ai.usage.input_tokens").as_deref(), Some("7"));
    assert_eq!(has(second, "gen_ai.usage.output_tokens").as_deref(), Some("8"));
    assert_eq!(
        (has(first, "gen_ai.usage.output_tokens"), has(first, "error.type").as_deref()),
        (None, Some("429"))
    );
    assert_eq!(first.status.as_ref().unwrap().code, i32::from(StatusCode::Error));
    assert_eq!(second.end_time_unix_nano, server.end_time_unix_nano);
    assert_eq!(first.end_time_unix_nano - server.start_time_unix_nano, 3_000_000_000);
}

#[test]
fn a_trace_that_a_client_began_goes_on_unless_it_is_not_kept() {
    let parent = |sampled| Some(Parent { trace: [7; 16], span: [9; 8], sampled });
    let spans = of(&story(parent(true), Vec::new()), &mut Counting(0));
    assert_eq!(
        (spans[0].trace_id.as_slice(), spans[0].parent_span_id.as_slice()),
        ([7; 16].as_slice(), [9; 8].as_slice())
    );
    assert!(of(&story(parent(false), Vec::new()), &mut Counting(0)).is_empty());
}

#[test]
fn what_a_client_did_is_no_error_of_the_server_and_is_told_all_the_same() {
    for (status, ending, told, is_error) in [
        (Some(200), Ending::Complete, None, false),
        (Some(429), Ending::Complete, Some("429"), false),
        (None, Ending::ClientGone, Some("client_gone"), false),
        (Some(502), Ending::Complete, Some("502"), true),
        (Some(200), Ending::BrokenOff, Some("broken_off"), true),
    ] {
        let spans = of(&Story { status, ending, ..story(None, Vec::new()) }, &mut Counting(0));
        assert_eq!(has(&spans[0], "error.type").as_deref(), told);
        let expected = if is_error { StatusCode::Error } else { StatusCode::Unset };
        assert_eq!(spans[0].status.as_ref().unwrap().code, i32::from(expected), "{told:?}");
    }
}
