//! `proxyctl explain`: what became of one recent request, attempt by attempt.

use std::time::Duration;

use anstyle::{AnsiColor, Style};
use jiff::Timestamp;
use std::fmt::Write as _;

use super::Context;
use crate::cli::Explain;
use crate::clock;
use crate::error::Error;
use crate::exit::Exit;
use crate::facts;
use crate::json::{Attempt, Document, ExplainedRequest};
use crate::output;
use crate::text;

/// Columns before the facts of the request, and of an attempt.
const MARGIN: usize = 2;
const INNER: usize = 5;

const GOES_ON: &str = "still going on";

pub(super) async fn run(args: &Explain, context: &mut Context<'_>) -> Result<Exit, Error> {
    let request = ExplainedRequest::from(context.connect().await?.request(&args.request_id).await?);
    if context.output.is_json() {
        context.output.document(&Document::new(request))?;
    } else {
        context.output.data(&story(&request, clock::now()))?;
    }
    Ok(Exit::Ok)
}

fn story(request: &ExplainedRequest, now: Timestamp) -> String {
    let bold = Style::new().bold();
    let mut story = format!("Request {bold}{}{bold:#}\n", text::clean(&request.request_id));
    let conversation = request.conversation.as_deref().map(|by| format!("told by: {by}"));
    let time = |time: Timestamp| format!("{time:.0} ({})", text::relative(time, now));
    fact(&mut story, MARGIN, "Received", request.at.map(time));
    fact(&mut story, MARGIN, "Dialect", request.dialect.clone());
    fact(&mut story, MARGIN, "Endpoint", request.endpoint.clone());
    fact(&mut story, MARGIN, "Model", request.model.clone());
    fact(&mut story, MARGIN, "Client key", request.client_key.clone());
    fact(&mut story, MARGIN, "Conversation", Some(conversation.unwrap_or_else(|| "none".to_owned())));
    story.push('\n');
    for (number, attempt) in request.attempts.iter().enumerate() {
        attempted(&mut story, number + 1, attempt, request);
    }
    if request.attempts.is_empty() {
        fact(&mut story, MARGIN, "Attempts", Some("none: no account was asked".to_owned()));
    }
    story.push('\n');
    let end = request.end.as_deref().map(|end| match request.ended_at {
        Some(at) => format!("{}: {end}", time(at)),
        None => end.to_owned(),
    });
    fact(&mut story, MARGIN, "Ended", Some(end.unwrap_or_else(|| format!("not yet: it is {GOES_ON}"))));
    story
}

fn attempted(story: &mut String, number: usize, attempt: &Attempt, request: &ExplainedRequest) {
    let bold = Style::new().bold();
    let account = match (&attempt.name, &attempt.account) {
        (Some(name), Some(id)) if name != id => format!("{name} ({id})"),
        (Some(only), _) | (None, Some(only)) => only.clone(),
        (None, None) => "?".to_owned(),
    };
    let _infallible = writeln!(story, "{number:>3}. {bold}{}{bold:#}", text::clean(&account));
    fact(story, INNER, "Why", attempt.why.clone());
    fact(story, INNER, "Model", attempt.model.clone().filter(|_| attempt.model != request.model));
    fact(story, INNER, "Asked", attempt.at.map(|at| format!("{at:.3}")));
    let (words, style) = outcome(attempt);
    story.push_str(&facts::fact(INNER, "Outcome", &text::clean(&words), style, columns()));
}

/// `status 429 after 312 ms: limited, no time named (429)`.
fn outcome(attempt: &Attempt) -> (String, Style) {
    let Some(outcome) = &attempt.outcome else { return (GOES_ON.to_owned(), Style::new()) };
    let (head, colour) = match attempt.status {
        Some(status @ 200..300) => (format!("status {status}"), AnsiColor::Green),
        Some(status) => (format!("status {status}"), AnsiColor::Yellow),
        None => ("no answer".to_owned(), AnsiColor::Red),
    };
    let took = attempt.took_ms.map(|took| format!(" after {}", milliseconds(took)));
    (format!("{head}{}: {outcome}", took.unwrap_or_default()), colour.on_default())
}

/// Exact while a person can tell the difference.
fn milliseconds(count: u64) -> String {
    if count < 10_000 { format!("{count} ms") } else { text::duration(Duration::from_millis(count)) }
}

fn columns() -> usize {
    facts::columns(output::width())
}

fn fact(story: &mut String, margin: usize, name: &str, words: Option<String>) {
    if let Some(words) = words {
        story.push_str(&facts::fact(margin, name, &text::clean(&words), Style::new(), columns()));
    }
}
