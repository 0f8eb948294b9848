//! What a program is pointed at: where the daemon serves HTTP, and what the program says where it insists on a key.

use std::fmt;
use std::path::PathBuf;

use secrecy::{ExposeSecret as _, SecretString};
use url::{Host, Url};

/// Any word will do where the kernel tells the daemon who calls.
pub(crate) const UNUSED: &str = "unused";

#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) base: Base,
    pub(crate) key: Key,
    /// The models that the person named; where it is empty, the programs' own stay.
    pub(crate) models: Vec<String>,
}

impl Target {
    /// The models to write where there must be one.
    pub(crate) fn models(&self) -> Vec<&str> {
        if self.models.is_empty() {
            vec![super::MODEL]
        } else {
            self.models.iter().map(String::as_str).collect()
        }
    }

    /// The first of them.
    pub(crate) fn model(&self) -> &str {
        self.models.first().map_or(super::MODEL, String::as_str)
    }
}

/// What is said for a key.
#[derive(Debug)]
pub(crate) enum Key {
    Unused,
    Client(ClientKey),
}

/// A client key, and how a program can have it without a copy in its own configuration.
#[derive(Debug)]
pub(crate) struct ClientKey {
    pub(crate) secret: SecretString,
    /// A private file that holds it and nothing else.
    pub(crate) file: PathBuf,
    /// A command that prints it.
    pub(crate) helper: Vec<String>,
}

impl Key {
    /// The key itself, for the environment of a program or its private file.
    pub(crate) fn expose(&self) -> &str {
        match self {
            Self::Unused => UNUSED,
            Self::Client(key) => key.secret.expose_secret(),
        }
    }

    pub(crate) fn is_secret(&self) -> bool {
        matches!(self, Self::Client(_))
    }
}

/// The root of the daemon's HTTP addresses: `http://127.0.0.1:8080`, without a path of `/v1`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Base(Url);

impl Base {
    /// The address that a person gives. One with the `/v1` that other programs want is the same.
    pub(crate) fn given(text: &str) -> Result<Self, String> {
        let url = Url::parse(text).map_err(|_| "write it as in http://127.0.0.1:8080".to_owned())?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(format!("{}:// is not understood; only http:// and https:// are", url.scheme()));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("it holds a name or a password; a client key goes into --key-file".to_owned());
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err("nothing may follow the path".to_owned());
        }
        Ok(Self::rooted(url))
    }

    /// The address of a daemon's own that a program of this machine uses best: a loopback one, if there is one. None where it
    /// listens on sockets of the file system only.
    pub(crate) fn of_daemon(listen: &[String]) -> Option<Self> {
        let url = |listen: &String| match listen.split_once("://") {
            Some(_) => Url::parse(listen).ok(),
            None if listen.contains('/') => None,
            None => Url::parse(&format!("http://{listen}")).ok(),
        };
        let mut bases: Vec<Self> = listen.iter().filter_map(url).map(Self::rooted).collect();
        let first = bases.iter().position(Self::is_loopback).unwrap_or(0);
        (first < bases.len()).then(|| bases.swap_remove(first))
    }

    fn rooted(mut url: Url) -> Self {
        let path = url.path().trim_end_matches('/');
        let path = path.strip_suffix("/v1").unwrap_or(path).trim_end_matches('/').to_owned();
        url.set_path(&path);
        Self(url)
    }

    pub(crate) fn is_loopback(&self) -> bool {
        match self.0.host() {
            Some(Host::Ipv4(ip)) => ip.is_loopback(),
            Some(Host::Ipv6(ip)) => ip.is_loopback(),
            Some(Host::Domain(name)) => name == "localhost",
            None => false,
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.0.port_or_known_default().unwrap_or_default()
    }

    /// The host as a list of hosts without a proxy has it.
    pub(crate) fn host(&self) -> String {
        let host = self.0.host_str().unwrap_or_default();
        host.trim_start_matches('[').trim_end_matches(']').to_owned()
    }

    /// What Anthropic's programs want.
    pub(crate) fn root(&self) -> String {
        self.0.as_str().trim_end_matches('/').to_owned()
    }

    /// What OpenAI's programs want.
    pub(crate) fn v1(&self) -> String {
        format!("{}/v1", self.root())
    }
}

impl fmt::Display for Base {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.root())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_taken_with_and_without_v1() {
        for (text, root) in [
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("http://127.0.0.1:8080/", "http://127.0.0.1:8080"),
            ("http://127.0.0.1:8080/v1", "http://127.0.0.1:8080"),
            ("http://[::1]:8080/v1/", "http://[::1]:8080"),
            ("https://gateway.example/proxyd/v1", "https://gateway.example/proxyd"),
        ] {
            let base = Base::given(text).unwrap();
            assert_eq!((base.root(), base.v1()), (root.to_owned(), format!("{root}/v1")), "{text}");
        }
        for bad in
            ["", "127.0.0.1:8080", "unix:/x", "ftp://x", "http://a:b@x", "http://x/?key=1", "http://x/#y"]
        {
            assert!(Base::given(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_loopback_address_is_preferred_and_a_socket_is_none() {
        let chosen = |listen: &[&str]| {
            let listen: Vec<String> = listen.iter().map(|listen| (*listen).to_owned()).collect();
            Base::of_daemon(&listen).map(|base| base.root())
        };
        assert_eq!(chosen(&["127.0.0.1:8080"]).as_deref(), Some("http://127.0.0.1:8080"));
        assert_eq!(
            chosen(&["unix:/run/x", "192.0.2.7:80", "[::1]:8080"]).as_deref(),
            Some("http://[::1]:8080")
        );
        assert_eq!(chosen(&["https://box.example:8443"]).as_deref(), Some("https://box.example:8443"));
        assert_eq!(chosen(&["unix:/run/proxyd/http.sock"]), None);
        assert_eq!(chosen(&[]), None);
    }
}
