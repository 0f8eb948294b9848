//! The `/fake/` endpoints, for scripts in other languages. Only the program serves them; they are not
//! recorded.
//!
//! | call | does |
//! |---|---|
//! | `POST /fake/accounts` `{"email"?, "organization"?}` | issues a login and answers with a ready auth file |
//! | `POST /fake/api-keys` | makes an API key: `{"key"}` |
//! | `POST /fake/expire-access-tokens` | every access token is worth nothing from now: `{"expired": n}` |
//! | `POST /fake/script` | scripts an answer; the fields are those of [`Scripted`] |
//! | `DELETE /fake/script` | forgets every script |
//! | `GET /fake/requests[?path=P]` | the requests recorded so far, bodies as text |
//! | `DELETE /fake/requests` | forgets the requests |
//! | `GET /fake/state` | `{"token_calls", "lost_thoughts", "surprises"}` |

use http::{HeaderName, HeaderValue, Method, StatusCode};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::TOKEN_PATH;
use super::answer::{Answer, Step};
use super::issued::Caller;
use super::record::Recorded;
use super::routes::{Call, Site};
use super::script::Script;
use super::state::{Rule, State, Times};

/// The list of the endpoints for `--help`.
pub const HELP: &str = "\
Endpoints for scripts (JSON in and out):
  POST   /fake/accounts               issue a login, answer with an auth file;
                                      email, organization
  POST   /fake/api-keys               make an API key
  POST   /fake/expire-access-tokens   make every access token worthless
  POST   /fake/script                 script the next answer to a path; path,
                                      email or api_key, always, status,
                                      headers, body, chunks, patch, gzip,
                                      cut_after, lose_answer
  DELETE /fake/script                 forget every script
  GET    /fake/requests[?path=P]      what was recorded
  DELETE /fake/requests               forget what was recorded
  GET    /fake/state                  token calls, requests that lost thoughts,
                                      and what no correct client does";

/// The body of `POST /fake/script`. Without `status`, `body` and `chunks` the answer is the real one, shaped
/// by the rest.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scripted {
    /// Of the requests to answer, without the query.
    pub path: String,
    /// Only requests with a credential of this account.
    pub email: Option<String>,
    /// Only requests with this API key.
    pub api_key: Option<String>,
    /// For every such request until the scripts are forgotten, not only for the next.
    #[serde(default)]
    pub always: bool,
    /// 200 if there is a body but no status.
    pub status: Option<u16>,
    #[serde(default)]
    pub headers: Map<String, Value>,
    /// A JSON answer, or one of type text/html if it is a string.
    pub body: Option<Value>,
    /// An event stream, each string a chunk of its own.
    pub chunks: Option<Vec<String>>,
    /// Merged into a whole JSON answer (RFC 7396).
    pub patch: Option<Value>,
    #[serde(default)]
    pub gzip: bool,
    /// Close after that many bytes of the body.
    pub cut_after: Option<usize>,
    /// Do the work and reset the connection instead of answering.
    #[serde(default)]
    pub lose_answer: bool,
}

pub(super) fn answer(site: &Site, call: &Call) -> Answer {
    let now = site.shared.now();
    let done = site.shared.change(|s| match (call.method.as_str(), call.path.as_str()) {
        ("POST", "/fake/accounts") => accounts(s, call, now),
        ("POST", "/fake/api-keys") => Ok(json!({"key": s.book.add_api_key()})),
        ("POST", "/fake/expire-access-tokens") => Ok(json!({"expired": s.book.expire_access_tokens(now)})),
        ("POST", "/fake/script") => script(s, &call.body),
        ("DELETE", "/fake/script") => {
            s.clear_rules();
            Ok(json!({}))
        }
        ("GET", "/fake/requests") => Ok(requests(s, call.query_fields().get("path").map(String::as_str))),
        ("DELETE", "/fake/requests") => {
            s.requests.clear();
            Ok(json!({}))
        }
        ("GET", "/fake/state") => Ok(json!({
            "lost_thoughts": s.shelf.lost_thoughts,
            "token_calls": s.requests.iter().filter(|r| r.path == TOKEN_PATH).count(),
            "surprises": s.surprises.iter().map(ToString::to_string).collect::<Vec<_>>(),
        })),
        (method, path) => Err(format!("there is no {method} {path}; see fake-claude --help")),
    });
    match done {
        Ok(body) => Answer::json(StatusCode::OK, &body),
        Err(why) => Answer::json(StatusCode::BAD_REQUEST, &json!({"error": why})),
    }
}

fn accounts(s: &mut State, call: &Call, now: jiff::Timestamp) -> Result<Value, String> {
    #[derive(Default, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Wanted {
        email: Option<String>,
        organization: Option<String>,
    }
    let wanted: Wanted = if call.body.is_empty() {
        Wanted::default()
    } else {
        serde_json::from_slice(&call.body).map_err(|e| e.to_string())?
    };
    let email = wanted.email.unwrap_or_else(|| s.person.email.clone());
    let organization = wanted.organization.unwrap_or_else(|| s.person.organization.clone());
    let account = s.book.account(&email, &organization);
    Ok(s.book.issue(account, now).auth_file())
}

fn script(s: &mut State, body: &[u8]) -> Result<Value, String> {
    let wanted: Scripted = serde_json::from_slice(body).map_err(|e| e.to_string())?;
    let caller = match (&wanted.email, &wanted.api_key) {
        (Some(_), Some(_)) => return Err("email and api_key exclude each other".to_owned()),
        (Some(email), None) => {
            let account =
                s.book.find_account(email).ok_or_else(|| format!("no account has the email {email}"))?;
            Some(Caller::Account(account))
        }
        (None, key) => key.clone().map(Caller::ApiKey),
    };
    let times = if wanted.always { Times::Always } else { Times::Once };
    let path = wanted.path.clone();
    let script = wanted.into_script()?;
    s.add_rule(Rule { path, caller, script, times });
    Ok(json!({}))
}

impl Scripted {
    fn into_script(self) -> Result<Script, String> {
        let status = StatusCode::from_u16(self.status.unwrap_or(200)).map_err(|e| e.to_string())?;
        let mut script = match (self.chunks, self.body) {
            (Some(_), Some(_)) => return Err("body and chunks exclude each other".to_owned()),
            (Some(chunks), None) => Script::stream(chunks.into_iter().map(Step::data)),
            (None, Some(Value::String(page))) => Script::body(status, "text/html", page),
            (None, Some(body)) => Script::json(status, &body),
            (None, None) if self.status.is_some() => Script::json(status, &json!({})),
            (None, None) => Script::real(),
        };
        for (name, value) in self.headers {
            let name: HeaderName = name.parse().map_err(|_| format!("{name} is no header name"))?;
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let value =
                HeaderValue::from_str(&text).map_err(|_| format!("{name}: the value cannot be a header"))?;
            script.headers.insert(name, value);
        }
        script.patch = self.patch;
        script.gzip = self.gzip;
        script.cut_after = self.cut_after;
        if self.lose_answer { Ok(script.lose_answer()) } else { Ok(script) }
    }
}

fn requests(s: &State, path: Option<&str>) -> Value {
    let wanted = s.requests.iter().filter(|r| path.is_none_or(|p| p == r.path));
    wanted.map(|r| as_json(s, r)).collect()
}

fn as_json(s: &State, r: &Recorded) -> Value {
    let headers: Map<String, Value> = r
        .headers
        .keys()
        .map(|name| {
            let values: Vec<_> =
                r.headers.get_all(name).iter().map(|v| String::from_utf8_lossy(v.as_bytes())).collect();
            (name.to_string(), json!(values.join(", ")))
        })
        .collect();
    let caller = r.caller.as_ref().map(|c| match c {
        Caller::Account(account) => json!({"email": s.book.identity(*account).email}),
        Caller::ApiKey(key) => json!({"api_key": key}),
    });
    let method: &Method = &r.method;
    json!({
        "number": r.number,
        "connection": r.connection,
        "method": method.as_str(),
        "path": r.path,
        "query": r.query,
        "headers": headers,
        "body": String::from_utf8_lossy(&r.body),
        "caller": caller,
        "progress": format!("{:?}", r.progress).to_lowercase(),
    })
}
