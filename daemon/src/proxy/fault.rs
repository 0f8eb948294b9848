//! What can be wrong with an answer's body once its head was good, and what a client is told of it.

use std::io;

use super::gzip;
use crate::claude::BodyError;
use crate::wire::error::ApiError;
use crate::wire::sse;

/// Why a body did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    #[error(transparent)]
    Body(#[from] BodyError),
    /// The bytes ended as HTTP ends them, but not as the stream's protocol does.
    #[error("upstream ended its stream before its answer was complete")]
    Ended,
    #[error("upstream's answer cannot be read: its gzip is broken")]
    Gzip(#[source] io::Error),
    #[error("upstream's answer grows to more than {} times its size, which is no answer", gzip::MOST_GROWTH)]
    Bomb,
    #[error("upstream's answer is longer than the {} MiB that are read", .0 / 1024 / 1024)]
    TooLong(usize),
    #[error("upstream's stream has an event that is longer than the {} MiB that are read", .0.limit / 1024 / 1024)]
    LongEvent(#[from] sse::TooLong),
    /// A mistake of ours, on whatever upstream sent.
    #[error("a panic ended the answer")]
    Panicked,
}

impl Fault {
    /// What the client is told.
    pub fn told(&self) -> ApiError {
        let gateway = |code| ApiError::bad_gateway(self.to_string()).with_code(code);
        match self {
            Self::Body(BodyError::BrokenOff(_)) | Self::Ended => ApiError::upstream_disconnected(),
            Self::Body(BodyError::Reset(_)) => gateway("upstream_reset"),
            Self::Body(BodyError::Garbled(_)) | Self::Gzip(_) => gateway("upstream_unreadable"),
            Self::Body(BodyError::Silent(_)) => {
                ApiError::timeout(self.to_string()).with_code("upstream_silent")
            }
            Self::Bomb => gateway("upstream_compression"),
            Self::TooLong(_) => gateway("upstream_answer_too_large"),
            Self::LongEvent(_) => gateway("upstream_event_too_large"),
            Self::Panicked => ApiError::internal(),
        }
    }

    /// Whether the connection ended, so that the same may go well over another one.
    pub(super) fn is_cut(&self) -> bool {
        matches!(self, Self::Body(BodyError::BrokenOff(_) | BodyError::Reset(_)) | Self::Ended)
    }

    /// How the story of a request ends that had this one.
    pub(super) fn in_its_story(&self) -> &'static str {
        match self {
            Self::Body(BodyError::BrokenOff(_) | BodyError::Reset(_)) | Self::Ended => {
                ", but upstream broke it off"
            }
            Self::Body(BodyError::Silent(_)) => ", but then upstream said nothing any more",
            Self::Body(BodyError::Garbled(_)) | Self::Gzip(_) => ", but it cannot be read",
            Self::Bomb | Self::TooLong(_) | Self::LongEvent(_) => ", but it is too large to be read",
            Self::Panicked => ", but proxyd made a mistake on it",
        }
    }
}
