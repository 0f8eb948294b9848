//! Request bodies, read whole within bounds; and those that are refused, taken in so that the client hears
//! why.

use std::io::Read;
use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use flate2::read::MultiGzDecoder;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, EXPECT, HeaderMap};
use http_body_util::BodyExt as _;

use crate::wire::error::{ApiError, ErrorKind};

/// What the provider itself takes for messages and count_tokens.
const LIMIT: usize = 32 * 1024 * 1024;
/// Memory is taken for what came, not for what was announced.
const FIRST_BUFFER: usize = 1024 * 1024;
/// A body that makes no progress for this long is given up.
const STALLED: Duration = Duration::from_mins(1);
/// What is taken of a refused body, in bytes and in time.
const MOST_DISCARDED: usize = 8 * LIMIT;
const DISCARDING: Duration = Duration::from_secs(10);

/// Reads and decodes a body.
pub(super) async fn read(headers: &HeaderMap, mut body: Body) -> Result<Bytes, ApiError> {
    let encoding = match Encoding::of(headers) {
        Ok(encoding) => encoding,
        Err(refusal) => {
            discard(headers, body).await;
            return Err(refusal);
        }
    };
    let announced =
        headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > LIMIT) {
        discard(headers, body).await;
        return Err(too_large());
    }
    let mut whole = BytesMut::with_capacity(announced.unwrap_or(0).min(FIRST_BUFFER));
    loop {
        let frame = match tokio::time::timeout(STALLED, body.frame()).await {
            Ok(Some(Ok(frame))) => frame,
            Ok(Some(Err(_))) => return Err(ApiError::invalid_request("the request body broke off")),
            Ok(None) => break,
            Err(_) => {
                let message = format!("the request body made no progress for {} seconds", STALLED.as_secs());
                return Err(ApiError::new(ErrorKind::Timeout, message).with_status(408));
            }
        };
        let Ok(data) = frame.into_data() else { continue };
        if whole.len() + data.len() > LIMIT {
            drop(whole);
            drain(body).await;
            return Err(too_large());
        }
        whole.extend_from_slice(&data);
    }
    match encoding {
        Encoding::Identity => Ok(whole.freeze()),
        Encoding::Gzip => gunzip(&whole),
    }
}

/// Takes in a body that is refused, within bounds. Most clients send all of it before they read: were the
/// connection closed on them meanwhile, they would see it break instead of the reason. One that asked first
/// (`expect: 100-continue`) is told at once.
pub(super) async fn discard(headers: &HeaderMap, body: Body) {
    if !headers.contains_key(EXPECT) {
        drain(body).await;
    }
}

async fn drain(mut body: Body) {
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

fn gunzip(packed: &[u8]) -> Result<Bytes, ApiError> {
    let mut plain = Vec::new();
    let decoding = MultiGzDecoder::new(packed).take(LIMIT as u64 + 1).read_to_end(&mut plain);
    match decoding {
        Ok(length) if length > LIMIT => Err(too_large()),
        Ok(_) => Ok(plain.into()),
        Err(_) => {
            Err(ApiError::invalid_request("the request body is not the gzip its content-encoding says"))
        }
    }
}

fn too_large() -> ApiError {
    ApiError::too_large(format!("the request body is larger than {} MiB", LIMIT / 1024 / 1024))
}
