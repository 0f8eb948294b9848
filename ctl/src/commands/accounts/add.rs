//! `proxyctl accounts add`: puts an API key into the pool. The key goes from the file to the daemon and
//! nowhere else.

use std::fs::File;
use std::io::{self, IsTerminal as _, Read};
use std::path::Path;

use secrecy::SecretString;

use super::view;
use crate::cli::Add;
use crate::commands::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::json::{Added, Document};

/// More than any key is long.
const LARGEST: u64 = 4096;

pub(super) async fn run(args: Add, context: &mut Context<'_>) -> Result<Exit, Error> {
    let key = read_key(&args.key_file)?;
    let (account, replaced) = context.connect().await?.add_key(&key, args.label).await?;
    let added = Added { account: account.into(), replaced };
    if context.output.is_json() {
        context.output.document(&Document::new(added))?;
    } else {
        let verb = if replaced { "Updated" } else { "Added" };
        context.output.data(&format!("{verb} {}.\n", view::called(&added.account)))?;
    }
    Ok(Exit::Ok)
}

fn read_key(path: &Path) -> Result<SecretString, Error> {
    let failed = |source| Error::ReadKey { path: path.to_owned(), source };
    let bytes = if path == Path::new("-") {
        if io::stdin().is_terminal() {
            return Err(Error::from(BadKey::Terminal));
        }
        read_bounded(io::stdin().lock()).map_err(failed)?
    } else {
        read_bounded(File::open(path).map_err(failed)?).map_err(failed)?
    };
    parse_key(bytes).map_err(Error::from)
}

fn read_bounded(source: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    source.take(LARGEST + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Why something is not an API key. Never holds any part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum BadKey {
    #[error("standard input is a terminal, where the key would be seen")]
    Terminal,
    #[error("the key file is empty")]
    Empty,
    #[error("the key file is larger than 4 KiB, so it is not a key")]
    TooLarge,
    #[error("the key file has more than one line")]
    SeveralLines,
    #[error("the key file holds characters that no key has")]
    Malformed,
    #[error("this is an OAuth access token, not an API key")]
    AccessToken,
    #[error("this is an OAuth refresh token, not an API key")]
    RefreshToken,
}

impl From<BadKey> for Error {
    fn from(bad: BadKey) -> Self {
        let hint = match bad {
            BadKey::Terminal => "pipe it in: `proxyctl accounts add claude --key-file - < FILE`",
            BadKey::Empty | BadKey::TooLarge | BadKey::SeveralLines | BadKey::Malformed => {
                "put the key and nothing else on one line"
            }
            BadKey::AccessToken | BadKey::RefreshToken => {
                "log the account in instead: `proxyctl login claude`"
            }
        };
        Self::Usage { what: bad.to_string(), hint: hint.to_owned() }
    }
}

fn parse_key(bytes: Vec<u8>) -> Result<SecretString, BadKey> {
    if u64::try_from(bytes.len()).is_ok_and(|len| len > LARGEST) {
        return Err(BadKey::TooLarge);
    }
    let text = String::from_utf8(bytes).map_err(|_| BadKey::Malformed)?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    if line.is_empty() {
        Err(BadKey::Empty)
    } else if line.contains('\n') {
        Err(BadKey::SeveralLines)
    } else if !line.bytes().all(|byte| byte.is_ascii_graphic()) {
        Err(BadKey::Malformed)
    } else if line.starts_with("sk-ant-oat") {
        Err(BadKey::AccessToken)
    } else if line.starts_with("sk-ant-ort") {
        Err(BadKey::RefreshToken)
    } else {
        Ok(line.into())
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    fn parse(text: &str) -> Result<String, BadKey> {
        parse_key(text.as_bytes().to_vec()).map(|key| key.expose_secret().to_owned())
    }

    #[test]
    fn one_newline_after_the_key_is_taken_off() {
        for text in ["sk-ant-api03-FAKE", "sk-ant-api03-FAKE\n", "sk-ant-api03-FAKE\r\n"] {
            assert_eq!(parse(text).as_deref(), Ok("sk-ant-api03-FAKE"));
        }
    }

    #[test]
    fn what_is_not_an_api_key_is_refused_by_its_kind() {
        for (text, why) in [
            ("", BadKey::Empty),
            ("\n", BadKey::Empty),
            ("sk-ant-api03-FAKE\n\n", BadKey::SeveralLines),
            ("sk-ant-api03-FAKE\nsk-ant-api03-FAKE2\n", BadKey::SeveralLines),
            (" sk-ant-api03-FAKE", BadKey::Malformed),
            ("sk-ant-api03-FÄKE", BadKey::Malformed),
            ("sk-ant-oat01-FAKE", BadKey::AccessToken),
            ("sk-ant-ort01-FAKE\n", BadKey::RefreshToken),
        ] {
            assert_eq!(parse(text), Err(why), "{text:?}");
        }
        assert_eq!(parse_key(vec![b'k'; 4096]).map(|_| ()), Ok(()));
        assert_eq!(parse_key(vec![b'k'; 4097]).map(|_| ()), Err(BadKey::TooLarge));
        assert_eq!(parse_key(vec![0xff]).map(|_| ()), Err(BadKey::Malformed));
    }
}
