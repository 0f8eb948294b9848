//! Request bodies, read whole within bounds, or passed on while they come.

use std::io::Read;
use std::time::Duration;

use axum::body::{Body, HttpBody};
use bytes::{Bytes, BytesMut};
use flate2::read::MultiGzDecoder;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, HeaderMap, TRANSFER_ENCODING};
use http_body_util::BodyExt as _;

use super::patient::{Interrupted, Stalled};
use super::upload::Incoming;
use crate::claude::{CallBody, Upload};
use crate::tasks::Tasks;

use crate::wire::error::{ApiError, ErrorKind};

pub(super) const MIB: usize = 1024 * 1024;
/// What the provider itself takes for messages and count_tokens.
const LIMIT: usize = 32 * MIB;
/// Memory is taken for what came, not for what was announced; and what is held of a body that is passed on.
const FIRST_BUFFER: usize = MIB;
/// What is taken of an upload that nobody wants any more, in bytes and in time.
const MOST_DISCARDED: usize = 8 * LIMIT;
const DISCARDING: Duration = Duration::from_secs(10);

/// Reads and decodes a body.
pub(super) async fn read(tasks: &Tasks, headers: &HeaderMap, mut body: Body) -> Result<Bytes, ApiError> {
    let encoding = Encoding::of(headers)?;
    let announced = announced(headers);
    if announced.is_some_and(|length| length > LIMIT as u64) {
        return Err(too_large(LIMIT));
    }
    let mut whole = buffer(announced);
    while let Some(data) = next(&mut body).await? {
        if whole.len() + data.len() > LIMIT {
            return Err(too_large(LIMIT));
        }
        whole.extend_from_slice(&data);
    }
    match encoding {
        Encoding::Identity => Ok(whole.freeze()),
        Encoding::Gzip => gunzip(tasks, whole.freeze()).await,
    }
}

/// What the body of a request may take of memory at most: what is announced, where it is, else all that is taken.
pub(super) fn weight(path: &str, headers: &HeaderMap) -> u64 {
    let is_passed_on = ["/v1/files", "/v1/messages/batches"].iter().any(|api| path.starts_with(api));
    let most = if is_passed_on { FIRST_BUFFER } else { LIMIT } as u64;
    if headers.contains_key(CONTENT_ENCODING) {
        // What it is inflated to, too, and the room to grow into.
        return 2 * most;
    }
    match (announced(headers), headers.contains_key(TRANSFER_ENCODING)) {
        (_, true) => most,
        (announced, false) => announced.unwrap_or(0).min(most),
    }
}

/// A body of at most `limit` bytes: a small one whole, so that it can be sent again, and of a larger one the start,
/// which says what it refers to; the rest is read while it goes up.
pub(super) async fn take(
    tasks: &Tasks,
    headers: &HeaderMap,
    mut body: Body,
    limit: usize,
) -> Result<CallBody, ApiError> {
    let encoding = Encoding::of(headers)?;
    let announced = announced(headers);
    if announced.is_some_and(|length| length > limit as u64) {
        return Err(too_large(limit));
    }
    let mut start = buffer(announced);
    while start.len() < FIRST_BUFFER {
        let Some(data) = next(&mut body).await? else {
            return match encoding {
                Encoding::Identity => Ok(start.freeze().into()),
                Encoding::Gzip => Ok(gunzip(tasks, start.freeze()).await?.into()),
            };
        };
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

/// Inflates off the runtime's threads: 32 MiB take a while.
async fn gunzip(tasks: &Tasks, packed: Bytes) -> Result<Bytes, ApiError> {
    let inflated = tasks.spawn_blocking(move || inflate(&packed)).await;
    inflated.unwrap_or_else(|_| Err(ApiError::api("proxyd failed to inflate the request body")))
}

fn inflate(packed: &[u8]) -> Result<Bytes, ApiError> {
    let mut plain = Vec::new();
    let decoding = MultiGzDecoder::new(packed).take(LIMIT as u64 + 1).read_to_end(&mut plain);
    match decoding {
        Ok(length) if length > LIMIT => Err(too_large(LIMIT)),
        Ok(_) => Ok(plain.into()),
        Err(_) => {
            Err(ApiError::invalid_request("the request body is not the gzip its content-encoding says"))
        }
    }
}

fn announced(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn buffer(announced: Option<u64>) -> BytesMut {
    let announced = usize::try_from(announced.unwrap_or(0)).unwrap_or(FIRST_BUFFER);
    BytesMut::with_capacity(announced.min(FIRST_BUFFER))
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
        Some(Interrupted::Stopping) => {
            ApiError::overloaded("proxyd is stopping: send the request again in a moment")
        }
        Some(Interrupted::Broken(_)) | None => ApiError::invalid_request("the request body broke off"),
    }
}
