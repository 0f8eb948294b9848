//! A browser in small: one request on one connection, every byte of it chosen by the test.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Ipv6Addr, TcpStream};

use super::daemon::{CODE, PATIENCE, STATE};

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

/// The path and query of the callback this login expects.
pub(crate) fn callback() -> String {
    format!("/callback?code={CODE}&state={STATE}")
}

/// Gets a page as a browser would.
pub(crate) fn get(port: u16, target: &str) -> Answer {
    send(port, &format!("GET {target} HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n"))
}

/// The same over IPv6.
pub(crate) fn get_v6(port: u16, target: &str) -> Answer {
    let mut stream = TcpStream::connect((Ipv6Addr::LOCALHOST, port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(format!("GET {target} HTTP/1.1\r\nHost: [::1]:{port}\r\n\r\n").as_bytes()).unwrap();
    read(stream)
}

/// Sends a request as it is and reads to the end.
pub(crate) fn send(port: u16, request: &str) -> Answer {
    let mut stream = open(port, request);
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    parse(&answer)
}

/// Sends a request and does not wait for its answer.
pub(crate) fn open(port: u16, request: &str) -> TcpStream {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    stream
}

/// Reads the answer to a request sent before.
pub(crate) fn read(mut stream: TcpStream) -> Answer {
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    parse(&answer)
}

fn parse(answer: &str) -> Answer {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer:?}"));
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head: head.to_owned(), body: body.to_owned() }
}

/// The callback port of the URL a login printed.
pub(crate) fn port_of(url: &str) -> u16 {
    let port = url.split("&port=").nth(1).unwrap();
    port.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap()
}
