//! What an API key can look like. Pure.

use crate::seal;

/// Why a text is no API key; `None` where it may be one. The key of another gateway may look like anything that fits into a header.
pub fn api_key_problem(text: &str, for_gateway: bool) -> Option<&'static str> {
    match word(text) {
        Err(problem) => Some(problem),
        Ok(()) if seal::is_sealed(text) => Some("it is a sealed text out of an auth directory, and no key"),
        Ok(()) if !for_gateway && is_oauth(text) => {
            Some("it is an OAuth token; use `proxyctl login claude`, or --setup-token-file for a setup token")
        }
        Ok(()) => None,
    }
}

/// Whether a text fits into a header as it is.
///
/// # Errors
/// Why it does not.
pub fn word(text: &str) -> Result<(), &'static str> {
    match text.len() {
        0 => Err("it is empty"),
        1..=1024 if text.bytes().all(|byte| byte.is_ascii_graphic()) => Ok(()),
        _ => Err("it must be one word of printable ASCII characters"),
    }
}

fn is_oauth(text: &str) -> bool {
    text.starts_with("sk-ant-oat") || text.starts_with("sk-ant-ort")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_key_says_why() {
        for (text, for_gateway, is_key) in [
            ("sk-ant-api03-FAKE", false, true),
            ("anything", true, true),
            ("sk-ant-oat01-FAKE", false, false),
            ("sk-ant-oat01-FAKE", true, true),
            ("proxyd-sealed:v1:00000000:AAAA", true, false),
            ("", false, false),
            ("two words", false, false),
            ("l\u{f6}ng", false, false),
        ] {
            assert_eq!(api_key_problem(text, for_gateway).is_none(), is_key, "{text}");
        }
    }
}
