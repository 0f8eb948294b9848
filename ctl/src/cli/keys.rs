//! `proxyctl keys`: its verbs and what they take.

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand};
use jiff::{SignedDuration, Span, SpanRelativeTo, Timestamp};

use super::accounts::end;

#[derive(Debug, Subcommand)]
pub enum Keys {
    /// Make a key and print it, this once
    #[command(after_help = "Examples:
  proxyctl keys create ci
  proxyctl keys create ci --expires 90d --models 'claude-haiku-*' --rpm 60
  proxyctl keys create guest --accounts build,work --tpm 100000 --wait 10s
  proxyctl keys create ci > ci.key     the key alone goes to standard output

Who has the key may spend what the accounts may buy, within these limits. proxyd keeps a hash and cannot \
show it again.")]
    Create(Create),
    /// List the keys with their limits and what they did since the daemon was started
    #[command(after_help = "Examples:
  proxyctl keys list
  proxyctl keys list --json | jq -r '.keys[] | [.name, .state] | @tsv'")]
    List,
    /// Show everything about one key but the key itself
    #[command(after_help = "Example:\n  proxyctl keys show ci")]
    Show(NamedKey),
    /// End a key for good: no request of it begins any more, those that run may finish
    #[command(after_help = "Examples:
  proxyctl keys revoke ci
  proxyctl keys revoke key_3f2a9c0d71be --yes")]
    Revoke(RevokeKey),
}

#[derive(Debug, Args)]
pub struct Create {
    /// What to call it: 1 to 64 letters, digits, dots, dashes and underscores
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub name: String,
    /// When it ends, as in 2027-06-01, 2027-06-01T12:00:00Z, or from now: 12h, 90d [default: never]
    #[arg(long, value_name = "TIME|DURATION", value_parser = expiry)]
    pub expires: Option<Expiry>,
    /// The models it may use, `*` for any run of characters; may be given several times [default: all]
    #[arg(long, value_name = "PATTERN,..", value_delimiter = ',', value_parser = NonEmptyStringValueParser::new())]
    pub models: Vec<String>,
    /// The accounts that may serve it, each by its id, label, e-mail address or file, or the unique beginning of one of the
    /// first three; may be given several times [default: all]
    #[arg(long, value_name = "ACCOUNT,..", value_delimiter = ',', value_parser = NonEmptyStringValueParser::new(), add = crate::complete::accounts())]
    pub accounts: Vec<String>,
    /// Requests per minute; after a minute without any, so many may come at once [default: no limit]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub rpm: Option<u32>,
    /// Tokens per minute, of requests and answers together; what an answer takes beyond them is paid off by waiting
    /// [default: no limit]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    pub tpm: Option<u64>,
    /// Requests at a time [default: no limit]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub concurrency: Option<u32>,
    /// How long a request may wait in line where a limit is reached, as in 10s or 1m, ten minutes at most; without it, it is
    /// refused at once
    #[arg(long, value_name = "DURATION", value_parser = wait)]
    pub wait: Option<SignedDuration>,
}

#[derive(Debug, Args)]
pub struct NamedKey {
    /// The key: its name or id, or the unique beginning of one
    #[arg(value_parser = NonEmptyStringValueParser::new(), add = crate::complete::keys())]
    pub key: String,
}

#[derive(Debug, Args)]
pub struct RevokeKey {
    #[command(flatten)]
    pub named: NamedKey,
    /// Do not ask; needed where standard input is not a terminal
    #[arg(long, short)]
    pub yes: bool,
}

/// When a key ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiry {
    At(Timestamp),
    /// So long after it was made.
    After(SignedDuration),
}

pub(super) fn expiry(text: &str) -> Result<Expiry, String> {
    if let Ok(at) = end(text) {
        return Ok(Expiry::At(at));
    }
    let span: Option<Span> = text.trim().parse().ok();
    let length = span.and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()).ok());
    match length {
        Some(length) if length.is_positive() => Ok(Expiry::After(length)),
        Some(_) => Err("a key cannot end before it begins".to_owned()),
        None => Err("write it as 2027-06-01, 2027-06-01T12:00:00Z, 12h or 90d".to_owned()),
    }
}

fn wait(text: &str) -> Result<SignedDuration, String> {
    let wait: SignedDuration = text.parse().map_err(|_| "write it as in 10s, 1m or 1m30s".to_owned())?;
    if wait.is_negative() || wait > SignedDuration::from_mins(10) {
        return Err("a request waits at most ten minutes".to_owned());
    }
    Ok(wait)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_ends_at_a_time_or_so_long_from_now() {
        assert_eq!(expiry("2027-06-01"), Ok(Expiry::At("2027-06-01T00:00:00Z".parse().unwrap())));
        for (text, hours) in [("12h", 12), ("90d", 90 * 24), ("1w", 7 * 24), ("1d 12h", 36)] {
            assert_eq!(expiry(text), Ok(Expiry::After(SignedDuration::from_hours(hours))), "{text}");
        }
        for text in ["", "7", "soon", "-1d", "0s", "1 month"] {
            assert!(expiry(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_request_waits_ten_minutes_at_most() {
        assert_eq!(wait("90s"), Ok(SignedDuration::from_secs(90)));
        for text in ["", "10", "11m", "-1s", "1d"] {
            assert!(wait(text).is_err(), "{text}");
        }
    }
}
