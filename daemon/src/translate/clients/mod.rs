//! How the official clients read what is sent to them, for tests: frame by frame, with a check of what each API
//! promises, and put together at the end.
//!
//! The fuzz targets take these files in, too. They know nothing of how a stream is made.

pub(crate) mod chat;
pub(crate) mod responses;

use serde_json::{Value, json};

/// The frames of an event stream as names and data; written here anew, so that the daemon's own reader is not its own
/// judge. What is no frame is a comment.
fn frames(stream: &str) -> Vec<(Option<&str>, &str)> {
    assert!(stream.is_empty() || stream.ends_with("\n\n"), "the last frame is cut");
    let mut frames = Vec::new();
    for frame in stream.split_terminator("\n\n") {
        if frame.starts_with(':') {
            assert!(!frame.contains('\n'), "a comment stands alone: {frame}");
            continue;
        }
        let (name, data) = match frame.split_once('\n') {
            Some((name, data)) => (Some(name.strip_prefix("event: ").unwrap()), data),
            None => (None, frame),
        };
        assert!(!data.contains('\n'), "one line of data: {frame}");
        frames.push((name, data.strip_prefix("data: ").unwrap()));
    }
    frames
}

fn append(slot: &mut Value, more: &Value) {
    *slot = json!(slot.as_str().unwrap().to_owned() + more.as_str().unwrap());
}
