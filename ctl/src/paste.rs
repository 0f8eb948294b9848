//! Reads what comes back from the browser: the query of a callback, or a pasted code, `code#state` or
//! redirect URL. Pure. Its errors never hold any part of what was read.

use secrecy::{ExposeSecret as _, SecretString};
use subtle::ConstantTimeEq as _;
use url::Url;
use url::form_urlencoded;

use crate::error::Denial;

/// More than any code or state is long.
const LONGEST: usize = 2048;

/// What the provider sent back.
#[derive(Debug)]
pub(crate) enum Answer {
    Code(SecretString),
    /// RFC 6749, 4.1.2.1: an error word, sometimes explained.
    Denied(Denial),
}

/// Why something read is not this login's answer. The login goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotThisLogin {
    #[error("its state belongs to another login; use the URL shown above")]
    WrongState,
    #[error("it carries no state; copy the whole address")]
    NoState,
    #[error("it carries no code")]
    NoCode,
    #[error("it carries a code or a state twice")]
    Repeated,
    #[error("that is the address to visit; paste what you get at its end")]
    AuthorizeUrl,
    #[error("that is neither a code, nor code#state, nor the address of the last page")]
    Malformed,
}

/// Reads the query of a callback or of a pasted redirect URL.
pub(crate) fn query(query: &str, state: &SecretString) -> Result<Answer, NotThisLogin> {
    let one = |name: &str| {
        let mut values = form_urlencoded::parse(query.as_bytes()).filter(|(key, _)| key == name);
        match (values.next(), values.next()) {
            (value, None) => Ok(value.map(|(_, value)| value.into_owned())),
            (_, Some(_)) => Err(NotThisLogin::Repeated),
        }
    };
    check_state(&one("state")?.ok_or(NotThisLogin::NoState)?, state)?;
    match (one("code")?, one("error")?) {
        (_, Some(error)) => Ok(Answer::Denied(Denial {
            error: shown(&error, 64),
            description: description(one("error_description")?),
        })),
        (Some(code), None) => self::code(&code),
        (None, None) => Err(NotThisLogin::NoCode),
    }
}

/// Reads one pasted line.
pub(crate) fn line(line: &str, state: &SecretString) -> Result<Answer, NotThisLogin> {
    let line = line.trim();
    if line.contains("://") {
        let url = Url::parse(line).map_err(|_| NotThisLogin::Malformed)?;
        let pairs = url.query().unwrap_or_default();
        if form_urlencoded::parse(pairs.as_bytes()).any(|(key, _)| key == "code_challenge") {
            return Err(NotThisLogin::AuthorizeUrl);
        }
        return query(pairs, state);
    }
    match line.split_once('#') {
        Some((code, given)) => {
            check_state(given, state)?;
            self::code(code)
        }
        None => self::code(line),
    }
}

fn check_state(given: &str, state: &SecretString) -> Result<(), NotThisLogin> {
    let same: bool = given.as_bytes().ct_eq(state.expose_secret().as_bytes()).into();
    if same { Ok(()) } else { Err(NotThisLogin::WrongState) }
}

/// A code is a token of RFC 6749 (appendix A.11): visible ASCII. A space or `&` in it means that something
/// else was pasted.
fn code(code: &str) -> Result<Answer, NotThisLogin> {
    if code.is_empty() {
        return Err(NotThisLogin::NoCode);
    }
    let fits = code.len() <= LONGEST && code.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'&');
    if fits { Ok(Answer::Code(code.into())) } else { Err(NotThisLogin::Malformed) }
}

fn description(text: Option<String>) -> Option<String> {
    text.map(|text| shown(&text, 300)).filter(|text| !text.is_empty())
}

/// Foreign words that may be shown: short, and without control characters.
fn shown(text: &str, longest: usize) -> String {
    text.chars().filter(|c| !c.is_control()).take(longest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATE: &str = "FAKE-state-9";

    fn read(read: impl Fn(&SecretString) -> Result<Answer, NotThisLogin>) -> Result<String, NotThisLogin> {
        read(&SecretString::from(STATE)).map(|answer| match answer {
            Answer::Code(code) => code.expose_secret().to_owned(),
            Answer::Denied(Denial { error, description }) => {
                format!("{error}/{}", description.unwrap_or_default())
            }
        })
    }

    #[test]
    fn every_form_of_a_paste_gives_the_code() {
        for paste in [
            "FAKE-code_1",
            "  FAKE-code_1\r",
            "FAKE-code_1#FAKE-state-9",
            "http://localhost:54545/callback?code=FAKE-code_1&state=FAKE-state-9",
            "http://localhost:54545/callback?state=FAKE-state-9&code=FAKE%2Dcode_1",
            "https://platform.example/oauth/code/callback?code=FAKE-code_1&state=FAKE-state-9",
        ] {
            assert_eq!(read(|state| line(paste, state)).as_deref(), Ok("FAKE-code_1"), "{paste}");
        }
    }

    #[test]
    fn a_paste_that_is_not_this_logins_answer_says_why() {
        for (paste, why) in [
            ("", NotThisLogin::NoCode),
            ("#FAKE-state-9", NotThisLogin::NoCode),
            ("FAKE-code_1#", NotThisLogin::WrongState),
            ("FAKE-code_1#other", NotThisLogin::WrongState),
            ("FAKE-code_1#FAKE-state-9x", NotThisLogin::WrongState),
            ("two words", NotThisLogin::Malformed),
            ("code=a&state=b", NotThisLogin::Malformed),
            ("http://[", NotThisLogin::Malformed),
            ("http://localhost:1/callback", NotThisLogin::NoState),
            ("http://localhost:1/callback?code=a", NotThisLogin::NoState),
            ("http://localhost:1/callback?code=a&state=b", NotThisLogin::WrongState),
            ("http://localhost:1/callback?state=FAKE-state-9", NotThisLogin::NoCode),
            ("http://localhost:1/callback?code=a&code=b&state=FAKE-state-9", NotThisLogin::Repeated),
            ("http://localhost:1/callback?code=a&state=x&state=FAKE-state-9", NotThisLogin::Repeated),
            (
                "https://a.example/authorize?code=true&code_challenge=x&state=FAKE-state-9",
                NotThisLogin::AuthorizeUrl,
            ),
        ] {
            assert_eq!(read(|state| line(paste, state)), Err(why), "{paste}");
        }
        assert_eq!(read(|state| line(&"x".repeat(LONGEST + 1), state)), Err(NotThisLogin::Malformed));
    }

    #[test]
    fn a_refusal_counts_only_with_the_right_state_and_is_made_safe_to_show() {
        let refused = "error=access_denied&error_description=no%1b%5B2J+thanks&state=FAKE-state-9";
        assert_eq!(read(|state| query(refused, state)).as_deref(), Ok("access_denied/no[2J thanks"));
        assert_eq!(
            read(|state| query("error=access_denied&state=other", state)),
            Err(NotThisLogin::WrongState)
        );
        assert_eq!(read(|state| query("error=access_denied", state)), Err(NotThisLogin::NoState));
    }
}
