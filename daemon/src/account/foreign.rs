//! Logins of other programs, told by the form of their files. Pure. Taking one over would make two owners of one refresh
//! token, and each refresh of the one would log out the other.

use serde_json::{Map, Value};

/// Whose login a document is, if it is another program's own.
pub(super) fn owner(document: &Map<String, Value>) -> Option<&'static str> {
    let is_object = |key: &str| document.get(key).is_some_and(Value::is_object);
    if is_object("claudeAiOauth") {
        return Some("Claude Code");
    }
    if is_object("tokens") && (document.contains_key("OPENAI_API_KEY") || document.contains_key("auth_mode"))
    {
        return Some("Codex");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logins_of_other_programs_are_known_by_their_form() {
        for (json, program) in [
            (
                r#"{"claudeAiOauth":{"accessToken":"a","refreshToken":"r","expiresAt":1,"scopes":[]}}"#,
                Some("Claude Code"),
            ),
            (r#"{"OPENAI_API_KEY":null,"tokens":{"access_token":"a"}}"#, Some("Codex")),
            (r#"{"type":"claude","access_token":"a"}"#, None),
            (r#"{"claudeAiOauth":null}"#, None),
        ] {
            assert_eq!(owner(&serde_json::from_str(json).unwrap()), program, "{json}");
        }
    }
}
