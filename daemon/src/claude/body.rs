//! What a call sends: bytes that are all here, in one piece or in several, or an upload that its client is still sending. An
//! upload is sent once: nothing of it is kept, so nothing of it can be sent again.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Empty, Full};

use crate::wire::error::ApiError;
use crate::wire::pieces::Pieces;

/// A call's body. Clones share it.
#[derive(Clone, Debug)]
pub enum CallBody {
    Whole(Bytes),
    Pieces(Arc<Pieces>),
    Upload(Upload),
}

/// A body on its way up. Nothing is taken from the client that upstream does not take.
#[derive(Clone)]
pub struct Upload(Arc<Shared>);

/// What the client sends; the error is the client's own fault, in words for it.
pub type UploadBody = UnsyncBoxBody<Bytes, ApiError>;

struct Shared {
    start: Bytes,
    sending: Mutex<Sending>,
}

struct Sending {
    body: UploadBody,
    /// Bytes taken so far.
    taken: u64,
    /// Which try may take them: a connection whose answer came early would go on taking what the next one is to send.
    turn: u64,
    fault: Option<ApiError>,
}

impl From<Bytes> for CallBody {
    fn from(whole: Bytes) -> Self {
        Self::Whole(whole)
    }
}

impl From<Pieces> for CallBody {
    fn from(pieces: Pieces) -> Self {
        match pieces.single() {
            Some(whole) => Self::Whole(whole.clone()),
            None => Self::Pieces(Arc::new(pieces)),
        }
    }
}

impl CallBody {
    /// The bytes in one place, where all of them are here.
    pub fn whole(&self) -> Option<Bytes> {
        match self {
            Self::Whole(bytes) => Some(bytes.clone()),
            Self::Pieces(pieces) => Some(pieces.joined().clone()),
            Self::Upload(_) => None,
        }
    }

    /// As much of it as is here to be looked at, in its pieces: all of it, or the start of an upload.
    pub fn start(&self) -> impl Iterator<Item = &[u8]> {
        let (one, several) = match self {
            Self::Whole(bytes) => (Some(bytes), None),
            Self::Pieces(pieces) => (None, Some(pieces.iter())),
            Self::Upload(upload) => (Some(&upload.0.start), None),
        };
        one.into_iter().chain(several.into_iter().flatten()).map(AsRef::as_ref)
    }

    /// Whether some of it is gone, so that it cannot be sent (again).
    pub fn is_spent(&self) -> bool {
        self.taken() > 0
    }

    /// Bytes of an upload that went up, or to where they were lost.
    pub(super) fn taken(&self) -> u64 {
        match self {
            Self::Whole(_) | Self::Pieces(_) => 0,
            Self::Upload(upload) => upload.lock().taken,
        }
    }

    /// Why the client's own body did not come to its end.
    pub(super) fn fault(&self) -> Option<ApiError> {
        match self {
            Self::Whole(_) | Self::Pieces(_) => None,
            Self::Upload(upload) => upload.lock().fault.clone(),
        }
    }

    pub(super) fn outgoing(&self) -> Outgoing {
        match self {
            Self::Whole(bytes) => Outgoing::Whole(Full::new(bytes.clone())),
            Self::Pieces(pieces) => Outgoing::Pieces { pieces: Arc::clone(pieces), sent: 0 },
            Self::Upload(upload) => Outgoing::Upload { turn: upload.next_turn(), upload: upload.clone() },
        }
    }
}

impl Upload {
    /// `start` is what `body` begins with, as far as it has come.
    pub fn new(start: Bytes, body: UploadBody) -> Self {
        let sending = Mutex::new(Sending { body, taken: 0, turn: 0, fault: None });
        Self(Arc::new(Shared { start, sending }))
    }

    /// Takes away what was not sent, so that it can be read to its end.
    pub fn rest(&self) -> UploadBody {
        let empty = Empty::new().map_err(|never: std::convert::Infallible| match never {});
        std::mem::replace(&mut self.lock().body, empty.boxed_unsync())
    }

    /// The turn of another try; one that comes too late gets none.
    fn next_turn(&self) -> Option<u64> {
        let mut sending = self.lock();
        (sending.taken == 0).then(|| {
            sending.turn += 1;
            sending.turn
        })
    }

    fn poll_frame(
        &self,
        turn: Option<u64>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Ended>>> {
        let mut sending = self.lock();
        if turn != Some(sending.turn) {
            return Poll::Ready(Some(Err(Ended)));
        }
        match Pin::new(&mut sending.body).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => {
                let length = frame.data_ref().map_or(0, Bytes::len);
                sending.taken = sending.taken.saturating_add(u64::try_from(length).unwrap_or(u64::MAX));
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(fault))) => {
                sending.fault = Some(fault);
                Poll::Ready(Some(Err(Ended)))
            }
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Sending> {
        self.0.sending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Upload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upload").field("taken", &self.lock().taken).finish_non_exhaustive()
    }
}

/// A body as the HTTP client takes it.
#[derive(Debug)]
pub(super) enum Outgoing {
    Whole(Full<Bytes>),
    /// So many of the pieces are sent.
    Pieces {
        pieces: Arc<Pieces>,
        sent: usize,
    },
    Upload {
        upload: Upload,
        turn: Option<u64>,
    },
}

/// The body ended before its end: [`CallBody::fault`] says why, or another try has it.
#[derive(Debug, thiserror::Error)]
#[error("the body did not come to its end")]
pub(super) struct Ended;

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Ended;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Ended>>> {
        match &mut *self {
            Self::Whole(full) => Pin::new(full)
                .poll_frame(context)
                .map(|frame| frame.map(|frame| frame.map_err(|never| match never {}))),
            Self::Pieces { pieces, sent } => {
                let piece = pieces.get(*sent).cloned();
                *sent += 1;
                Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
            }
            Self::Upload { upload, turn } => upload.poll_frame(*turn, context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(full) => full.is_end_stream(),
            Self::Pieces { pieces, sent } => pieces.get(*sent).is_none(),
            Self::Upload { upload, .. } => upload.lock().body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(full) => full.size_hint(),
            Self::Pieces { pieces, sent } => {
                let left: usize = pieces.iter().skip(*sent).map(Bytes::len).sum();
                SizeHint::with_exact(left.try_into().unwrap_or(u64::MAX))
            }
            Self::Upload { upload, .. } => upload.lock().body.size_hint(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upload() -> CallBody {
        let body = Full::new(Bytes::from_static(b"abc")).map_err(|never| match never {});
        CallBody::Upload(Upload::new(Bytes::from_static(b"a"), body.boxed_unsync()))
    }

    /// What the next poll gives: bytes, or the end before the end.
    fn poll(outgoing: &mut Outgoing) -> Result<Bytes, ()> {
        let mut context = Context::from_waker(std::task::Waker::noop());
        match Pin::new(outgoing).poll_frame(&mut context) {
            Poll::Ready(Some(Ok(frame))) => Ok(frame.into_data().unwrap()),
            Poll::Ready(Some(Err(Ended))) => Err(()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_earlier_try_takes_nothing_from_the_next_one() {
        let body = upload();
        let (mut first, mut second) = (body.outgoing(), body.outgoing());
        assert_eq!(poll(&mut first), Err(()));
        assert!(!body.is_spent());
        assert_eq!(poll(&mut second), Ok(Bytes::from_static(b"abc")));
        assert!(body.is_spent());
    }

    #[test]
    fn what_has_begun_is_not_begun_again() {
        let body = upload();
        assert!(poll(&mut body.outgoing()).is_ok());
        assert_eq!(poll(&mut body.outgoing()), Err(()));
        assert!(body.fault().is_none());
    }

    #[test]
    fn bytes_that_are_all_here_are_sent_as_often_as_needed() {
        let body = CallBody::from(Bytes::from_static(b"abc"));
        for _ in 0..2 {
            assert_eq!(poll(&mut body.outgoing()), Ok(Bytes::from_static(b"abc")));
        }
        assert!(!body.is_spent());
    }

    #[test]
    fn so_are_pieces_one_after_the_other() {
        let mut pieces = Pieces::from(Bytes::from_static(b"abc"));
        pieces.push(Bytes::from_static(b"de"));
        let body = CallBody::from(pieces);
        assert_eq!((body.whole().unwrap().as_ref(), body.start().count()), (&b"abcde"[..], 2));
        for _ in 0..2 {
            let mut outgoing = body.outgoing();
            for (piece, left) in [("abc", 5), ("de", 2)] {
                assert_eq!((outgoing.size_hint().exact(), outgoing.is_end_stream()), (Some(left), false));
                assert_eq!(poll(&mut outgoing), Ok(Bytes::from(piece)));
            }
            assert_eq!((outgoing.size_hint().exact(), outgoing.is_end_stream()), (Some(0), true));
        }
        assert!(!body.is_spent());
    }
}
