//! Why a login failed, as the control API tells it: a status code, words, and for a login that was begun the
//! facts of a `LoginFailure`, from which the client chooses its own words.

use prost::Message as _;
use proxy_proto::v1::{LoginFailure, LoginFailureReason as Reason};
use tonic::{Code, Status};

use super::convert;
use crate::chain::ErrorChain;
use crate::claude::oauth::TokenError;
use crate::claude::refusal::Grounds;
use crate::login::LoginError;
use crate::store::StoreError;

pub(super) fn status(error: &LoginError) -> Status {
    let code = match error {
        LoginError::NotFound => Code::NotFound,
        LoginError::Expired => Code::DeadlineExceeded,
        LoginError::WrongState => Code::InvalidArgument,
        LoginError::TooMany => Code::FailedPrecondition,
        LoginError::CannotSave(_) => Code::ResourceExhausted,
        LoginError::Refused(_) => Code::Unauthenticated,
        LoginError::Unavailable(_) => Code::Unavailable,
        LoginError::Random(_) | LoginError::Aborted => Code::Internal,
    };
    match failure(error) {
        // What the details say already is not said again: the message is the cause alone.
        Some((failure, cause)) => {
            Status::with_details(code, ErrorChain(cause).to_string(), failure.encode_to_vec().into())
        }
        None => Status::new(code, ErrorChain(error).to_string()),
    }
}

fn failure(error: &LoginError) -> Option<(LoginFailure, &(dyn std::error::Error + 'static))> {
    match error {
        LoginError::Refused(cause) => Some((of_provider(cause, false), cause)),
        LoginError::Unavailable(cause) => Some((of_provider(cause, true), cause)),
        LoginError::CannotSave(cause) => Some((of_store(cause), cause)),
        LoginError::NotFound
        | LoginError::Expired
        | LoginError::WrongState
        | LoginError::TooMany
        | LoginError::Random(_)
        | LoginError::Aborted => None,
    }
}

fn of_provider(error: &TokenError, open: bool) -> LoginFailure {
    let mut failure = LoginFailure { open, ..LoginFailure::default() };
    let reason = match error {
        TokenError::InvalidGrant { description } => {
            "invalid_grant".clone_into(&mut failure.provider_error);
            failure.provider_description = description.clone().unwrap_or_default();
            failure.provider_status = 400;
            refused(error.grounds())
        }
        TokenError::Refused { status, error: word, description } => {
            failure.provider_error.clone_from(word);
            failure.provider_description = description.clone().unwrap_or_default();
            failure.provider_status = status.as_u16().into();
            refused(error.grounds())
        }
        TokenError::RateLimited { retry_at } => {
            failure.provider_status = 429;
            failure.retry_at = retry_at.map(convert::timestamp);
            Reason::ProviderLimits
        }
        TokenError::Server { status } => {
            failure.provider_status = status.as_u16().into();
            Reason::ProviderTrouble
        }
        TokenError::Transport(_) => Reason::ProviderUnreachable,
        TokenError::Malformed { .. } => Reason::ProviderUnreadable,
    };
    failure.set_reason(reason);
    failure
}

fn refused(grounds: Option<Grounds>) -> Reason {
    match grounds {
        Some(Grounds::Grant) => Reason::CodeRefused,
        Some(Grounds::Verifier) => Reason::PkceRefused,
        Some(Grounds::RedirectUri) => Reason::RedirectRefused,
        Some(Grounds::Other) | None => Reason::RequestRefused,
    }
}

fn of_store(error: &StoreError) -> LoginFailure {
    let reason = match error {
        StoreError::NoSpace { .. } => Reason::NoSpace,
        StoreError::Io { .. }
        | StoreError::Seal(_)
        | StoreError::Credential { .. }
        | StoreError::Unusable(_) => Reason::NotWritable,
    };
    LoginFailure { reason: reason.into(), open: true, ..LoginFailure::default() }
}

#[cfg(test)]
mod tests {
    use std::io;

    use http::StatusCode;

    use super::*;

    fn told(error: &LoginError) -> (Code, LoginFailure, String) {
        let status = status(error);
        let failure = LoginFailure::decode(status.details()).unwrap();
        (status.code(), failure, status.message().to_owned())
    }

    #[test]
    fn a_refusal_is_told_with_the_providers_words() {
        let description = Some("redirect_uri does not match".to_owned());
        let error = LoginError::Refused(TokenError::InvalidGrant { description });
        let (code, failure, message) = told(&error);
        assert_eq!(
            (code, failure.reason(), failure.open),
            (Code::Unauthenticated, Reason::RedirectRefused, false)
        );
        assert_eq!(failure.provider_description, "redirect_uri does not match");
        assert_eq!(message, "the provider refused it: invalid_grant (redirect_uri does not match)");
    }

    #[test]
    fn what_may_still_succeed_stays_open_and_a_wait_is_told() {
        let at = "2026-06-01T12:00:00Z".parse().unwrap();
        let (code, failure, _) =
            told(&LoginError::Unavailable(TokenError::RateLimited { retry_at: Some(at) }));
        assert_eq!((code, failure.reason(), failure.open), (Code::Unavailable, Reason::ProviderLimits, true));
        assert_eq!(failure.retry_at, Some(convert::timestamp(at)));
        let trouble = TokenError::Server { status: StatusCode::BAD_GATEWAY };
        let (_, failure, message) = told(&LoginError::Unavailable(trouble));
        assert_eq!((failure.reason(), failure.provider_status), (Reason::ProviderTrouble, 502));
        assert_eq!(message, "the provider has trouble (status 502 Bad Gateway)");
    }

    #[test]
    fn a_full_disk_is_told_from_a_directory_that_cannot_be_written() {
        let dir = || std::path::PathBuf::from("/auth");
        let full = StoreError::NoSpace { dir: dir(), source: io::ErrorKind::StorageFull.into() };
        let denied = io::ErrorKind::PermissionDenied.into();
        let closed = StoreError::Io { action: "create a file", dir: dir(), source: denied };
        for (error, reason) in [(full, Reason::NoSpace), (closed, Reason::NotWritable)] {
            let (code, failure, message) = told(&LoginError::CannotSave(error));
            assert_eq!((code, failure.reason(), failure.open), (Code::ResourceExhausted, reason, true));
            assert!(message.contains("/auth"), "{message}");
        }
    }

    #[test]
    fn what_is_no_failure_of_a_begun_login_has_no_details() {
        for error in [LoginError::NotFound, LoginError::Expired, LoginError::WrongState, LoginError::TooMany]
        {
            assert!(status(&error).details().is_empty(), "{error}");
        }
    }
}
