//! What `login` prints.

use jiff::Timestamp;
use serde::Serialize;

use super::{Account, message};

/// `login`: one event a line, on standard output.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum LoginEvent {
    /// The URL to open. Comes first.
    Url {
        url: String,
        /// Where the provider sends the browser afterwards: to this program, or with `--paste` to its own
        /// page.
        redirect_uri: String,
        /// When the login ends unanswered.
        expires_at: Option<Timestamp>,
    },
    /// Everything listens: an answer that comes from now on is taken. Comes after `url`.
    Waiting {
        /// The loopback port on which the browser's answer is awaited; null with `--paste`.
        callback: Option<u16>,
        /// Whether a line of standard input is taken as the answer: a code, `code#state` or the address of the
        /// last page.
        paste: bool,
        /// When the wait ends with `timed_out`.
        until: Timestamp,
    },
    /// A pasted answer was not this login's; another may be given.
    PasteRefused {
        /// What was wrong with it, in words.
        message: String,
    },
    /// The account is saved and in the pool. Nothing follows.
    Done {
        /// The file that was written.
        path: String,
        account: Box<Account>,
        /// An account of the same identity was there: its tokens have been replaced.
        replaced: bool,
        /// Which settings of that account were kept, by their names in `account`.
        kept: Vec<&'static str>,
    },
    /// The login failed. Nothing follows; the same error is on standard error.
    Error {
        /// The word of the exit code; see [`ErrorBody::code`].
        code: &'static str,
        /// What failed and why, in words.
        message: String,
    },
}

impl From<&crate::error::Error> for LoginEvent {
    fn from(err: &crate::error::Error) -> Self {
        Self::Error { code: err.exit().word(), message: message(err) }
    }
}
