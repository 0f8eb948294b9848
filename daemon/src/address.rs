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
        let url = Url::parse(text).map_err(|error| format!("is not a URL: {error}"))?;
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
    fn what_is_no_proxy_is_refused() {
        for bad in ["", "proxy.example:1080", "ftp://proxy.example", "socks4://proxy.example", "http://"] {
            assert!(ProxyUrl::parse(bad).is_err(), "{bad}");
        }
    }
}
