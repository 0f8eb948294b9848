//! A secret of one line, out of a private file or a pipe. What is wrong with it is told without any part of it.

use std::fs::File;
use std::io::{self, IsTerminal as _, Read};
use std::path::Path;

use secrecy::SecretString;

use crate::error::Error;

/// More than any secret is long.
const LARGEST: u64 = 4096;

/// Reads one line. `what` it is and the `flag` that named the file are for the words of an error.
pub(crate) fn read_line(path: &Path, what: &'static str, flag: &'static str) -> Result<SecretString, Error> {
    let failed = |source| Error::ReadSecret { what, flag, path: path.to_owned(), source };
    let bytes = if path == Path::new("-") {
        if io::stdin().is_terminal() {
            return Err(Error::Usage {
                what: format!("standard input is a terminal, where {what} would be seen"),
                hint: format!("pipe it in: `{flag} - < FILE`"),
            });
        }
        read_bounded(io::stdin().lock()).map_err(failed)?
    } else {
        read_bounded(File::open(path).map_err(failed)?).map_err(failed)?
    };
    parse(bytes).map_err(|problem| Error::Usage {
        what: format!("{what} cannot be used: {problem}"),
        hint: "put it and nothing else on one line".to_owned(),
    })
}

fn read_bounded(source: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    source.take(LARGEST + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// One line of visible ASCII, as typed or as read.
pub(crate) fn parse(bytes: Vec<u8>) -> Result<SecretString, &'static str> {
    if u64::try_from(bytes.len()).is_ok_and(|len| len > LARGEST) {
        return Err("the file is larger than 4 KiB");
    }
    let text = String::from_utf8(bytes).map_err(|_| "the file holds characters that it has not")?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    if line.is_empty() {
        Err("the file is empty")
    } else if line.contains('\n') {
        Err("the file has more than one line")
    } else if !line.bytes().all(|byte| byte.is_ascii_graphic()) {
        Err("the file holds characters that it has not")
    } else {
        Ok(line.into())
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    #[test]
    fn one_newline_at_the_end_is_taken_off() {
        for text in ["sk-ant-api03-FAKE", "sk-ant-api03-FAKE\n", "sk-ant-api03-FAKE\r\n"] {
            assert_eq!(parse(text.into()).unwrap().expose_secret(), "sk-ant-api03-FAKE");
        }
    }

    #[test]
    fn what_is_no_secret_of_one_line_is_refused_by_its_kind() {
        for (text, why) in [
            ("", "empty"),
            ("\n", "empty"),
            ("FAKE\n\n", "more than one line"),
            ("FAKE\nFAKE2\n", "more than one line"),
            (" FAKE", "characters"),
            ("FÄKE", "characters"),
        ] {
            assert!(parse(text.into()).unwrap_err().contains(why), "{text:?}");
        }
        assert!(parse(vec![b'k'; 4096]).is_ok());
        assert!(parse(vec![b'k'; 4097]).unwrap_err().contains("4 KiB"));
        assert!(parse(vec![0xff]).unwrap_err().contains("characters"));
    }
}
