//! A request as spans: one for the request, as a server, and below it one for each call upstream, as a client. Pure, but for
//! the ids, which are drawn.

use std::time::Duration;

use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{Span, Status};

use super::convention::{
    ANTHROPIC, ERROR_TYPE, OPERATION, PROVIDER, REQUEST_MODEL, call_failure, failure, number, operation, text,
};
use crate::clock::Timestamp;
use crate::telemetry::metrics::{Endpoint, Outcome, Story, Try, Used};

/// Bit 0 of a span's flags: it is sampled (W3C Trace Context, section 3.2.2.5).
const SAMPLED: u32 = 1;

/// Draws ids.
pub(super) trait Ids {
    fn trace(&mut self) -> [u8; 16];
    fn span(&mut self) -> [u8; 8];
}

/// Those of one request; none where whoever began its trace does not keep it.
pub(super) fn of(story: &Story, ids: &mut impl Ids) -> Vec<Span> {
    if story.parent.is_some_and(|parent| !parent.sampled) {
        return Vec::new();
    }
    let trace = story.parent.map_or_else(|| ids.trace(), |parent| parent.trace);
    let server = ids.span();
    let parent = story.parent.map(|parent| parent.span.to_vec()).unwrap_or_default();
    let mut spans = vec![Span {
        trace_id: trace.to_vec(),
        span_id: server.to_vec(),
        parent_span_id: parent,
        flags: SAMPLED,
        name: format!("{} {}", story.method, route(story.endpoint)).trim().to_owned(),
        kind: SpanKind::Server.into(),
        start_time_unix_nano: nanos(story.began, Duration::ZERO),
        end_time_unix_nano: nanos(story.began, story.took),
        attributes: of_request(story),
        status: Some(status(is_our_error(story))),
        ..Span::default()
    }];
    let last = story.attempts.len().saturating_sub(1);
    for (place, attempt) in story.attempts.iter().enumerate() {
        // The answer that the client gets goes on to its end.
        let answers = place == last && attempt.outcome == Outcome::Answered;
        let end = if answers { story.took } else { attempt.began + attempt.took };
        let mut attributes = of_call(story, attempt);
        attributes.extend(story.used.filter(|_| answers).iter().flat_map(used));
        spans.push(Span {
            trace_id: trace.to_vec(),
            span_id: ids.span().to_vec(),
            parent_span_id: server.to_vec(),
            flags: SAMPLED,
            name: format!("{} {}", operation(story.endpoint).unwrap_or(story.method), attempt.model)
                .trim()
                .to_owned(),
            kind: SpanKind::Client.into(),
            start_time_unix_nano: nanos(story.began, attempt.began),
            end_time_unix_nano: nanos(story.began, end.max(attempt.began)),
            attributes,
            status: Some(status(call_failure(attempt).is_some())),
            ..Span::default()
        });
    }
    spans
}

/// A server does not call it an error that its client asked for something wrong, or left.
fn is_our_error(story: &Story) -> bool {
    failure(story).is_some_and(|failure| failure != "client_gone" && !failure.starts_with('4'))
}

fn of_request(story: &Story) -> Vec<KeyValue> {
    let mut attributes =
        vec![text("http.request.method", story.method), text("http.route", route(story.endpoint))];
    attributes.extend(story.status.map(|status| number("http.response.status_code", u64::from(status))));
    attributes.extend(story.dialect.map(|dialect| text("proxyd.dialect", dialect.name())));
    attributes.extend(of_model(story.endpoint, &story.model));
    attributes.extend(story.used.iter().flat_map(used));
    attributes.extend(failure(story).map(|failure| text(ERROR_TYPE, failure)));
    attributes
}

fn of_call(story: &Story, attempt: &Try) -> Vec<KeyValue> {
    let mut attributes = of_model(story.endpoint, &attempt.model);
    if let Some((host, port)) = &attempt.server {
        attributes.push(text("server.address", host));
        attributes.extend(port.map(|port| number("server.port", u64::from(port))));
    }
    attributes.extend(attempt.status.map(|status| number("http.response.status_code", u64::from(status))));
    attributes.extend(attempt.account.as_ref().map(|account| text("proxyd.account.id", account.to_string())));
    attributes.extend(call_failure(attempt).map(|failure| text(ERROR_TYPE, failure)));
    attributes
}

fn of_model(endpoint: Endpoint, model: &str) -> Vec<KeyValue> {
    let Some(operation) = operation(endpoint) else { return Vec::new() };
    let mut attributes = vec![text(OPERATION, operation), text(PROVIDER, ANTHROPIC)];
    if !model.is_empty() {
        attributes.push(text(REQUEST_MODEL, model));
    }
    attributes
}

/// All of the prompt is input; what a cache had of it is told beside.
fn used(used: &Used) -> [KeyValue; 4] {
    let Used { input, cache_creation, cache_read, output } = *used;
    let prompt = input.saturating_add(cache_creation).saturating_add(cache_read);
    [
        number("gen_ai.usage.input_tokens", prompt),
        number("gen_ai.usage.output_tokens", output),
        number("gen_ai.usage.cache_read.input_tokens", cache_read),
        number("gen_ai.usage.cache_creation.input_tokens", cache_creation),
    ]
}

fn status(failed: bool) -> Status {
    let code = if failed { StatusCode::Error } else { StatusCode::Unset };
    Status { code: code.into(), ..Status::default() }
}

pub(super) fn nanos(at: Timestamp, after: Duration) -> u64 {
    u64::try_from(at.as_nanosecond())
        .unwrap_or(0)
        .saturating_add(u64::try_from(after.as_nanos()).unwrap_or(0))
}

fn route(endpoint: Endpoint) -> &'static str {
    match endpoint {
        Endpoint::Messages => "/v1/messages",
        Endpoint::CountTokens => "/v1/messages/count_tokens",
        Endpoint::ChatCompletions => "/v1/chat/completions",
        Endpoint::Completions => "/v1/completions",
        Endpoint::Responses => "/v1/responses",
        Endpoint::InputTokens => "/v1/responses/input_tokens",
        Endpoint::StoredResponses => "/v1/responses/{id}",
        Endpoint::Models => "/v1/models",
        Endpoint::Files => "/v1/files",
        Endpoint::Batches => "/v1/messages/batches",
        Endpoint::Status | Endpoint::Metrics | Endpoint::Other => "",
    }
}

#[cfg(test)]
#[path = "spans_tests.rs"]
mod tests;
