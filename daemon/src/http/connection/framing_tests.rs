//! Requests whole and cut anywhere, sound and not.

use super::*;

/// What goes on, as pieces arrive and what is not released stays held; and how it ended.
fn feed(pieces: &[&[u8]]) -> Result<(usize, bool), Fault> {
    let (mut framing, mut held, mut released) = (Framing::default(), Vec::new(), 0);
    for piece in pieces {
        held.extend_from_slice(piece);
        let on = framing.release(&held)?;
        held.drain(..on);
        released += on;
        if let Some(fault) = framing.fault() {
            return Err(fault);
        }
    }
    Ok((released, held.is_empty() && framing.is_in_head()))
}

fn whole(text: &str) -> Result<(usize, bool), Fault> {
    feed(&[text.as_bytes()])
}

const GOOD: [&str; 6] = [
    "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST /v1/messages HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabcde",
    "POST / HTTP/1.0\r\nContent-Length: 0\r\n\r\n",
    "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\ntransfer-encoding:\tCHUNKED \r\n\r\n0\r\nx: y\r\nz: 1\r\n\r\n",
    "\r\n\r\nGET /?a=b HTTP/1.1\r\nX: \u{e4}\r\n\r\n",
];

#[test]
fn a_request_and_the_next_go_on_whole_at_any_split() {
    for first in GOOD {
        for second in GOOD {
            let both = format!("{first}{second}");
            let bytes = both.as_bytes();
            for at in 0..=bytes.len() {
                let (head, tail) = bytes.split_at(at);
                assert_eq!(feed(&[head, tail]), Ok((bytes.len(), true)), "{both:?} split at {at}");
            }
            let single: Vec<_> = bytes.chunks(1).collect();
            assert_eq!(feed(&single), Ok((bytes.len(), true)), "{both:?} by bytes");
        }
    }
}

#[test]
fn nothing_of_a_head_goes_on_before_all_of_it_was_judged() {
    let head = "POST / HTTP/1.1\r\nContent-Length: 1\r\n\r\n";
    for at in 0..head.len() {
        let (start, _) = head.split_at(at);
        assert_eq!(whole(start).unwrap().0, 0, "{start:?}");
    }
    assert_eq!(whole(&format!("{head}aGET / HT")).unwrap(), (head.len() + 1, false));
}

#[test]
fn what_could_be_read_in_two_ways_is_refused_at_any_split() {
    let with = |fields: &str| format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n");
    let chunks = |body: &str| format!("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
    let refused = [
        with("Content-Length: 5\r\nTransfer-Encoding: chunked"),
        with("Transfer-Encoding: chunked\r\nContent-Length: 5"),
        with("Content-Length: 5\r\nContent-Length: 5"),
        with("Content-Length: 5\r\ncontent-length: 6"),
        with("Content-Length: 5, 5"),
        with("Content-Length: +5"),
        with("Content-Length: -5"),
        with("Content-Length: 0x5"),
        with("Content-Length: 5 5"),
        with("Content-Length:"),
        with("Content-Length: 99999999999999999999"),
        with("Content-Length : 5"),
        with(" Content-Length: 5"),
        with("X: a\r\n folded: 5"),
        with("X: a\r\n\tfolded"),
        with("Transfer-Encoding: gzip, chunked"),
        with("Transfer-Encoding: chunked, chunked"),
        with("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"),
        with("Transfer-Encoding: identity"),
        with("Transfer-Encoding: xchunked"),
        with("Transfer-Encoding:"),
        with("Transfer\u{b}-Encoding: chunked"),
        with("no colon"),
        with(": no name"),
        with("X: a\0b"),
        with("X: a\x7f"),
        with("X: a\rContent-Length: 5"),
        with("X: a\nContent-Length: 5"),
        "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned(),
        "GET / HTTP/1.1\nHost: a\n\n".to_owned(),
        "GET / HTTP/1.1\r\nHost: a\n\r\n".to_owned(),
        "GET  / HTTP/1.1\r\n\r\n".to_owned(),
        "GET / HTTP/1.1 \r\n\r\n".to_owned(),
        "GET /\r\n\r\n".to_owned(),
        "GET /\u{e4} HTTP/1.1\r\n\r\n".to_owned(),
        "GET /<a> HTTP/1.1\r\n\r\n".to_owned(),
        "GET http:/// HTTP/1.1\r\n\r\n".to_owned(),
        "G@T / HTTP/1.1\r\n\r\n".to_owned(),
        chunks("5;ext=1\r\nabcde\r\n0\r\n\r\n"),
        chunks("5\nabcde\r\n0\r\n\r\n"),
        chunks("5\r\nabcdeX\r\n0\r\n\r\n"),
        chunks("5\r\nabcde\n0\r\n\r\n"),
        chunks("0x5\r\nabcde\r\n0\r\n\r\n"),
        chunks("-5\r\nabcde\r\n0\r\n\r\n"),
        chunks(" 5\r\nabcde\r\n0\r\n\r\n"),
        chunks("\r\n\r\n"),
        chunks("1000000000000000\r\n"),
        chunks("0\r\nx: a\0b\r\n\r\n"),
        chunks("0\r\nx: a\nb\r\n\r\n"),
    ];
    for text in refused {
        let bytes = text.as_bytes();
        for at in 0..=bytes.len() {
            let (head, tail) = bytes.split_at(at);
            assert!(matches!(feed(&[head, tail]), Err(Fault::Malformed(_))), "{text:?} split at {at}");
        }
    }
}

#[test]
fn a_sound_request_goes_on_before_what_follows_it_is_refused() {
    let sound = "GET / HTTP/1.1\r\n\r\n";
    let mut framing = Framing::default();
    let both = format!("{sound}GET / HTTP/1.1\nHost: a\n\n");
    assert_eq!(framing.release(both.as_bytes()), Ok(sound.len()));
    assert!(framing.fault().is_some());
}

#[test]
fn other_versions_and_tunnels_are_named() {
    assert_eq!(whole("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), Err(Fault::Version));
    assert_eq!(whole("GET / HTTP/3.0\r\n\r\n"), Err(Fault::Version));
    assert_eq!(whole("CONNECT a:1 HTTP/1.1\r\n\r\n"), Err(Fault::Tunnel));
}

#[test]
fn heads_and_trailers_are_bounded() {
    let long = "a".repeat(MOST_HEAD);
    assert_eq!(whole(&format!("GET / HTTP/1.1\r\nX: {long}")), Err(Fault::HeadTooLarge));
    assert_eq!(whole(&format!("GET / HTTP/1.1\r\nX: {long}\r\n\r\n")), Err(Fault::HeadTooLarge));
    let many = "X: a\r\n".repeat(MOST_HEADERS + 1);
    assert_eq!(whole(&format!("GET / HTTP/1.1\r\n{many}\r\n")), Err(Fault::HeadTooLarge));
    let trailers = "x: aaaaaaaaaaaaaaaa\r\n".repeat(MOST_TRAILERS / 16);
    let text = format!("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n{trailers}\r\n");
    assert!(matches!(whole(&text), Err(Fault::Malformed(_))));
}

#[test]
fn each_fault_has_a_status_of_its_own_kind() {
    let faults = [Fault::Malformed("x"), Fault::HeadTooLarge, Fault::Version, Fault::Tunnel, Fault::Late];
    assert_eq!(faults.map(Fault::status), [400, 431, 505, 405, 408]);
    assert!(faults.iter().all(|fault| !fault.to_string().is_empty()));
}
