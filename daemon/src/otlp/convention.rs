//! What both signals say in the same words: operations, providers and attributes as the conventions name them
//! (<https://opentelemetry.io/docs/specs/semconv/gen-ai/>).

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;

use crate::telemetry::metrics::{Ending, Endpoint, Outcome, Story, Try};

pub(super) const OPERATION: &str = "gen_ai.operation.name";
pub(super) const PROVIDER: &str = "gen_ai.provider.name";
pub(super) const REQUEST_MODEL: &str = "gen_ai.request.model";
pub(super) const ERROR_TYPE: &str = "error.type";

/// The only provider there is.
pub(super) const ANTHROPIC: &str = "anthropic";

pub(super) fn text(key: &str, value: impl Into<String>) -> KeyValue {
    attribute(key, Value::StringValue(value.into()))
}

pub(super) fn number(key: &str, value: u64) -> KeyValue {
    attribute(key, Value::IntValue(i64::try_from(value).unwrap_or(i64::MAX)))
}

fn attribute(key: &str, value: Value) -> KeyValue {
    let value = Some(AnyValue { value: Some(value) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

/// What sends: this run of this program.
pub(super) fn resource(instance: &str) -> Resource {
    let attributes = vec![
        text("service.name", "proxyd"),
        text("service.version", env!("CARGO_PKG_VERSION")),
        text("service.instance.id", instance),
    ];
    Resource { attributes, ..Resource::default() }
}

pub(super) fn scope() -> InstrumentationScope {
    let (name, version) = ("proxyd".to_owned(), env!("CARGO_PKG_VERSION").to_owned());
    InstrumentationScope { name, version, ..InstrumentationScope::default() }
}

/// What a model is asked to do; `None` where none is.
pub(super) fn operation(endpoint: Endpoint) -> Option<&'static str> {
    match endpoint {
        Endpoint::Messages | Endpoint::ChatCompletions | Endpoint::Responses => Some("chat"),
        Endpoint::Completions => Some("text_completion"),
        _ => None,
    }
}

/// How a request failed, of few words; `None` where it did not.
pub(super) fn failure(story: &Story) -> Option<String> {
    match (story.ending, story.status) {
        (Ending::BrokenOff, _) => Some("broken_off".to_owned()),
        (Ending::ClientGone, _) => Some("client_gone".to_owned()),
        (Ending::Complete, Some(status)) if status >= 400 => Some(status.to_string()),
        (Ending::Complete, _) => None,
    }
}

/// How one call failed.
pub(super) fn call_failure(of: &Try) -> Option<String> {
    match (of.outcome, of.status) {
        (Outcome::Answered, _) => None,
        (_, Some(status)) => Some(status.to_string()),
        (Outcome::GivenUp, None) => Some("client_gone".to_owned()),
        (_, None) => Some("no_answer".to_owned()),
    }
}
