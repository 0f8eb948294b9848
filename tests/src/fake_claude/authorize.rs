//! The authorize page: what a browser sees between "log in" and the redirect back.
//!
//! It never redirects to anything but `http://localhost:PORT/callback` and its own paste page, whatever the request says.

use std::collections::HashMap;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderValue, StatusCode, header};
use url::Url;

use super::answer::Answer;
use super::book::{Book, DEFAULT_SCOPE, Grant};

/// The public client id of the real service; see facts about the authorize URL.
pub const CLIENT_ID: &str = "9d1c250a-e61b-44d9-88ed-5944d1962f5e";

/// The redirect URI that asks for the page with the code to copy.
pub const PASTE_REDIRECT_URI: &str = "https://platform.claude.com/oauth/code/callback";

/// Path of the fake's own paste page.
pub(super) const PASTE_PATH: &str = "/oauth/code/callback";

/// What the person in front of the browser does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The page is shown and a person clicks.
    Ask,
    Allow,
    Deny,
}

/// Who sits in front of the browser.
#[derive(Clone, Debug)]
pub(super) struct Person {
    pub(super) email: String,
    pub(super) organization: String,
    pub(super) decision: Decision,
}

/// Where the browser goes next.
#[derive(Debug)]
pub(super) enum Next {
    /// The page with the two buttons.
    Page(String),
    Redirect(Url),
}

/// Answers `GET /oauth/authorize`. `auto=allow|deny` in the query, or the buttons' `decision`, beats the
/// person's standing decision; `email` and `organization` beat the person's own.
pub(super) fn authorize(
    book: &mut Book,
    person: &Person,
    query: &HashMap<String, String>,
    base: &Url,
) -> Result<Next, String> {
    let field = |name: &str| query.get(name).map(String::as_str).unwrap_or_default();
    if field("client_id") != CLIENT_ID {
        return Err("client_id is not the public client id".to_owned());
    }
    if field("response_type") != "code" {
        return Err("response_type must be code".to_owned());
    }
    let redirect = redirect_target(field("redirect_uri"), base)?;
    if field("state").is_empty() {
        return Err("state is missing".to_owned());
    }
    if field("code_challenge_method") != "S256" {
        return Err("code_challenge_method must be S256".to_owned());
    }
    // A SHA-256 digest in base64url without padding, RFC 7636, 4.2.
    if URL_SAFE_NO_PAD.decode(field("code_challenge")).map_or(0, |d| d.len()) != 32 {
        return Err("code_challenge must be 32 bytes in base64url without padding".to_owned());
    }
    let decision = match (field("decision"), field("auto")) {
        ("allow", _) | ("", "allow") => Decision::Allow,
        ("deny", _) | ("", "deny") => Decision::Deny,
        ("", "") => person.decision,
        _ => return Err("decision and auto take allow or deny".to_owned()),
    };
    let mut back = redirect;
    match decision {
        Decision::Ask => return Ok(Next::Page(consent_page(query, person))),
        Decision::Deny => {
            back.query_pairs_mut().append_pair("error", "access_denied").append_pair("state", field("state"));
        }
        Decision::Allow => {
            let or = |given: &str, own: &str| {
                if given.is_empty() { own.to_owned() } else { given.to_owned() }
            };
            let account = book.account(
                &or(field("email"), &person.email),
                &or(field("organization"), &person.organization),
            );
            let code = book.give_code(Grant {
                account,
                redirect_uri: field("redirect_uri").to_owned(),
                state: field("state").to_owned(),
                challenge: field("code_challenge").to_owned(),
                scope: or(field("scope"), DEFAULT_SCOPE),
            });
            back.query_pairs_mut().append_pair("code", &code).append_pair("state", field("state"));
        }
    }
    Ok(Next::Redirect(back))
}

/// Loopback as the client registered it, or the paste page; the real service's paste page is answered by our
/// own.
fn redirect_target(redirect_uri: &str, base: &Url) -> Result<Url, String> {
    let own_paste = base.join(PASTE_PATH).map_err(|e| e.to_string())?;
    if redirect_uri == PASTE_REDIRECT_URI || redirect_uri == own_paste.as_str() {
        return Ok(own_paste);
    }
    let url = Url::parse(redirect_uri).map_err(|e| format!("redirect_uri: {e}"))?;
    let loopback = url.scheme() == "http"
        && url.host_str() == Some("localhost")
        && url.port().is_some()
        && url.path() == "/callback"
        && url.query().is_none()
        && url.fragment().is_none();
    if loopback {
        Ok(url)
    } else {
        Err("redirect_uri must be http://localhost:PORT/callback or the paste page".to_owned())
    }
}

impl Next {
    pub(super) fn into_answer(self) -> Answer {
        match self {
            Self::Page(page) => Answer::html(StatusCode::OK, page),
            Self::Redirect(url) => {
                let mut answer = Answer::html(StatusCode::FOUND, String::new());
                if let Ok(location) = HeaderValue::from_str(url.as_str()) {
                    answer.headers.insert(header::LOCATION, location);
                }
                answer
            }
        }
    }
}

fn consent_page(query: &HashMap<String, String>, person: &Person) -> String {
    let mut hidden = String::new();
    let mut fields: Vec<_> = query.iter().filter(|(k, _)| *k != "email" && *k != "organization").collect();
    fields.sort();
    for (name, value) in fields {
        // Writing to a string cannot fail.
        let _to_memory =
            writeln!(hidden, "<input type=\"hidden\" name=\"{}\" value=\"{}\">", escape(name), escape(value));
    }
    let (email, organization) = (escape(&person.email), escape(&person.organization));
    page(&format!(
        "<p>A program asks for access to an account of the fake Claude.</p>\n<form method=\"get\" \
         action=\"/oauth/authorize\">\n{hidden}<p><label>Email <input name=\"email\" value=\"{email}\"></label></p>\n\
         <p><label>Organization <input name=\"organization\" value=\"{organization}\"></label></p>\n\
         <button name=\"decision\" value=\"allow\">Allow</button>\n\
         <button name=\"decision\" value=\"deny\">Deny</button>\n</form>"
    ))
}

/// The page that shows `code#state` to copy, or that access was denied.
pub(super) fn paste_page(query: &HashMap<String, String>) -> Answer {
    let body = match (query.get("code"), query.get("state")) {
        (Some(code), Some(state)) => {
            format!("<p>Copy this code:</p>\n<pre id=\"code\">{}#{}</pre>", escape(code), escape(state))
        }
        _ => "<p>Access was denied.</p>".to_owned(),
    };
    Answer::html(StatusCode::OK, page(&body))
}

pub(super) fn refusal_page(why: &str) -> Answer {
    Answer::html(
        StatusCode::BAD_REQUEST,
        page(&format!("<p>Invalid authorization request: {}</p>", escape(why))),
    )
}

/// Its empty icon keeps a browser from asking for one, which no client of the product does.
fn page(body: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<link rel=\"icon\" href=\"data:,\">\n<title>Fake Claude</title>\n<h1>Fake Claude</h1>\n{body}\n</html>\n"
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
