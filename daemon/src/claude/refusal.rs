//! What a refusal of the token endpoint is about. Pure.
//!
//! RFC 6749, section 5.2 has few error words, and RFC 7636, section 4.6 answers a wrong verifier with the same
//! `invalid_grant` as a wrong code: only the description tells them apart, and its wording is the issuer's own.

/// What was wrong with the request, as far as its refusal says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Grounds {
    /// The code (of a refresh: the token) is wrong, spent or too old.
    Grant,
    /// The code was made for another verifier.
    Verifier,
    /// The redirect URI is not the one the code was made for, or is not registered.
    RedirectUri,
    Other,
}

/// A description that mentions several is about the first of them here.
const ABOUT: [(&str, Grounds); 5] = [
    ("redirect", Grounds::RedirectUri),
    ("verifier", Grounds::Verifier),
    ("code challenge", Grounds::Verifier),
    ("pkce", Grounds::Verifier),
    ("proof key", Grounds::Verifier),
];

/// Tells by the error word and by what the description mentions.
pub(super) fn grounds(error: &str, description: Option<&str>) -> Grounds {
    let words = format!("{error} {}", description.unwrap_or_default());
    let words = words.to_ascii_lowercase().replace(['_', '-'], " ");
    let about = ABOUT.iter().find(|(word, _)| words.contains(word)).map(|(_, grounds)| *grounds);
    match about {
        Some(grounds) => grounds,
        None if error == "invalid_grant" => Grounds::Grant,
        None => Grounds::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_told_apart_by_word_and_description() {
        for (error, description, expected) in [
            ("invalid_grant", None, Grounds::Grant),
            ("invalid_grant", Some("Invalid authorization code"), Grounds::Grant),
            ("invalid_grant", Some("The code has expired"), Grounds::Grant),
            ("invalid_grant", Some("code_verifier does not match the code_challenge"), Grounds::Verifier),
            ("invalid_grant", Some("PKCE verification failed"), Grounds::Verifier),
            ("invalid_request", Some("Missing code verifier"), Grounds::Verifier),
            ("invalid_grant", Some("Code challenge failed."), Grounds::Verifier),
            ("invalid_grant", Some("redirect_uri does not match"), Grounds::RedirectUri),
            ("invalid_request", Some("Invalid 'redirect_uri' in request."), Grounds::RedirectUri),
            ("invalid_request", Some("The redirect URI is not registered"), Grounds::RedirectUri),
            ("redirect_uri_mismatch", None, Grounds::RedirectUri),
            ("invalid_client", Some("Unknown client"), Grounds::Other),
            ("invalid_request", None, Grounds::Other),
            ("unauthorized_client", Some("not today"), Grounds::Other),
            ("no reason given", None, Grounds::Other),
        ] {
            assert_eq!(grounds(error, description), expected, "{error} {description:?}");
        }
    }
}
