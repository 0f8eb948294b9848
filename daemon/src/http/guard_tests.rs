//! Hosts, web pages and types of bodies, good and bad.

use super::*;

fn tcp(local: &str) -> Entrance {
    Entrance::Tcp { local: local.parse().unwrap(), tls: false }
}

fn guard() -> Guard {
    Guard {
        hosts: vec!["proxyd.example".to_owned(), "box:9000".to_owned()],
        origins: vec!["http://localhost:3000".to_owned()],
    }
}

fn map(headers: &[(&'static str, &'static str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(*name, HeaderValue::from_static(value));
    }
    map
}

fn status(entrance: Entrance, headers: &[(&'static str, &'static str)]) -> u16 {
    let checked = guard().check(entrance, &Uri::from_static("/v1/messages"), &map(headers)).map(|_| ());
    checked.map_or_else(|error| error.status, |()| 200)
}

#[test]
fn only_the_address_that_was_called_is_a_host() {
    let loopback = tcp("127.0.0.1:8080");
    for host in [
        "127.0.0.1:8080",
        "localhost:8080",
        "LOCALHOST:8080",
        "proxyd.example:8080",
        "proxyd.example",
        "box:9000",
    ] {
        assert_eq!(status(loopback, &[("host", host)]), 200, "{host}");
    }
    let foreign = [
        "localhost",
        "localhost:80",
        "127.0.0.1",
        "127.0.0.2:8080",
        "[::1]:8080",
        "evil.example:8080",
        "localhost.evil.example:8080",
        "sub.proxyd.example",
        "box",
        "box:8080",
        "",
        "localhost:8080, x",
        "localhost:8080 ",
        "user@localhost:8080",
    ];
    for host in foreign {
        assert_eq!(status(loopback, &[("host", host)]), 421, "{host}");
    }
    assert_eq!(status(loopback, &[]), 421);
    assert_eq!(status(loopback, &[("host", "localhost:8080"), ("host", "localhost:8080")]), 421);
}

#[test]
fn each_kind_of_address_has_its_own_names() {
    for (entrance, good, bad) in [
        (tcp("[::1]:8080"), "[::1]:8080", "::1:8080"),
        (tcp("[::ffff:127.0.0.1]:8080"), "127.0.0.1:8080", "[::ffff:127.0.0.1]:8080"),
        (tcp("192.0.2.7:8080"), "192.0.2.7:8080", "localhost:8080"),
        (tcp("127.0.0.1:80"), "localhost", "localhost:8080"),
        (Entrance::Tcp { local: "192.0.2.7:443".parse().unwrap(), tls: true }, "proxyd.example", "proxyd"),
        (Entrance::Unix, "localhost", "localhost:80"),
        (Entrance::Unix, "proxyd.example", "example"),
    ] {
        assert_eq!((status(entrance, &[("host", good)]), status(entrance, &[("host", bad)])), (200, 421));
    }
}

#[test]
fn a_request_that_names_two_hosts_is_misdirected() {
    let check = |uri: &'static str, host| {
        guard().check(tcp("127.0.0.1:8080"), &Uri::from_static(uri), &map(&[("host", host)])).is_ok()
    };
    assert!(check("http://localhost:8080/", "localhost:8080"));
    assert!(!check("http://evil.example/", "localhost:8080"));
    assert!(!check("http://localhost:8080/", "127.0.0.1:8080"));
}

#[test]
fn web_pages_are_refused_but_for_those_that_are_listed() {
    let with = |headers: &[(&'static str, &'static str)]| {
        status(tcp("127.0.0.1:8080"), &[&[("host", "localhost:8080")], headers].concat())
    };
    for origin in [
        "http://localhost:8080",
        "https://localhost:3000",
        "http://localhost:3000/",
        "https://evil.example",
        "null",
        "",
    ] {
        assert_eq!(with(&[("origin", origin)]), 403, "{origin}");
    }
    assert_eq!(with(&[("origin", "http://localhost:3000")]), 200);
    assert_eq!(with(&[("origin", "http://localhost:3000"), ("sec-fetch-site", "same-site")]), 200);
    assert_eq!(with(&[("origin", "http://localhost:3000"), ("origin", "http://localhost:3000")]), 403);
    for site in ["cross-site", "same-site", "", "NONE"] {
        assert_eq!(with(&[("sec-fetch-site", site)]), 403, "{site}");
    }
    assert_eq!(with(&[("sec-fetch-site", "none"), ("sec-fetch-site", "cross-site")]), 403);
    assert_eq!(with(&[("sec-fetch-site", "none")]), 200);
    assert_eq!(with(&[("sec-fetch-site", "same-origin")]), 200);
}

#[test]
fn a_body_says_that_it_is_json() {
    let check = |method: Method, path: &'static str, headers: &[(&'static str, &'static str)]| {
        check_type(&method, &Uri::from_static(path), &map(headers))
            .map_or_else(|error| error.status, |()| 200)
    };
    let length = ("content-length", "2");
    for kind in ["application/json", "Application/JSON; charset=utf-8", "application/merge-patch+json"] {
        assert_eq!(check(Method::POST, "/v1/messages", &[length, ("content-type", kind)]), 200, "{kind}");
    }
    for kind in
        ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "", "json", "+json"]
    {
        assert_eq!(check(Method::POST, "/v1/messages", &[length, ("content-type", kind)]), 415, "{kind}");
    }
    assert_eq!(check(Method::POST, "/v1/messages", &[length]), 415);
    assert_eq!(check(Method::POST, "/v1/messages", &[("transfer-encoding", "chunked")]), 415);
    let twice = [length, ("content-type", "application/json"), ("content-type", "text/plain")];
    assert_eq!(check(Method::POST, "/v1/messages", &twice), 415);
    assert_eq!(check(Method::POST, "/v1/messages/batches/x/cancel", &[("content-length", "0")]), 200);
    assert_eq!(check(Method::POST, "/v1/files", &[length, ("content-type", "multipart/form-data")]), 200);
    assert_eq!(check(Method::DELETE, "/v1/files/x", &[]), 200);
}
