//! Whoever reads what was merged reads the same answers, however they came.

use proptest::prelude::*;

use super::*;

const HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nTransfer-Encoding: Chunked\r\n\r\n";

/// What is written may be longer than what was read by a size and its line's end, the end of the data, and a line that was kept back.
const MORE: usize = 2 * DIGITS + 6;

/// What is read in place of these pieces, each come by itself.
fn merged(pieces: &[&[u8]]) -> (String, Chunks) {
    let (mut chunks, mut all) = (Chunks::Head, Vec::new());
    for piece in pieces {
        let mut out = Vec::new();
        chunks.merge(piece, &mut out);
        assert!(out.len() <= piece.len() + MORE, "{} of {}", out.len(), piece.len());
        all.extend(out);
    }
    if !chunks.is_broken() {
        chunks.end(&mut all);
    }
    (String::from_utf8_lossy(&all).into_owned(), chunks)
}

fn whole(text: &str) -> String {
    merged(&[text.as_bytes()]).0
}

#[test]
fn what_came_at_once_is_one_chunk() {
    let text = format!("{HEAD}3\r\none\r\n4\r\n two\r\n1A\r\n{}\r\n0\r\n\r\n", "x".repeat(26));
    let all = format!("{HEAD}21\r\none two{}\r\n0\r\n\r\n", "x".repeat(26));
    assert_eq!(whole(&text), all);
    let (alone, more) = ("3\r\none\r\n", "3\r\ntwo\r\n0\r\ntrailer: a\r\n\r\n");
    let (read, _) = merged(&[HEAD.as_bytes(), alone.as_bytes(), more.as_bytes()]);
    assert_eq!(read, format!("{HEAD}3\r\none\r\n3\r\ntwo\r\n0\r\ntrailer: a\r\n\r\n"));
}

#[test]
fn a_chunk_that_has_not_come_whole_leaves_as_far_as_it_came() {
    let (read, _) = merged(&[format!("{HEAD}8\r\nha").as_bytes(), b"lf of", b" \r\n", b"4\r\nmore\r\n"]);
    let parts = ["2\r\nha\r\n", "5\r\nlf of\r\n", "1\r\n \r\n", "4\r\nmore\r\n"];
    assert_eq!(read, [HEAD, &parts.concat()].concat());
}

#[test]
fn what_is_not_the_usual_goes_on_as_it_is() {
    let body = "3\r\none\r\n3\r\ntwo\r\n";
    for head in [
        "HTTP/1.1 200 OK\r\ncontent-length: 16\r\n\r\n",
        "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\ntransfer-encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n folded\r\n\r\n",
        "HTTP/1.1 200 OK\r\nx: transfer-encoding: chunked\r\n\r\n",
        "HTTP/1.1 204 No Content\r\ntransfer-encoding: chunked\r\n\r\n",
        "HTTP/1.1 304 Not Modified\r\ntransfer-encoding: chunked\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\ntransfer-encoding: chunked\r\n\r\n",
        "no HTTP, but chunked\r\n\r\n",
    ] {
        let text = [head, body].concat();
        assert_eq!(whole(&text), text, "{head}");
    }
    for odd in [
        "3;a=b\r\none\r\n",
        "\r\n",
        "x\r\n",
        "+3\r\none\r\n",
        " 3\r\none\r\n",
        "3\none\r\n",
        "000000003\r\none\r\n",
        "123456789ab",
    ] {
        let text = format!("{HEAD}{odd}{body}");
        assert_eq!(whole(&text), text, "{odd:?}");
        let text = format!("{HEAD}3\r\none\r\n{odd}{body}");
        assert_eq!(whole(&text), format!("{HEAD}3\r\none\r\n{odd}{body}"), "{odd:?}");
    }
}

#[test]
fn an_answer_may_be_announced() {
    let (read, _) =
        merged(&[format!("HTTP/1.1 103 Early Hints\r\nlink: </chunked>\r\n\r\n{HEAD}1\r\na\r\n1\r\nb\r\n")
            .as_bytes()]);
    assert!(read.ends_with("\r\n\r\n2\r\nab\r\n"), "{read}");
}

#[test]
fn a_head_that_has_not_come_whole_leaves_all_as_it_is() {
    let text = format!("{HEAD}1\r\na\r\n1\r\nb\r\n");
    for cut in 1..HEAD.len() {
        let (head, rest) = text.as_bytes().split_at(cut);
        assert_eq!(merged(&[head, rest]).0, text, "{cut}");
    }
}

#[test]
fn data_that_goes_on_behind_its_end_is_told_after_what_came_before() {
    for behind in ["3\r\ntwo\r\n", "\n", "\rx"] {
        let (read, chunks) = merged(&[format!("{HEAD}3\r\none{behind}").as_bytes()]);
        assert_eq!(read, format!("{HEAD}3\r\none\r\n"), "{behind:?}");
        assert!(chunks.is_broken());
    }
}

#[test]
fn a_size_that_does_not_come_whole_is_read_as_it_is() {
    assert_eq!(whole(&format!("{HEAD}3\r\none\r\n1f")), format!("{HEAD}3\r\none\r\n1f"));
    assert_eq!(whole(&format!("{HEAD}3\r\non")), format!("{HEAD}2\r\non\r\n"));
}

/// The data of a chunked body, and what stands behind it.
fn data(mut text: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let mut data = Vec::new();
    loop {
        let line = memchr::memmem::find(text, b"\r\n")?;
        let size = usize::from_str_radix(str::from_utf8(&text[..line]).ok()?, 16).ok()?;
        text = &text[line + 2..];
        if size == 0 {
            return Some((data, text.to_vec()));
        }
        data.extend_from_slice(text.get(..size)?);
        text = text.get(size..)?.strip_prefix(b"\r\n")?;
    }
}

proptest! {
    #[test]
    fn the_data_is_the_same_however_it_came(
        chunks in prop::collection::vec(prop::collection::vec(prop::sample::select(b"\r\n0a".to_vec()), 1..40), 0..20),
        cuts in prop::collection::vec(1_usize..60, 1..80),
        trailers in prop::sample::select(vec!["\r\n", "a: b\r\n\r\n"]),
    ) {
        let body: Vec<u8> = chunks.iter().flat_map(|data| [format!("{:x}\r\n", data.len()).as_bytes(), data, b"\r\n"].concat()).collect();
        let body = [body.as_slice(), b"0\r\n", trailers.as_bytes()].concat();
        let (mut pieces, mut rest) = (vec![HEAD.as_bytes()], body.as_slice());
        for cut in cuts.iter().cycle() {
            let (piece, behind) = rest.split_at(rest.len().min(*cut));
            pieces.push(piece);
            rest = behind;
            if rest.is_empty() { break; }
        }
        let (read, _) = merged(&pieces);
        let read = data(read.strip_prefix(HEAD).unwrap().as_bytes());
        prop_assert_eq!(read, Some((chunks.concat(), trailers.as_bytes().to_vec())));
    }

    #[test]
    fn nothing_that_comes_is_too_odd(
        head in prop::sample::select(vec![HEAD, "HTTP/1.1 200 OK\r\n\r\n", ""]),
        pieces in prop::collection::vec(prop::collection::vec(prop::sample::select(b"\r\n01af;x".to_vec()), 0..30), 0..20),
    ) {
        let mut all = vec![head.as_bytes()];
        all.extend(pieces.iter().map(Vec::as_slice));
        merged(&all);
    }
}
