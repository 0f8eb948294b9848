//! `[metrics]` and `[otlp]`: where what is measured can be read, and where it is sent.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use ::http::{HeaderName, HeaderValue};
use url::{Host, Url};

use super::{Check, duration, optional};
use crate::clock::SignedDuration;
use crate::otlp::Config;
use crate::secret::sensitive_header;

/// More headers no collector wants.
const MOST_OF_HEADERS: u64 = 64 * 1024;

pub(super) fn metrics(check: &mut Check<'_>) -> Option<Vec<SocketAddr>> {
    check.each("metrics.listen", |text| {
        text.parse()
            .map_err(|_| format!("{text:?} is not an address: write ip:port, as in \"127.0.0.1:9464\""))
    })
}

/// A mistake that was told.
pub(super) struct Told;

pub(super) fn otlp(check: &mut Check<'_>) -> Result<Option<Config>, Told> {
    let endpoint = check.text("otlp.endpoint", |text| optional(text, endpoint));
    let headers = check.text("otlp.headers_file", |text| optional(text, |text| headers(Path::new(text))));
    let interval = check.text("otlp.interval", |text| {
        duration(text, SignedDuration::from_millis(10), SignedDuration::from_hours(1))
    });
    let (endpoint, headers) = (endpoint.ok_or(Told)?, headers.ok_or(Told)?);
    let interval = interval.and_then(|interval| Duration::try_from(interval).ok()).ok_or(Told)?;
    let Some(endpoint) = endpoint else { return Ok(None) };
    if headers.is_some() && endpoint.scheme() == "http" && !is_loopback(&endpoint) {
        check.mistake::<()>(
            "otlp.headers_file",
            "would be sent in clear: make otlp.endpoint https, or an address of this machine",
        );
        return Err(Told);
    }
    Ok(Some(Config { endpoint, headers: headers.unwrap_or_default(), interval }))
}

fn endpoint(text: &str) -> Result<Url, String> {
    if !cfg!(feature = "otlp") {
        return Err("this proxyd cannot export by OTLP: build one that can with `cargo build --release -p proxyd --features otlp`, or leave \
                    the key away"
            .to_owned());
    }
    let url = Url::parse(text).map_err(|error| format!("{text:?} is not a URL: {error}"))?;
    match (url.scheme(), url.host()) {
        _ if !url.username().is_empty() || url.password().is_some() => {
            Err("must not hold a user name or password: put a header into otlp.headers_file".to_owned())
        }
        ("http" | "https", Some(_)) if url.query().is_none() && url.fragment().is_none() => Ok(url),
        _ => Err(format!(
            "{text:?} is no collector's: write it as in \"http://127.0.0.1:4318\", without /v1/traces"
        )),
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

/// What it says is shown to nobody: it may be a secret.
fn headers(path: &Path) -> Result<Vec<(HeaderName, HeaderValue)>, String> {
    let unreadable = |error: io::Error| format!("{} cannot be read: {error}", path.display());
    let about = fs::metadata(path).map_err(unreadable)?;
    if !about.is_file() || about.len() > MOST_OF_HEADERS {
        return Err(format!("{} is no file of headers", path.display()));
    }
    if about.mode() & 0o077 != 0 {
        return Err(format!("{0} can be read by others: chmod 600 {0}", path.display()));
    }
    let text = fs::read_to_string(path).map_err(unreadable)?;
    let lines =
        text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'));
    lines
        .map(|(number, line)| {
            header(line)
                .ok_or_else(|| format!("{}:{}: is no header: write name: value", path.display(), number + 1))
        })
        .collect()
}

fn header(line: &str) -> Option<(HeaderName, HeaderValue)> {
    let (name, value) = line.split_once(':')?;
    Some((name.trim().parse().ok()?, sensitive_header(value.trim()).ok()?))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    #[cfg(not(feature = "otlp"))]
    fn a_daemon_that_cannot_export_says_how_to_build_one_that_can() {
        let problem = endpoint("http://127.0.0.1:4318").unwrap_err();
        assert!(problem.contains("--features otlp"), "{problem}");
    }

    #[test]
    #[cfg(feature = "otlp")]
    fn a_collector_is_a_url_without_secrets_or_signals() {
        for good in ["http://127.0.0.1:4318", "https://collector.example/otlp", "http://[::1]:4318/"] {
            assert!(endpoint(good).is_ok(), "{good}");
        }
        for bad in
            ["127.0.0.1:4318", "grpc://x:4317", "https://user:secret@x", "https://x/?key=secret", "unix:/x"]
        {
            let problem = endpoint(bad).unwrap_err();
            assert!(!problem.contains("user:secret"), "{bad}: {problem}");
        }
        assert!(is_loopback(&endpoint("http://localhost:1").unwrap()));
        assert!(!is_loopback(&endpoint("http://192.0.2.1:1").unwrap()));
    }

    #[test]
    fn headers_come_from_a_file_of_their_owners_alone_and_are_shown_to_nobody() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"# for the collector\n\nauthorization: Bearer FAKE\nx-tenant:one\n").unwrap();
        let read = headers(file.path()).unwrap();
        assert_eq!(
            (read.len(), read[0].0.as_str(), read[1].1.as_bytes()),
            (2, "authorization", b"one".as_slice())
        );
        assert!(read[0].1.is_sensitive() && !format!("{read:?}").contains("FAKE"));
        file.write_all(b"no header FAKE\n").unwrap();
        let problem = headers(file.path()).unwrap_err();
        assert!(problem.ends_with(":5: is no header: write name: value"), "{problem}");
        fs::set_permissions(file.path(), fs::Permissions::from_mode(0o640)).unwrap();
        let problem = headers(file.path()).unwrap_err();
        assert!(problem.contains("can be read by others: chmod 600"), "{problem}");
        assert!(headers(Path::new("/nonexistent/headers")).unwrap_err().contains("cannot be read"));
    }
}
