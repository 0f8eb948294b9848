//! Secrets as types that cannot print. Each leaves its type through `expose` only, and the callers of that
//! are few: the account's document, the token endpoint's request, [`sensitive_header`] and the one reply that shows a new
//! client key.

use std::fmt;

use http::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

macro_rules! secrets {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone)]
        pub struct $name(SecretString);

        impl $name {
            pub fn new(text: impl Into<String>) -> Self {
                Self(SecretString::from(text.into()))
            }

            /// The secret itself. Whoever calls this answers for where it goes.
            pub fn expose(&self) -> &str {
                self.0.expose_secret()
            }
        }

        impl PartialEq for $name {
            /// Takes the same time wherever the two differ.
            fn eq(&self, other: &Self) -> bool {
                self.expose().as_bytes().ct_eq(other.expose().as_bytes()).into()
            }
        }

        impl Eq for $name {}

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(****)"))
            }
        }
    )*};
}

secrets! {
    /// An OAuth access token (RFC 6749, section 1.4).
    AccessToken;
    /// An OAuth refresh token: single use, the one thing that must never be lost.
    RefreshToken;
    /// An API key of the provider's console.
    ApiKey;
    /// A PKCE code verifier (RFC 7636, section 4.1). Never stored, never sent but to the token endpoint.
    CodeVerifier;
    /// An authorization code (RFC 6749, section 1.3.1): single use, minutes of life.
    AuthorizationCode;
    /// The `state` of a login (RFC 6749, section 10.12).
    LoginState;
    /// What a client presents to be served. Shown once, to whoever had it made; kept as a hash.
    ClientKey;
}

impl RefreshToken {
    /// Names this token without telling it: the first 16 hex digits of its SHA-256.
    pub fn fingerprint(&self) -> String {
        let mut hex = format!("{:x}", Sha256::digest(self.expose().as_bytes()));
        hex.truncate(16);
        hex
    }
}

/// A header value that no `Debug` prints and no HPACK table indexes.
///
/// # Errors
/// The text holds a byte that no header may carry (RFC 9110, section 5.5).
pub fn sensitive_header(text: &str) -> Result<HeaderValue, http::header::InvalidHeaderValue> {
    let mut value = HeaderValue::from_str(text)?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_never_prints_itself() {
        let token = RefreshToken::new("sk-ant-ort01-FAKE");
        assert_eq!(format!("{token:?}"), "RefreshToken(****)");
        let header = sensitive_header("Bearer sk-ant-oat01-FAKE").unwrap();
        assert_eq!(format!("{header:?}"), "Sensitive");
    }

    #[test]
    fn fingerprints_tell_tokens_apart() {
        let one = RefreshToken::new("one");
        assert_eq!(one.fingerprint(), RefreshToken::new("one").fingerprint());
        assert_ne!(one.fingerprint(), RefreshToken::new("two").fingerprint());
    }
}
