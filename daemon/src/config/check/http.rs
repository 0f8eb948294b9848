//! `[http]`: where HTTP is served, to whom, and how much of it.

use std::path::PathBuf;
use std::time::Duration;

use super::{Check, duration, optional};
use crate::clock::SignedDuration;
use crate::http::{Config, Deadlines, Limits, Listen, TlsFiles};

/// The shortest of every deadline: what is shorter is a slip of the pen.
const SHORTEST: SignedDuration = SignedDuration::from_millis(10);
const LONGEST: SignedDuration = SignedDuration::from_hours(24);

pub(super) fn config(check: &mut Check<'_>) -> Option<Config> {
    let listen = listen(check);
    let drain = check.span("http.drain", SignedDuration::ZERO, SignedDuration::from_hours(1));
    let auth = check.text("http.auth", str::parse);
    let users = check.each("http.users", name);
    let groups = check.each("http.groups", name);
    let hosts = check.each("http.hosts", host);
    let origins = check.each("http.origins", origin);
    let passthrough = check.boolean("http.passthrough");
    let tls = tls(check);
    let connections = check.number("http.max_connections", 1..=1_000_000);
    let requests = check.number("http.max_requests", 1..=1_000_000);
    let waiting = check.number("http.max_waiting", 0..=1_000_000);
    let body_mib = check.number("http.max_body_memory_mib", 64..=65_536);
    let first_byte = check.span("http.first_byte_timeout", SHORTEST, LONGEST);
    let head = check.span("http.header_timeout", SHORTEST, LONGEST);
    let body = check.span("http.body_timeout", SHORTEST, LONGEST);
    let idle = check.span("http.idle_timeout", SHORTEST, LONGEST);
    let send = check.span("http.send_timeout", SHORTEST, LONGEST);
    Some(Config {
        listen: listen?,
        drain: drain?,
        auth: auth?,
        users: users?,
        groups: groups?,
        hosts: hosts?,
        origins: origins?,
        passthrough: passthrough?,
        tls: tls.ok()?,
        limits: Limits {
            connections: connections? as usize,
            requests: requests? as usize,
            waiting: waiting? as usize,
            body_mib: body_mib?,
        },
        deadlines: Deadlines { first_byte: first_byte?, head: head?, body: body?, idle: idle?, send: send? },
    })
}

fn listen(check: &mut Check<'_>) -> Option<Vec<Listen>> {
    let listen = check.each("http.listen", str::parse::<Listen>)?;
    if listen.is_empty() {
        return check.mistake("http.listen", "must name at least one address");
    }
    Some(listen)
}

/// A mistake that was told.
struct Told;

fn tls(check: &mut Check<'_>) -> Result<Option<TlsFiles>, Told> {
    let file = |text: &str| optional(text, |text| Ok(PathBuf::from(text)));
    let (cert, key) = (check.text("http.tls_cert", file), check.text("http.tls_key", file));
    let (path, problem) = match (cert.ok_or(Told)?, key.ok_or(Told)?) {
        (Some(cert), Some(key)) => return Ok(Some(TlsFiles { cert, key })),
        (None, None) => return Ok(None),
        (Some(_), None) => ("http.tls_cert", "needs its key: set http.tls_key, too"),
        (None, Some(_)) => ("http.tls_key", "needs a certificate: set http.tls_cert, too"),
    };
    check.mistake::<()>(path, problem);
    Err(Told)
}

fn name(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Err("an empty name means nobody".to_owned()),
        name => Ok(name.to_owned()),
    }
}

fn host(text: &str) -> Result<String, String> {
    let authority = text.parse::<::http::uri::Authority>().ok().filter(|_| !text.contains('@'));
    authority
        .map(|_| text.to_owned())
        .ok_or_else(|| format!("{text:?} is no name of a host: write name or name:port, without http://"))
}

/// As browsers write it (RFC 6454, section 6.2): scheme, host and a port that is not the scheme's.
fn origin(text: &str) -> Result<String, String> {
    let url = url::Url::parse(text).ok();
    let is_origin =
        url.as_ref().is_some_and(|url| url.origin().is_tuple() && url.origin().ascii_serialization() == text);
    if is_origin {
        return Ok(text.to_owned());
    }
    let hint = url.filter(|url| url.origin().is_tuple()).map(|url| url.origin().ascii_serialization());
    Err(match hint {
        Some(hint) => format!("{text:?} is not written as browsers write an origin: {hint:?}"),
        None => format!("{text:?} is no origin: write it as in \"http://localhost:3000\""),
    })
}

impl Check<'_> {
    fn span(&mut self, path: &str, least: SignedDuration, most: SignedDuration) -> Option<Duration> {
        let span = self.text(path, |text| duration(text, least, most))?;
        Duration::try_from(span).ok()
    }
}
