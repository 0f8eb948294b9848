//! Why a login did not complete, in words: what the daemon told about the provider and the disk, and what a
//! provider sent back through the browser.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use prost::Message as _;
use proxy_proto::v1::{LoginFailure as Told, LoginFailureReason as Reason};
use tonic::Status;

use crate::clock;
use crate::exit::Exit;
use crate::text;

const AGAIN: &str = "begin again: `proxyctl login claude`";

/// What the daemon told about a login that it could not complete.
#[derive(Debug)]
pub(crate) struct LoginFailure {
    reason: Reason,
    /// The provider's words, joined.
    words: Option<String>,
    /// How long the provider wants to be left alone.
    wait: Option<Duration>,
    /// The same code may be sent again once what was in the way is gone.
    open: bool,
    /// The daemon's own words.
    message: String,
}

impl LoginFailure {
    /// `None` where the status tells no reason that is known here; then its code has to do.
    pub(crate) fn of(status: &Status, now: Timestamp) -> Option<Self> {
        let told = Told::decode(status.details()).ok()?;
        let reason = Reason::try_from(told.reason).ok().filter(|reason| *reason != Reason::Unspecified)?;
        let retry_at = told.retry_at.and_then(clock::from_proto);
        Some(Self {
            reason,
            words: words(&told.provider_error, Some(&told.provider_description)),
            wait: retry_at.and_then(|at| Duration::try_from(at.duration_since(now)).ok()),
            open: told.open,
            message: status.message().to_owned(),
        })
    }

    /// Whether the login goes on: the same code may be sent again.
    pub(crate) fn is_open(&self) -> bool {
        self.open
    }

    pub(super) fn exit(&self) -> Exit {
        match self.reason {
            Reason::CodeRefused
            | Reason::PkceRefused
            | Reason::RedirectRefused
            | Reason::RequestRefused
            | Reason::ProviderUnreadable => Exit::AuthenticationFailed,
            Reason::NoSpace | Reason::NotWritable => Exit::NotSaved,
            Reason::ProviderUnreachable
            | Reason::ProviderTrouble
            | Reason::ProviderLimits
            | Reason::Unspecified => Exit::Failed,
        }
    }

    pub(super) fn cause(&self) -> Option<String> {
        match self.reason {
            Reason::ProviderLimits => Some(match self.wait {
                Some(wait) => format!("it may be asked again in {}", text::duration(whole(wait))),
                None => "it does not say for how long".to_owned(),
            }),
            _ => self.words.clone().or_else(|| text::not_empty(&self.message)),
        }
    }

    pub(super) fn hint(&self) -> String {
        match self.reason {
            Reason::CodeRefused => {
                format!("a code is good once and for a short time; {AGAIN}")
            }
            Reason::PkceRefused => {
                format!("the code was made for another login: use only the newest URL; {AGAIN}")
            }
            Reason::RedirectRefused => {
                "take the provider's own page instead: `proxyctl login claude --paste`".to_owned()
            }
            Reason::RequestRefused => {
                format!("see whether claude.oauth is right in `proxyd print-config`; {AGAIN}")
            }
            Reason::ProviderUnreadable => {
                format!("see whether claude.oauth.token_url is right in `proxyd print-config`; {AGAIN}")
            }
            Reason::ProviderUnreachable => {
                "see whether the daemon's machine is online and upstream.proxy_url is right; then try again"
                    .to_owned()
            }
            Reason::ProviderLimits if self.wait.is_some() => format!("wait until then; {AGAIN}"),
            Reason::ProviderLimits => format!("wait some minutes; {AGAIN}"),
            Reason::ProviderTrouble | Reason::Unspecified => {
                format!("try again in a moment; {AGAIN}")
            }
            Reason::NoSpace => "make room on that disk, then try again; nothing was written".to_owned(),
            Reason::NotWritable => {
                "correct that directory's rights, owner or mount, then try again; nothing was written"
                    .to_owned()
            }
        }
    }
}

/// What failed, without why.
impl fmt::Display for LoginFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.reason {
            Reason::CodeRefused => "the provider refused the code",
            Reason::PkceRefused => "the provider refused the proof that this login asked for the code (PKCE)",
            Reason::RedirectRefused => "the provider refused the redirect URI",
            Reason::RequestRefused => "the provider refused the login",
            Reason::ProviderLimits => "the provider limits logins right now (429)",
            Reason::ProviderUnreachable
            | Reason::ProviderTrouble
            | Reason::ProviderUnreadable
            | Reason::Unspecified => "cannot complete the login",
            Reason::NoSpace => "no space to save the account",
            Reason::NotWritable => "the account could not be saved",
        })
    }
}

/// What the authorize page sent instead of a code (RFC 6749, section 4.1.2.1).
#[derive(Debug)]
pub(crate) struct Denial {
    pub(crate) error: String,
    pub(crate) description: Option<String>,
}

/// Whose no it was.
enum Denied {
    Person,
    Provider,
    /// Not a no, but trouble.
    Trouble,
}

impl Denial {
    fn by(&self) -> Denied {
        match self.error.as_str() {
            "access_denied" => Denied::Person,
            "server_error" | "temporarily_unavailable" => Denied::Trouble,
            _ => Denied::Provider,
        }
    }

    pub(super) fn exit(&self) -> Exit {
        match self.by() {
            Denied::Person | Denied::Provider => Exit::AuthenticationFailed,
            Denied::Trouble => Exit::Failed,
        }
    }

    pub(super) fn cause(&self) -> Option<String> {
        words(&self.error, self.description.as_deref())
    }

    pub(super) fn hint(&self) -> String {
        match self.by() {
            Denied::Person => format!("to allow it, {AGAIN}"),
            Denied::Provider => {
                format!("see whether claude.oauth is right in `proxyd print-config`; {AGAIN}")
            }
            Denied::Trouble => format!("try again in a moment; {AGAIN}"),
        }
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.by() {
            Denied::Person => "the login was denied in the browser",
            Denied::Provider => "the provider refused the login in the browser",
            Denied::Trouble => "the provider had trouble with the login in the browser",
        })
    }
}

fn words(error: &str, description: Option<&str>) -> Option<String> {
    let description = description.filter(|text| !text.is_empty());
    match description {
        Some(text) if error.is_empty() => Some(text.to_owned()),
        Some(text) => Some(format!("{error}: {text}")),
        None => text::not_empty(error),
    }
}

/// Rounded up: told too short, the wait would be for nothing.
fn whole(wait: Duration) -> Duration {
    Duration::from_secs(wait.as_secs() + u64::from(wait.subsec_nanos() > 0))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use tonic::Code;

    use super::*;

    const NOW: i64 = 1_795_435_200;

    fn failure(told: &Told, message: &str) -> Option<LoginFailure> {
        let status = Status::with_details(Code::Unknown, message, told.encode_to_vec().into());
        LoginFailure::of(&status, Timestamp::from_second(NOW).unwrap())
    }

    fn reason(reason: Reason) -> Told {
        Told { reason: reason.into(), ..Told::default() }
    }

    #[test]
    fn each_reason_has_words_a_hint_and_a_documented_exit_code_of_its_own() {
        let mut texts = HashSet::new();
        for (told, exit) in [
            (Reason::CodeRefused, 15),
            (Reason::PkceRefused, 15),
            (Reason::RedirectRefused, 15),
            (Reason::RequestRefused, 15),
            (Reason::ProviderUnreadable, 15),
            (Reason::ProviderUnreachable, 1),
            (Reason::ProviderTrouble, 1),
            (Reason::ProviderLimits, 1),
            (Reason::NoSpace, 16),
            (Reason::NotWritable, 16),
        ] {
            let message = format!("words of the daemon for {told:?}");
            let failure = failure(&reason(told), &message).unwrap();
            assert_eq!(failure.exit().code(), exit, "{told:?}");
            let words = (failure.to_string(), failure.cause());
            assert!(texts.insert(format!("{words:?}")) && texts.insert(failure.hint()), "{told:?} {words:?}");
        }
    }

    #[test]
    fn the_cause_is_what_the_provider_said() {
        let told = Told {
            provider_error: "invalid_grant".to_owned(),
            provider_description: "Invalid authorization code".to_owned(),
            ..reason(Reason::CodeRefused)
        };
        let failure = failure(&told, "words of the daemon").unwrap();
        assert_eq!(failure.cause().as_deref(), Some("invalid_grant: Invalid authorization code"));
    }

    #[test]
    fn a_wait_is_told_rounded_up() {
        for (seconds, nanos, words) in
            [(30, 0, "it may be asked again in 30s"), (89, 1, "it may be asked again in 1m 30s")]
        {
            let retry_at = Some(prost_types::Timestamp { seconds: NOW + seconds, nanos });
            let told = Told { retry_at, ..reason(Reason::ProviderLimits) };
            assert_eq!(failure(&told, "").unwrap().cause().as_deref(), Some(words));
        }
        assert!(failure(&reason(Reason::ProviderLimits), "").unwrap().cause().is_some());
    }

    #[test]
    fn a_reason_that_is_not_known_and_details_that_are_none_are_left_to_the_status_code() {
        assert!(failure(&Told::default(), "x").is_none());
        assert!(failure(&Told { reason: 99, ..Told::default() }, "x").is_none());
        let nonsense = Status::with_details(Code::Unknown, "x", vec![0xff; 8].into());
        assert!(LoginFailure::of(&nonsense, Timestamp::UNIX_EPOCH).is_none());
    }

    #[test]
    fn a_denial_is_told_from_trouble_and_from_a_refusal() {
        for (error, exit, words) in [
            ("access_denied", 15, "denied"),
            ("server_error", 1, "trouble"),
            ("temporarily_unavailable", 1, "trouble"),
            ("invalid_scope", 15, "refused"),
        ] {
            let denial = Denial { error: error.to_owned(), description: None };
            assert_eq!((denial.exit().code(), denial.cause().as_deref()), (exit, Some(error)));
            assert!(denial.to_string().contains(words), "{denial}");
        }
    }
}
