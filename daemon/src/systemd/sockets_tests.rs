//! Sockets of each kind under each name.

use std::net::UdpSocket;
use std::os::unix::net::UnixDatagram;

use nix::sys::socket::{SockFlag, socket};

use super::*;

fn tcp() -> Taken {
    let fd = TcpListener::bind("127.0.0.1:0").unwrap().into();
    Taken::socket(fd, AddressFamily::Inet, SockType::Stream, "a TCP socket")
}

fn unix(dir: &tempfile::TempDir, name: &str) -> Taken {
    let fd = UnixListener::bind(dir.path().join(name)).unwrap().into();
    Taken::socket(fd, AddressFamily::Unix, SockType::Stream, "a unix stream socket")
}

fn refused(name: &str, taken: Taken) -> String {
    Given::default().put(7, name, taken).unwrap_err().to_string()
}

#[test]
fn any_number_serves_http_and_one_is_the_control_socket() {
    let dir = tempfile::tempdir().unwrap();
    let mut given = Given::default();
    given.put(3, "http", tcp()).unwrap();
    given.put(4, "http", unix(&dir, "http.sock")).unwrap();
    given.put(5, "control", unix(&dir, "control.sock")).unwrap();
    assert!(matches!(given.http.as_slice(), [GivenHttp::Tcp(_), GivenHttp::Unix(_)]));
    assert_eq!(given.control.as_ref().unwrap().path, dir.path().join("control.sock"));
    let second = given.put(6, "control", unix(&dir, "again.sock")).unwrap_err().to_string();
    assert!(second.contains("file descriptor 6") && second.contains("again.sock"), "{second}");
    drop(given);
    assert!(dir.path().join("control.sock").exists(), "its file is the manager's");
}

#[test]
fn one_of_the_wrong_kind_is_named_with_what_it_is_and_what_it_must_be() {
    let dir = tempfile::tempdir().unwrap();
    let silent = socket(AddressFamily::Unix, SockType::Stream, SockFlag::empty(), None).unwrap();
    let unix_datagrams = UnixDatagram::bind(dir.path().join("datagrams")).unwrap().into();
    for (name, taken, words) in [
        (
            "http",
            Taken::socket(silent, AddressFamily::Unix, SockType::Stream, "a unix stream socket"),
            ["file descriptor 7", "does not listen", "a TCP or unix stream socket that listens"],
        ),
        (
            "http",
            Taken::socket(
                UdpSocket::bind("127.0.0.1:0").unwrap().into(),
                AddressFamily::Inet,
                SockType::Datagram,
                "a UDP socket",
            ),
            ["file descriptor 7, a UDP socket", "\"http\"", "a TCP or unix stream socket that listens"],
        ),
        (
            "control",
            Taken::socket(unix_datagrams, AddressFamily::Unix, SockType::Datagram, "a unix datagram socket"),
            ["a unix datagram socket at", "\"control\"", "a unix stream socket that listens"],
        ),
        (
            "control",
            tcp(),
            ["a TCP socket at 127.0.0.1:", "\"control\"", "a unix stream socket that listens"],
        ),
        ("metrics", tcp(), ["a TCP socket at 127.0.0.1:", "\"metrics\"", "\"http\" or \"control\""]),
        ("http", Taken::NoSocket, ["file descriptor 7, no socket", "\"http\"", "that listens"]),
    ] {
        let error = refused(name, taken);
        assert!(words.iter().all(|word| error.contains(word)), "{error}");
    }
}

#[test]
fn what_is_meant_for_another_process_is_not_taken() {
    let announced = Announced { pid: Some("1"), fds: Some("2"), names: Some("http:control") };
    let given = Given::take(announced).unwrap();
    assert!(!given.has_http() && given.control.is_none());
    assert!(!Given::take(Announced { pid: None, ..announced }).unwrap().has_http());
}

#[test]
fn each_socket_needs_a_name_and_their_number_must_be_one() {
    assert_eq!(names(2, Some("http:control")).unwrap(), ["http", "control"]);
    assert_eq!(names(1, None).unwrap(), ["unknown"]);
    assert_eq!(names(0, Some("")).unwrap(), Vec::<&str>::new());
    assert!(matches!(names(2, Some("http")), Err(GivenError::Names { sockets: 2, names: 1 })));
    let pid = std::process::id().to_string();
    for fds in ["many", "-1", "99999999"] {
        let announced = Announced { pid: Some(&pid), fds: Some(fds), names: None };
        assert!(matches!(Given::take(announced), Err(GivenError::Count(_))), "{fds}");
    }
}
