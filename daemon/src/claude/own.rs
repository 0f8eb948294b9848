//! A credential that a caller brought for itself: a login of its own, or an API key of its own. It goes to the provider
//! with that caller's request and nowhere else; nothing of it is kept.

use std::fmt;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use sha2::{Digest, Sha256};

use super::api::{ANTHROPIC_BETA, OAUTH_BETA, X_API_KEY, with_oauth_beta};

/// Every credential of the provider begins so.
const PROVIDERS: &str = "sk-ant-";
/// And every access token of a login so.
const LOGINS: &str = "sk-ant-oat";

/// The headers that carry it, in order, as they came. At least one.
#[derive(Clone)]
pub struct OwnCredential {
    headers: Vec<(HeaderName, HeaderValue)>,
    /// It is a login's token: by its kind, or because its caller asks for the beta that such a token needs.
    is_login: bool,
}

impl OwnCredential {
    /// What a request brings; `None` where it brings nothing of the provider's. Other values (a client key of ours) are left
    /// alone. What is brought twice goes up twice: which one counts is upstream's to say, and none is worth less than an
    /// account of the pool.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let values = [header::AUTHORIZATION, X_API_KEY].into_iter().flat_map(|name| {
            let values = headers.get_all(&name).iter().cloned();
            values.map(move |value| (name.clone(), value)).collect::<Vec<_>>()
        });
        let mut found: Vec<_> =
            values.filter(|(name, value)| token(name, value).is_some_and(is_providers)).collect();
        for (_, value) in &mut found {
            value.set_sensitive(true);
        }
        let (name, first) = found.first()?;
        let lines = headers.get_all(ANTHROPIC_BETA).iter().filter_map(|line| line.to_str().ok());
        let asks_for_login = lines.flat_map(|line| line.split(',')).any(|beta| beta.trim() == OAUTH_BETA);
        let is_login = token(name, first).is_some_and(|token| token.starts_with(LOGINS))
            || (*name == header::AUTHORIZATION && asks_for_login);
        Some(Self { headers: found, is_login })
    }

    /// Tells this credential from others without telling it: hex digits of its SHA-256.
    pub fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        for (name, value) in &self.headers {
            hash.update(token(name, value).unwrap_or_default().as_bytes());
            hash.update([0]);
        }
        let mut hex = format!("{:x}", hash.finalize());
        hex.truncate(32);
        hex
    }

    /// Puts the headers in as they came: the request is the caller's own, and all of it stays so.
    pub(super) fn as_it_came(&self, headers: &mut HeaderMap) {
        headers.extend(self.headers.iter().cloned());
    }

    /// Puts it in as the Messages API wants it: clients of other dialects send every credential as Bearer.
    ///
    /// # Errors
    /// It holds a byte that no header may carry; none that came in one does.
    pub(super) fn as_upstream_wants_it(
        &self,
        headers: &mut HeaderMap,
    ) -> Result<(), header::InvalidHeaderValue> {
        if self.is_login {
            headers.insert(
                header::AUTHORIZATION,
                crate::secret::sensitive_header(&format!("Bearer {}", self.token()))?,
            );
            headers.insert(ANTHROPIC_BETA, with_oauth_beta(headers)?);
        } else {
            headers.insert(X_API_KEY, crate::secret::sensitive_header(self.token())?);
        }
        Ok(())
    }

    /// The first one.
    fn token(&self) -> &str {
        self.headers.first().and_then(|(name, value)| token(name, value)).unwrap_or_default()
    }
}

/// The token of a key's header, or of `Bearer TOKEN` (RFC 6750, section 2.1; the scheme's case does not count).
fn token<'a>(name: &HeaderName, value: &'a HeaderValue) -> Option<&'a str> {
    let text = value.to_str().ok()?.trim();
    if *name == X_API_KEY {
        return Some(text);
    }
    let (scheme, token) = text.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn is_providers(token: &str) -> bool {
    token.strip_prefix(PROVIDERS).is_some_and(|rest| !rest.is_empty() && !rest.contains(' '))
}

impl fmt::Debug for OwnCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OwnCredential(****)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pairs = pairs.iter();
        pairs.map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    fn own(pairs: &[(&'static str, &'static str)]) -> Option<OwnCredential> {
        OwnCredential::of(&headers(pairs))
    }

    /// What goes up for it, in a native request and in a translated one.
    fn sent(own: &OwnCredential) -> [Vec<(String, String)>; 2] {
        let list = |headers: HeaderMap| {
            let pairs = headers.iter();
            pairs.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect()
        };
        let (mut native, mut translated) = (HeaderMap::new(), HeaderMap::new());
        own.as_it_came(&mut native);
        own.as_upstream_wants_it(&mut translated).unwrap();
        [list(native), list(translated)]
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn only_the_providers_credentials_are_ones() {
        for none in [
            &[][..],
            &[("authorization", "Bearer sk-proxyd-FAKE")],
            &[("authorization", "Basic sk-ant-FAKE")],
            &[("authorization", "sk-ant-FAKE")],
            &[("authorization", "Bearer sk-ant-")],
            &[("authorization", "Bearer sk-ant-a b")],
            &[("x-api-key", "dummy")],
            &[("x-api-key", "Bearer sk-ant-FAKE")],
            &[("x-proxyd-key", "sk-ant-FAKE")],
        ] {
            assert!(own(none).is_none(), "{none:?}");
        }
    }

    #[test]
    fn a_native_request_carries_it_as_it_came_and_a_translated_one_as_upstream_wants_it() {
        let beta = ("anthropic-beta", OAUTH_BETA);
        for (came, native, translated) in [
            (
                &[("authorization", "bearer sk-ant-oat01-FAKE")][..],
                &[("authorization", "bearer sk-ant-oat01-FAKE")][..],
                &[("authorization", "Bearer sk-ant-oat01-FAKE"), beta][..],
            ),
            (
                &[("authorization", "Bearer sk-ant-api03-FAKE")],
                &[("authorization", "Bearer sk-ant-api03-FAKE")],
                &[("x-api-key", "sk-ant-api03-FAKE")],
            ),
            (
                &[("x-api-key", "sk-ant-api03-FAKE"), ("authorization", "Bearer sk-proxyd-FAKE")],
                &[("x-api-key", "sk-ant-api03-FAKE")],
                &[("x-api-key", "sk-ant-api03-FAKE")],
            ),
            (
                &[("authorization", "Bearer sk-ant-new-FAKE"), ("anthropic-beta", "a, oauth-2025-04-20")],
                &[("authorization", "Bearer sk-ant-new-FAKE")],
                &[("authorization", "Bearer sk-ant-new-FAKE"), beta],
            ),
            (
                &[("x-api-key", "sk-ant-api03-FAKE2"), ("authorization", "Bearer sk-ant-api03-FAKE1")],
                &[("authorization", "Bearer sk-ant-api03-FAKE1"), ("x-api-key", "sk-ant-api03-FAKE2")],
                &[("x-api-key", "sk-ant-api03-FAKE1")],
            ),
            (
                &[("x-api-key", "sk-ant-api03-FAKE1"), ("x-api-key", "sk-ant-api03-FAKE2")],
                &[("x-api-key", "sk-ant-api03-FAKE1"), ("x-api-key", "sk-ant-api03-FAKE2")],
                &[("x-api-key", "sk-ant-api03-FAKE1")],
            ),
        ] {
            assert_eq!(sent(&own(came).unwrap()), [pairs(native), pairs(translated)], "{came:?}");
        }
    }

    #[test]
    fn it_is_told_apart_and_never_told() {
        let one = own(&[("authorization", "Bearer sk-ant-api03-FAKE-one")]).unwrap();
        let same = own(&[("x-api-key", "sk-ant-api03-FAKE-one")]).unwrap();
        let other = own(&[("x-api-key", "sk-ant-api03-FAKE-two")]).unwrap();
        assert_eq!(one.fingerprint(), same.fingerprint());
        assert_ne!(one.fingerprint(), other.fingerprint());
        let mut sent = HeaderMap::new();
        one.as_it_came(&mut sent);
        one.as_upstream_wants_it(&mut sent).unwrap();
        assert!(!format!("{one:?} {sent:?}").contains("FAKE"));
    }
}
