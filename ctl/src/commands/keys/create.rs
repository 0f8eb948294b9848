//! `proxyctl keys create`: the key alone on standard output, and on standard error how it is used.

use std::fmt::Write as _;

use jiff::{SignedDuration, Timestamp};
use proxy_proto::v1::{CreateKeyRequest, KeyRules};

use super::view;
use crate::cli::{Create, Expiry};
use crate::clock;
use crate::commands::{Context, address};
use crate::error::Error;
use crate::exit::Exit;
use crate::json::{CreatedKey, Document};
use crate::output::Output;
use crate::text;

pub(super) async fn run(args: Create, context: &mut Context<'_>) -> Result<Exit, Error> {
    let client = context.connect().await?;
    let (key, reply) = client.create_key(request(args)?).await?;
    let created = CreatedKey::new(key, reply);
    if context.output.is_json() {
        context.output.document(&Document::new(created))?;
        return Ok(Exit::Ok);
    }
    tell(&created, context.output);
    context.output.data(&format!("{}\n", text::clean(&created.secret)))?;
    Ok(Exit::Ok)
}

fn request(args: Create) -> Result<CreateKeyRequest, Error> {
    let Create { name, expires, models, accounts, rpm, tpm, concurrency, wait } = args;
    let expires_at = expires.map(end).transpose()?;
    let wait = wait
        .filter(SignedDuration::is_positive)
        .map(|wait| prost_types::Duration { seconds: wait.as_secs(), nanos: wait.subsec_nanos() });
    let rules = KeyRules { models, requests_per_minute: rpm, tokens_per_minute: tpm, concurrency, wait };
    Ok(CreateKeyRequest { name, expires_at: expires_at.map(clock::to_proto), rules: Some(rules), accounts })
}

/// When a key ends that is made now.
pub(in crate::commands) fn end(expires: Expiry) -> Result<Timestamp, Error> {
    match expires {
        Expiry::At(at) => Ok(at),
        Expiry::After(length) => clock::now().checked_add(length).map_err(|_| Error::Usage {
            what: "the key would end after all calendars".to_owned(),
            hint: "leave --expires out for a key that does not end".to_owned(),
        }),
    }
}

fn tell(created: &CreatedKey, output: &Output) {
    let key = &created.key;
    output.talk(&format!("Made the key {}. It is shown this once: proxyd keeps no copy.", view::called(key)));
    if let Some(end) = key.expires_at {
        output.talk(&format!("It ends {} ({end:.0}).", text::relative(end, clock::now())));
    }
    output.talk(&use_of_it(&created.http_listen));
}

/// How programs show the key to a daemon that listens there.
fn use_of_it(listen: &[String]) -> String {
    let mut words =
        "Programs send it as `Authorization: Bearer`, `x-api-key` or `x-proxyd-key`, never in a URL."
            .to_owned();
    // One that listens on a socket file has no URL.
    let urls = listen.iter().map(|listen| address(listen)).filter(|url| url.starts_with("http"));
    for (index, url) in urls.enumerate() {
        let url = text::clean(&url);
        let head = if index == 0 { " With KEY for the key:" } else { "" };
        let _infallible = write!(
            words,
            "{head}\n  ANTHROPIC_BASE_URL={url} ANTHROPIC_AUTH_TOKEN=KEY claude\n  OPENAI_BASE_URL={url}/v1 OPENAI_API_KEY=KEY"
        );
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_use_of_a_key_is_shown_by_the_addresses_that_there_are() {
        let told = |listen: &[&str]| use_of_it(&listen.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert!(told(&["unix:/run/http.sock"]).ends_with(", never in a URL."));
        let both = told(&["127.0.0.1:1", "unix:/x", "https://a.example:2"]);
        let lines: Vec<_> = both.lines().map(|line| line.split(' ').take(3).collect::<String>()).collect();
        assert_eq!(both.matches("With KEY for the key:").count(), 1, "{both}");
        assert_eq!(
            lines[1..],
            [
                "ANTHROPIC_BASE_URL=http://127.0.0.1:1",
                "OPENAI_BASE_URL=http://127.0.0.1:1/v1",
                "ANTHROPIC_BASE_URL=https://a.example:2",
                "OPENAI_BASE_URL=https://a.example:2/v1"
            ],
            "{both}"
        );
    }
}
