//! The ids of responses and of what they consist of.
//!
//! A response's id is `resp_BASE`, where BASE is upstream's message id without its prefix. What it consists of has ids
//! that hold it: `PREFIX_BASE_PLACE` for an item of the output, `PREFIX_BASE_inPLACE` for one of the input. So an item is
//! found by its id alone.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

const PREFIX: &str = "resp_";
/// Upstream's are about 30 characters long.
const LONGEST: usize = 128;

/// The id of a response, fit to be the name of a file.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize)]
pub struct ResponseId(String);

impl ResponseId {
    /// `None` for what cannot be one of ours.
    pub fn parse(text: &str) -> Option<Self> {
        let base = text.strip_prefix(PREFIX)?;
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        let fits = !base.is_empty() && text.len() <= LONGEST && base.bytes().all(is_plain);
        fits.then(|| Self(text.to_owned()))
    }

    /// The response that an item belongs to, by the item's id.
    pub fn of_item(item: &str) -> Option<Self> {
        let (_, rest) = item.split_once('_')?;
        let (base, place) = rest.rsplit_once('_')?;
        let place = place.strip_prefix("in").unwrap_or(place);
        let is_place = !place.is_empty() && place.bytes().all(|byte| byte.is_ascii_digit());
        if is_place { Self::parse(&format!("{PREFIX}{base}")) } else { None }
    }

    /// The id of the input item at a place, whose kind has this prefix.
    pub fn input_item(&self, prefix: &str, place: usize) -> String {
        let base = self.0.strip_prefix(PREFIX).unwrap_or(&self.0);
        format!("{prefix}_{base}_in{place}")
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ResponseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for ResponseId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not the id of a response"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_ids_are_ids() {
        assert_eq!(ResponseId::parse("resp_01-a_B").unwrap().as_str(), "resp_01-a_B");
        let long = format!("resp_{}", "x".repeat(LONGEST));
        for text in
            ["", "resp_", "msg_01", "resp_a/b", "resp_..", "resp_a.json", "resp_\u{e9}", "resp_a b", &long]
        {
            assert_eq!(ResponseId::parse(text), None, "{text}");
        }
    }

    #[test]
    fn an_item_leads_to_its_response() {
        let response = ResponseId::parse("resp_01AB_c").unwrap();
        let input = response.input_item("msg", 12);
        assert_eq!(input, "msg_01AB_c_in12");
        for item in ["rs_01AB_c_0", "fc_01AB_c_17", &input] {
            assert_eq!(ResponseId::of_item(item).as_ref(), Some(&response), "{item}");
        }
        for item in ["", "rs", "rs_1", "rs_01AB_x", "rs_01AB_in", "rs_a/b_0"] {
            assert_eq!(ResponseId::of_item(item), None, "{item}");
        }
    }
}
