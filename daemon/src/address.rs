//! Addresses that a person writes: where credentials may be sent, and through which proxy. Pure.

use std::fmt;

use url::{Host, Url};

/// A URL that credentials go to: https, or http on loopback. Anything else would send them in clear.
///
/// # Errors
/// In words, for whoever wrote it.
pub fn upstream_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("{text:?} is not a URL: {error}"))?;
    let loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    };
    match url.scheme() {
        _ if !url.username().is_empty() || url.password().is_some() => {
            Err("must not hold a user name or password".to_owned())
        }
        "https" => Ok(url),
        "http" if loopback => Ok(url),
        "http" => Err(format!("{text:?} must be https: plain http is accepted for loopback addresses only")),
        other => Err(format!("{text:?} must be https, not {other}")),
    }
}

/// An http, https, socks5 or socks5h proxy, maybe with a user name and a password. The password is not shown.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ProxyUrl(Url);

impl ProxyUrl {
    /// # Errors
    /// In words, without the text itself: it may hold a password.
    pub fn parse(text: &str) -> Result<Self, String> {
        let url = Url::parse(text)
            .map_err(|_| "is not a URL: write it as in socks5h://proxy.example:1080".to_owned())?;
        match (url.scheme(), url.host_str()) {
            ("http" | "https" | "socks5" | "socks5h", Some(host)) if !host.is_empty() => Ok(Self(url)),
            ("http" | "https" | "socks5" | "socks5h", _) => Err("names no host".to_owned()),
            (other, _) => Err(format!("must start with http, https, socks5 or socks5h, not {other}")),
        }
    }

    /// The URL with its password. Whoever calls this answers for where it goes.
    pub fn expose(&self) -> &Url {
        &self.0
    }

    /// Scheme, host and port alone.
    pub fn server(&self) -> String {
        let host = self.0.host_str().unwrap_or_default();
        // `url` knows no port of SOCKS; 1080 is the registered one.
        format!("{}://{host}:{}", self.0.scheme(), self.0.port_or_known_default().unwrap_or(1080))
    }

    /// User name and password as the proxy is to get them, where the URL holds any. Whoever calls this answers
    /// for where they go.
    pub fn expose_credentials(&self) -> Option<(String, String)> {
        let (user, password) = (self.0.username(), self.0.password().unwrap_or_default());
        (!user.is_empty() || !password.is_empty()).then(|| (decoded(user), decoded(password)))
    }
}

/// Percent-decoded (RFC 3986, section 2.1). What is not UTF-8 then becomes a replacement character, which no
/// proxy takes.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        bytes.extend_from_slice(before.as_bytes());
        let byte = after.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(byte.unwrap_or(b'%'));
        rest = byte.and_then(|_| after.get(2..)).unwrap_or(after);
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8_lossy(&bytes).into_owned()
}

impl fmt::Display for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = self.0.clone();
        if shown.password().is_some() {
            let _shown_without = shown.set_password(Some("****"));
        }
        f.write_str(shown.as_str())
    }
}

impl fmt::Debug for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProxyUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_go_over_https_or_stay_on_this_machine() {
        for good in [
            "https://gateway.example/anthropic",
            "http://127.0.0.1:9",
            "http://[::1]:9",
            "http://localhost:9",
        ] {
            assert!(upstream_url(good).is_ok(), "{good}");
        }
        for bad in ["http://gateway.example", "ftp://a.example", "https://me:pw@a.example", "gateway"] {
            assert!(upstream_url(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_proxys_password_is_never_shown() {
        let proxy = ProxyUrl::parse("socks5h://me:FAKE-pw@proxy.example:1080").unwrap();
        for shown in [proxy.to_string(), format!("{proxy:?}"), ProxyUrl::parse("me:FAKE-pw").unwrap_err()] {
            assert!(!shown.contains("FAKE-pw"), "{shown}");
        }
        assert_eq!(proxy.expose().password(), Some("FAKE-pw"));
    }

    #[test]
    fn a_proxy_gets_its_credentials_as_they_were_before_they_were_put_into_a_url() {
        let credentials = |text| ProxyUrl::parse(text).unwrap().expose_credentials();
        let pair = |user: &str, password: &str| Some((user.to_owned(), password.to_owned()));
        assert_eq!(credentials("http://me:p%40s%3As%25@proxy.example"), pair("me", "p@s:s%"));
        assert_eq!(credentials("http://m%C3%A9@proxy.example"), pair("m\u{e9}", ""));
        assert_eq!(credentials("http://:FAKE-pw@proxy.example"), pair("", "FAKE-pw"));
        assert_eq!(credentials("http://100%:%zz@proxy.example"), pair("100%", "%zz"));
        assert_eq!(credentials("http://proxy.example"), None);
    }

    #[test]
    fn a_proxys_server_is_its_address_alone() {
        for (text, server) in [
            ("http://me:FAKE-pw@proxy.example/x", "http://proxy.example:80"),
            ("https://proxy.example", "https://proxy.example:443"),
            ("socks5h://proxy.example", "socks5h://proxy.example:1080"),
            ("socks5://[::1]:9", "socks5://[::1]:9"),
        ] {
            assert_eq!(ProxyUrl::parse(text).unwrap().server(), server);
        }
    }

    #[test]
    fn what_is_no_proxy_is_refused() {
        for bad in ["", "proxy.example:1080", "ftp://proxy.example", "socks4://proxy.example", "http://"] {
            assert!(ProxyUrl::parse(bad).is_err(), "{bad}");
        }
    }
}
