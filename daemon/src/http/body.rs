//! Request bodies, read whole within bounds, or passed on while they come.

use std::io::Read;
use std::time::Duration;

use axum::body::{Body, HttpBody};
use bytes::{Bytes, BytesMut};
use flate2::read::MultiGzDecoder;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, HeaderMap};
use http::request::Parts;
use http_body_util::BodyExt as _;

use super::admission::{Overloaded, Room};
use super::connection::MOST_BUFFERED;
use super::patient::{Interrupted, Stalled};
use super::upload::Incoming;
use crate::claude::{CallBody, Upload};
use crate::proxy::ProxyError;
use crate::tasks::Tasks;

use crate::wire::error::{ApiError, ErrorKind};
use crate::wire::pieces::Pieces;

pub(super) const MIB: usize = 1024 * 1024;
/// What the provider itself takes for messages and count_tokens.
const LIMIT: usize = 32 * MIB;
/// Memory is taken for what came, not for what was announced; and what is held of a body that is passed on.
const FIRST_BUFFER: usize = MIB;
/// A body that goes on as it is stays in pieces of about this length. A piece that comes is kept as it is where it fills half of the
/// buffer it was read into, which it keeps; shorter ones are joined.
const PIECE: usize = MOST_BUFFERED / 2;
/// What is taken of an upload that nobody wants any more, in bytes and in time.
const MOST_DISCARDED: usize = 8 * LIMIT;
const DISCARDING: Duration = Duration::from_secs(10);

/// Reads and decodes a body that is to be looked at, in one place.
pub(super) async fn read(tasks: &Tasks, head: &Parts, body: Body) -> Result<Bytes, ApiError> {
    gather(tasks, head, body, usize::MAX).await.map(|pieces| pieces.joined().clone())
}

/// The same of one that goes on as it is, and that stays in its pieces where it is long.
pub(super) async fn read_in_pieces(tasks: &Tasks, head: &Parts, body: Body) -> Result<Pieces, ApiError> {
    gather(tasks, head, body, PIECE).await
}

/// A body in pieces of at most `most_joined` bytes, but for those that are longer when they come.
async fn gather(tasks: &Tasks, head: &Parts, mut body: Body, most_joined: usize) -> Result<Pieces, ApiError> {
    let headers = &head.headers;
    let mut memory = Memory::of(head);
    let encoding = Encoding::of(headers)?;
    let announced = announced(headers);
    if announced.is_some_and(|length| length > LIMIT as u64) {
        return Err(too_large(LIMIT));
    }
    let most_joined = if matches!(encoding, Encoding::Gzip) { usize::MAX } else { most_joined };
    let (mut pieces, mut joined) = (Pieces::default(), buffer(announced, most_joined));
    while let Some(data) = next(&mut body).await? {
        let length = pieces.len() + joined.len();
        if length + data.len() > LIMIT {
            return Err(too_large(LIMIT));
        }
        memory.hold(length + data.len()).await?;
        if joined.len() + data.len() > most_joined {
            pieces.push(memory.of_body(joined.split().freeze()));
            if data.len() >= most_joined {
                pieces.push(memory.of_body(data));
                continue;
            }
        }
        if joined.capacity() < joined.len() + data.len() {
            // So much has come by now that the rest is believed, and what came is moved once.
            let announced = announced.map_or(0, |length| usize::try_from(length).unwrap_or(0));
            let believed = announced.min(LIMIT).saturating_sub(length).min(most_joined);
            joined.reserve(believed.max(data.len()));
        }
        joined.extend_from_slice(&data);
    }
    pieces.push(memory.of_body(joined.freeze()));
    match encoding {
        Encoding::Identity => Ok(pieces),
        Encoding::Gzip => gunzip(tasks, memory, pieces.joined().clone()).await.map(Pieces::from),
    }
}

/// A body of at most `limit` bytes: a small one whole, so that it can be sent again, and of a larger one the start,
/// which says what it refers to; the rest is read while it goes up.
pub(super) async fn take(
    tasks: &Tasks,
    head: &Parts,
    mut body: Body,
    limit: usize,
) -> Result<CallBody, ApiError> {
    let headers = &head.headers;
    let mut memory = Memory::of(head);
    let encoding = Encoding::of(headers)?;
    let announced = announced(headers);
    if announced.is_some_and(|length| length > limit as u64) {
        return Err(too_large(limit));
    }
    let mut start = buffer(announced, usize::MAX);
    while start.len() < FIRST_BUFFER {
        let Some(data) = next(&mut body).await? else {
            return match encoding {
                Encoding::Identity => Ok(start.freeze().into()),
                Encoding::Gzip => Ok(gunzip(tasks, memory, start.freeze()).await?.into()),
            };
        };
        memory.hold(start.len() + data.len()).await?;
        start.extend_from_slice(&data);
    }
    if matches!(encoding, Encoding::Gzip) {
        let message =
            format!("a body of more than {} MiB is taken as it is, not with gzip", FIRST_BUFFER / MIB);
        return Err(ApiError::invalid_request(message).with_status(415));
    }
    let start = start.freeze();
    let incoming = Incoming::new(start.clone(), body, limit);
    Ok(CallBody::Upload(Upload::new(start, incoming.boxed_unsync())))
}

/// The next bytes of a body.
async fn next(body: &mut Body) -> Result<Option<Bytes>, ApiError> {
    loop {
        match body.frame().await {
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => return Ok(Some(data)),
                Err(_trailers) => {}
            },
            Some(Err(error)) => return Err(interrupted(error)),
            None => return Ok(None),
        }
    }
}

/// Reads what is left of an upload whose answer came early, within bounds.
pub(super) async fn drain<B: HttpBody<Data = Bytes> + Unpin>(mut body: B) {
    let draining = async {
        let mut left = MOST_DISCARDED;
        while let Some(Ok(frame)) = body.frame().await {
            match left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) {
                Some(less) => left = less,
                None => return,
            }
        }
    };
    // One that takes longer will see its connection break.
    let _out_of_time = tokio::time::timeout(DISCARDING, draining).await;
}

enum Encoding {
    Identity,
    Gzip,
}

impl Encoding {
    fn of(headers: &HeaderMap) -> Result<Self, ApiError> {
        let Some(encoding) = headers.get(CONTENT_ENCODING) else { return Ok(Self::Identity) };
        match encoding.as_bytes().to_ascii_lowercase().as_slice() {
            b"" | b"identity" => Ok(Self::Identity),
            b"gzip" | b"x-gzip" => Ok(Self::Gzip),
            other => {
                let name = String::from_utf8_lossy(other);
                let message = format!(
                    "the content-encoding {name:?} is not understood: send the body as it is, or with gzip"
                );
                Err(ApiError::invalid_request(message).with_status(415))
            }
        }
    }
}

/// Memory is taken in steps of so much.
const STEP: usize = 256 * 1024;

/// What a body has taken of the memory for all of them.
struct Memory {
    room: Option<Room>,
    taken: usize,
}

impl Memory {
    /// The gatekeeper gave the request its room.
    fn of(head: &Parts) -> Self {
        Self { room: head.extensions.get().cloned(), taken: 0 }
    }

    /// Sees to it that so many bytes are taken.
    async fn hold(&mut self, bytes: usize) -> Result<(), ApiError> {
        while let Some(room) = self.room.as_ref().filter(|_| self.taken < bytes) {
            room.take(STEP).await.map_err(|Overloaded| no_memory())?;
            self.taken += STEP;
        }
        Ok(())
    }

    /// Some of the body, which holds what it takes for as long as it is kept: also by a stream that began before its answer.
    fn of_body(&self, bytes: Bytes) -> Bytes {
        match &self.room {
            Some(room) if !bytes.is_empty() => Bytes::from_owner(Counted { bytes, _room: room.clone() }),
            _ => bytes,
        }
    }

    /// And so many more, at once.
    fn try_hold_more(&self, bytes: usize) -> Result<(), ApiError> {
        self.room.as_ref().map_or(Ok(()), |room| room.try_take(bytes).map_err(|Overloaded| no_memory()))
    }
}

struct Counted {
    bytes: Bytes,
    _room: Room,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

fn no_memory() -> ApiError {
    ApiError::overloaded(
        "the requests that are served already take all the memory there is for them: try again in a moment",
    )
}

/// Inflates off the runtime's threads: 32 MiB take a while.
async fn gunzip(tasks: &Tasks, memory: Memory, packed: Bytes) -> Result<Bytes, ApiError> {
    let inflated = tasks.spawn_blocking(move || {
        let plain = inflate(&memory, &packed)?;
        Ok(memory.of_body(plain))
    });
    let inflated = inflated.await;
    inflated.unwrap_or_else(|_| Err(ApiError::api("proxyd failed to inflate the request body")))
}

fn inflate(memory: &Memory, packed: &[u8]) -> Result<Bytes, ApiError> {
    let (mut plain, mut decoder) = (Vec::new(), MultiGzDecoder::new(packed));
    loop {
        memory.try_hold_more(STEP)?;
        let step = decoder.by_ref().take(STEP as u64).read_to_end(&mut plain);
        match step {
            Ok(0) => return Ok(plain.into()),
            Ok(_) if plain.len() > LIMIT => return Err(too_large(LIMIT)),
            Ok(_) => {}
            Err(_) => {
                let message = "the request body is not the gzip its content-encoding says";
                return Err(ApiError::invalid_request(message));
            }
        }
    }
}

fn announced(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Room for what was announced, but for no more than is wanted in one place.
fn buffer(announced: Option<u64>, wanted: usize) -> BytesMut {
    let announced = usize::try_from(announced.unwrap_or(0)).unwrap_or(FIRST_BUFFER);
    // Of memory that is not written to nothing is taken yet.
    BytesMut::with_capacity(announced.min(wanted).min(4 * FIRST_BUFFER))
}

pub(super) fn too_large(limit: usize) -> ApiError {
    ApiError::too_large(format!("the request body is larger than {} MiB", limit / MIB))
}

/// A body that ended before its end, in words for its client.
pub(super) fn interrupted(error: axum::Error) -> ApiError {
    match error.into_inner().downcast_ref() {
        Some(Interrupted::<hyper::Error>::Stalled(Stalled(patience))) => {
            let message = format!("the request body made no progress for {} seconds", patience.as_secs_f64());
            ApiError::new(ErrorKind::Timeout, message).with_status(408)
        }
        Some(Interrupted::Stopping) => ApiError::overloaded(ProxyError::Stopping.to_string()),
        Some(Interrupted::Broken(_)) | None => ApiError::invalid_request("the request body broke off"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::admission::Admission;
    use http::Request;

    #[tokio::test]
    async fn memory_is_held_for_as_long_as_the_body_is_kept() {
        let admission = Admission::new(1, 0, 512);
        let (mut head, body) = Request::new(Body::from(vec![b' '; STEP])).into_parts();
        head.extensions.insert(admission.room());
        let kept = read(&Tasks::new(), &head, body).await.unwrap();
        drop(head);
        let all = 2 * STEP;
        assert_eq!(admission.room().try_take(all), Err(Overloaded));
        drop(kept);
        assert_eq!(admission.room().try_take(all), Ok(()));
    }

    /// A body that comes in pieces of these lengths.
    fn coming(lengths: &[usize]) -> (Parts, Body, Vec<u8>) {
        let whole: Vec<u8> = (b'a'..=b'w').cycle().take(lengths.iter().sum()).collect();
        let mut rest = Bytes::from(whole.clone());
        let pieces: Vec<_> =
            lengths.iter().map(|length| Ok::<_, std::io::Error>(rest.split_to(*length))).collect();
        let body = Body::from_stream(futures_util::stream::iter(pieces));
        let (head, body) = Request::new(body).into_parts();
        (head, body, whole)
    }

    #[tokio::test]
    async fn a_long_body_stays_in_the_pieces_it_came_in_but_for_small_ones() {
        for (came, kept) in [
            (&[][..], &[0][..]),
            (&[1, PIECE - 1], &[PIECE]),
            (&[PIECE + 1], &[PIECE + 1]),
            (&[1, PIECE, 1], &[1, PIECE, 1]),
            (&[PIECE, PIECE, PIECE - 1, 9, 3 * PIECE], &[PIECE, PIECE, PIECE - 1, 9, 3 * PIECE]),
            (&[PIECE, 9, 9, PIECE / 2, PIECE / 2, 1], &[PIECE, 18 + PIECE / 2, PIECE / 2 + 1]),
        ] {
            let (head, body, whole) = coming(came);
            let pieces = read_in_pieces(&Tasks::new(), &head, body).await.unwrap();
            assert_eq!(pieces.iter().map(Bytes::len).collect::<Vec<_>>(), kept);
            assert!(*pieces.joined() == whole, "{came:?}");
            let (head, body, _) = coming(came);
            assert!(read(&Tasks::new(), &head, body).await.unwrap() == whole, "{came:?}");
        }
    }

    #[tokio::test]
    async fn any_piece_that_is_kept_holds_the_memory_of_its_body() {
        let admission = Admission::new(1, 0, 512);
        let (mut head, body, _) = coming(&[STEP, STEP]);
        head.extensions.insert(admission.room());
        let mut pieces: Vec<_> =
            read_in_pieces(&Tasks::new(), &head, body).await.unwrap().iter().cloned().collect();
        drop(head);
        while pieces.pop().is_some() {
            let is_taken = admission.room().try_take(STEP).is_err();
            assert_eq!(is_taken, !pieces.is_empty());
        }
    }

    #[tokio::test]
    async fn pieces_together_are_no_longer_than_a_body_may_be() {
        let (head, body, _) = coming(&[LIMIT / 2, LIMIT / 2, 1]);
        assert_eq!(read_in_pieces(&Tasks::new(), &head, body).await.unwrap_err().status, 413);
    }
}
