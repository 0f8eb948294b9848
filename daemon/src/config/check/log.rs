//! How log lines are written.

use std::str::FromStr;

/// In which form.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LogFormat {
    /// The journal's where systemd leads our lines there, text else.
    Auto,
    Text,
    Json,
    Journal,
}

impl FromStr for LogFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim().to_ascii_lowercase().as_str() {
            "auto" => Ok(Self::Auto),
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            "journal" => Ok(Self::Journal),
            _ => Err(format!("{text:?} must be one of auto, text, json, journal")),
        }
    }
}
