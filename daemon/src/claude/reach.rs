//! Whether the provider's hosts answer at all: a HEAD to each, by the configured way and without a credential, for
//! whoever looks for what is wrong.

use std::error::Error;
use std::io;
use std::time::Duration;

use http::header::DATE;
use rustls::CertificateError;
use url::Url;

use super::oauth::{OAuthClient, Unreached};
use super::ways::Way;
use super::{Config, ratelimit};
use crate::chain::ErrorChain;
use crate::clock::{SignedDuration, Timestamp};

/// A person is waiting.
const TIMEOUT: Duration = Duration::from_secs(8);

/// A host answered, whatever it said.
#[derive(Clone, Debug)]
pub struct Answered {
    pub took: Duration,
    asked_at: Timestamp,
    /// The time that the answer tells (RFC 9110, 6.6.1).
    date: Option<Timestamp>,
}

/// It did not.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unanswered {
    pub miss: Miss,
    /// The cause, in words.
    pub why: String,
}

/// How far a call got, by what a person can do about it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Miss {
    /// Its name means no address.
    Name,
    /// Nobody we trust vouches for its certificate.
    Certificate,
    /// Its certificate is not valid now: it, or our clock, is wrong.
    Time,
    /// The proxy refused, or is none.
    Proxy,
    TimedOut,
    Connection,
}

impl Answered {
    /// How far our clock is ahead of the host's, to the second that its answers tell; `None` where it told none.
    pub fn skew(&self) -> Option<SignedDuration> {
        self.date.map(|date| self.asked_at.duration_since(date))
    }
}

/// The hosts that everything depends on, each once: where models answer, and where tokens come from.
pub fn hosts(config: &Config) -> Vec<Url> {
    let mut hosts: Vec<Url> = Vec::new();
    for url in [&config.api_base_url, &config.oauth.token_url] {
        let mut host = url.clone();
        host.set_path("/");
        host.set_query(None);
        if !hosts.contains(&host) {
            hosts.push(host);
        }
    }
    hosts
}

impl OAuthClient {
    /// Asks one of [`hosts`] for nothing.
    pub async fn reach(&self, host: &Url) -> Result<Answered, Unanswered> {
        let asked = self.clock.moment();
        let head = |http: &reqwest::Client| http.head(host.clone()).timeout(TIMEOUT);
        let reply = self.send(&Way::Configured, head).await.map_err(|error| unanswered(&error))?;
        let date = reply.headers().get(DATE).and_then(|date| ratelimit::http_date(date.to_str().ok()?));
        let took = self.clock.moment().boot.since(asked.boot);
        Ok(Answered { took: Duration::try_from(took).unwrap_or_default(), asked_at: asked.wall, date })
    }
}

fn unanswered(error: &Unreached) -> Unanswered {
    let miss = match error {
        Unreached::ProxyRefuses | Unreached::NoWay(_) => Miss::Proxy,
        Unreached::Direct(error) | Unreached::Proxied(error) if error.is_timeout() => Miss::TimedOut,
        Unreached::Direct(error) | Unreached::Proxied(error) => miss(error),
    };
    Unanswered { miss, why: ErrorChain(error).to_string() }
}

fn miss(error: &(dyn Error + 'static)) -> Miss {
    let causes = causes(error);
    match causes.iter().find_map(|cause| cause.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::InvalidCertificate(
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. },
        )) => return Miss::Time,
        Some(rustls::Error::InvalidCertificate(_)) => return Miss::Certificate,
        _ => {}
    }
    // The resolver's and the tunnel's errors have no type that could be asked for.
    let said: Vec<_> = causes.iter().map(ToString::to_string).collect();
    let says = |words: &str| said.iter().any(|said| said.contains(words));
    if says("dns error") {
        Miss::Name
    } else if says("tunnel") || says("socks") || says("proxy") {
        Miss::Proxy
    } else {
        Miss::Connection
    }
}

/// The error and all that led to it. One of I/O holds the one that it was made of, and as its source tells only that one's.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> Vec<&'a (dyn Error + 'static)> {
    let mut causes = vec![error];
    let mut last = error;
    loop {
        let next = match last.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(held) => Some(held as &(dyn Error + 'static)),
            None => last.source(),
        };
        let Some(next) = next else { return causes };
        causes.push(next);
        last = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_certificate_is_seen_however_deep_it_lies() {
        let told = |fault| {
            let inner = io::Error::new(io::ErrorKind::InvalidData, rustls::Error::InvalidCertificate(fault));
            miss(&io::Error::other(io::Error::other(inner)))
        };
        assert_eq!(told(CertificateError::UnknownIssuer), Miss::Certificate);
        assert_eq!(told(CertificateError::Expired), Miss::Time);
        assert_eq!(miss(&io::Error::other("dns error: no such name")), Miss::Name);
        assert_eq!(miss(&io::Error::from(io::ErrorKind::ConnectionRefused)), Miss::Connection);
    }
}
