//! `FakeClaude`: everything Claude a client may talk to, on loopback.
//!
//! It plays the authorize page, the token and revoke endpoints, the profile, the models and the Messages API.
//! It is as strict as the real service and stricter where that shows a mistake: a spent refresh token revokes
//! its family, a request the Messages API would refuse gets the same 400, and a call no correct client makes
//! fails the test when the fake is dropped (or at [`FakeClaude::verify`]).
//!
//! Answers can be scripted, per path and per credential, with gates instead of times:
//!
//! ```no_run
//! # async fn example() {
//! use proxy_tests::fake_claude::{FakeClaude, Gate, Script};
//!
//! let fake = FakeClaude::start().await;
//! let account = fake.issue_account("a@example.com");
//! let gate = Gate::new();
//! fake.on("/v1/oauth/token").once(Script::real().hold_answer(&gate));
//! fake.on("/v1/messages").from(account.account).always(Script::rate_limited(30));
//! // ... drive a client ...
//! gate.reached_by(1).await; // the token is rotated, its answer not yet sent
//! gate.open();
//! # }
//! ```
//!
//! It never talks to anything but the clients that connect to it, and it never reads a clock but the one it
//! was given.

mod answer;
mod authorize;
mod binding;
mod book;
mod checks;
mod control;
mod error;
mod gate;
mod issued;
mod message;
mod messages;
mod models;
mod oauth;
mod options;
mod prompt_cache;
mod record;
mod reply;
mod routes;
mod script;
mod server;
mod shelf;
mod state;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use url::Url;

pub use self::answer::Step;
pub use self::authorize::{CLIENT_ID, Decision, PASTE_REDIRECT_URI};
pub use self::book::DEFAULT_SCOPE;
pub use self::control::{HELP as CONTROL_HELP, Scripted};
pub use self::gate::Gate;
pub use self::issued::{AccountNumber, Caller, Identity, Issued};
pub use self::message::FOUND_URL;
pub use self::message::text_events;
pub use self::messages::OAUTH_BETA;
pub use self::options::{OnSurprise, Options, system_now};
pub use self::record::{Progress, Recorded, Surprise};
pub use self::reply::{ALL_TOOLS_WORD, CALL_WORDS, FILE_WORD, REFUSAL, REFUSED_WORD, SEARCH_WORD, TOOL_WORD};
pub use self::routes::Control;
pub use self::script::Script;
pub use self::state::Now;

use self::authorize::{Next, Person};
use self::book::Book;
use self::routes::Site;
use self::server::Server;
use self::state::{Rule, Shared, Times};

/// Path of the token endpoint.
pub const TOKEN_PATH: &str = "/v1/oauth/token";

/// A running fake. Dropping it stops it and, unless told otherwise, fails the test if something surprising
/// happened.
#[derive(Debug)]
pub struct FakeClaude {
    shared: Arc<Shared>,
    server: Server,
    base: Url,
    on_surprise: OnSurprise,
}

impl FakeClaude {
    /// On a free loopback port, with the defaults.
    ///
    /// # Panics
    /// When loopback cannot be bound.
    #[expect(clippy::panic, reason = "a test cannot go on without its fake")]
    pub async fn start() -> Self {
        match Self::serve(Options::default()).await {
            Ok(fake) => fake,
            Err(error) => panic!("the fake cannot listen on loopback: {error}"),
        }
    }

    /// Starts as told. The socket listens when this returns.
    pub async fn serve(options: Options) -> io::Result<Self> {
        if !options.listen.ip().is_loopback() {
            let why =
                format!("{} is not a loopback address; the fake serves only this machine", options.listen);
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
        let listener = TcpListener::bind(options.listen).await?;
        let base = format!("http://{}/", listener.local_addr()?);
        let base = Url::parse(&base).map_err(io::Error::other)?;
        let run = uuid::Uuid::now_v7().simple().to_string().split_off(24);
        let person = Person {
            email: "person@example.com".to_owned(),
            organization: "Example".to_owned(),
            decision: options.decision,
        };
        let shared = Arc::new(Shared::new(Book::new(run, options.expires_in), person, options.now));
        let site = Site { shared: Arc::clone(&shared), base: base.clone(), control: options.control };
        let server = Server::start(listener, Arc::new(site))?;
        Ok(Self { shared, server, base, on_surprise: options.on_surprise })
    }

    pub fn address(&self) -> SocketAddr {
        self.server.address
    }

    /// `http://127.0.0.1:PORT`, without a slash at the end.
    pub fn url(&self) -> String {
        self.base.as_str().trim_end_matches('/').to_owned()
    }

    /// The environment that points `proxyd` here.
    pub fn proxyd_environment(&self) -> Vec<(&'static str, String)> {
        let url = self.url();
        vec![
            ("PROXYD_CLAUDE__API_BASE_URL", url.clone()),
            ("PROXYD_CLAUDE__OAUTH__AUTHORIZE_URL", format!("{url}/oauth/authorize")),
            ("PROXYD_CLAUDE__OAUTH__TOKEN_URL", format!("{url}{TOKEN_PATH}")),
            ("PROXYD_CLAUDE__OAUTH__REVOKE_URL", format!("{url}/v1/oauth/revoke")),
            ("PROXYD_CLAUDE__OAUTH__PROFILE_URL", format!("{url}/api/oauth/profile")),
            ("PROXYD_CLAUDE__OAUTH__USAGE_URL", format!("{url}/api/oauth/usage")),
            ("PROXYD_CLAUDE__OAUTH__PASTE_REDIRECT_URI", format!("{url}/oauth/code/callback")),
        ]
    }

    // ---- accounts and credentials

    /// A finished login of that person in the organization `Example`.
    pub fn issue_account(&self, email: &str) -> Issued {
        self.issue_account_in(email, "Example")
    }

    /// A finished login of that person in that organization. Issuing twice is logging in twice: one account,
    /// two independent chains of refresh tokens.
    pub fn issue_account_in(&self, email: &str, organization: &str) -> Issued {
        let now = self.shared.now();
        self.shared.change(|s| {
            let account = s.book.account(email, organization);
            s.book.issue(account, now)
        })
    }

    /// A one-year access token of that account, without a refresh token.
    pub fn issue_setup_token(&self, email: &str) -> String {
        let now = self.shared.now();
        self.shared.change(|s| {
            let account = s.book.account(email, "Example");
            s.book.issue_setup_token(account, now)
        })
    }

    pub fn add_api_key(&self) -> String {
        self.shared.change(|s| s.book.add_api_key())
    }

    /// From now on the key is unknown. Returns whether it was known.
    pub fn remove_api_key(&self, key: &str) -> bool {
        self.shared.change(|s| s.book.remove_api_key(key))
    }

    /// The first account with that email, for accounts that came by a login.
    pub fn account(&self, email: &str) -> Option<AccountNumber> {
        self.shared.look().book.find_account(email)
    }

    pub fn identity(&self, account: AccountNumber) -> Identity {
        self.shared.look().book.identity(account).clone()
    }

    /// The refresh token the issuer holds as current; `None` when every login of the account was revoked.
    pub fn current_refresh_token(&self, account: AccountNumber) -> Option<String> {
        self.shared.look().book.current_refresh_token(account)
    }

    /// Whether the account has a login that was not revoked.
    pub fn has_live_login(&self, account: AccountNumber) -> bool {
        self.shared.look().book.has_live_login(account)
    }

    /// How often the account's refresh tokens were rotated.
    pub fn rotations(&self, account: AccountNumber) -> usize {
        self.shared.look().book.rotations(account)
    }

    /// Makes every access token given out so far worth nothing: its next use is a 401. Returns how many were
    /// current.
    pub fn expire_access_tokens(&self) -> usize {
        let now = self.shared.now();
        self.shared.change(|s| s.book.expire_access_tokens(now))
    }

    /// Revokes the login this access or refresh token belongs to, as its owner can in the web interface.
    pub fn revoke(&self, token: &str) {
        self.shared.change(|s| s.book.revoke(token));
    }

    /// Life of the access tokens given out from now on, in seconds.
    pub fn set_expires_in(&self, seconds: i64) {
        self.shared.change(|s| s.book.expires_in = seconds);
    }

    // ---- the person in front of the browser

    /// Who logs in at the authorize page from now on.
    pub fn sign_in_as(&self, email: &str, organization: &str) {
        self.shared.change(|s| {
            email.clone_into(&mut s.person.email);
            organization.clone_into(&mut s.person.organization);
        });
    }

    /// What that person does there.
    pub fn decide(&self, decision: Decision) {
        self.shared.change(|s| s.person.decision = decision);
    }

    /// Opens an authorize URL as the person's browser would and returns where it is sent: the redirect URI
    /// with `code` and `state`, or with `error`. An invalid request is an error with the page's reason.
    pub fn browse(&self, authorize_url: &str, decision: Decision) -> Result<Url, String> {
        let url = Url::parse(authorize_url).map_err(|e| e.to_string())?;
        let query = url.query_pairs().into_owned().collect();
        self.shared.change(|s| {
            let person = Person { decision, ..s.person.clone() };
            match authorize::authorize(&mut s.book, &person, &query, &self.base)? {
                Next::Redirect(url) => Ok(url),
                Next::Page(_) => Err("the page asks; pass Allow or Deny".to_owned()),
            }
        })
    }

    // ---- scripts

    /// Scripts answers for requests to that path (without the query).
    pub fn on(&self, path: &str) -> On<'_> {
        On { shared: &self.shared, path: path.to_owned(), caller: None }
    }

    /// Reads no body sent to that path before the gate is open.
    pub fn hold_uploads(&self, path: &str, gate: &Gate) {
        self.shared.change(|s| s.held_uploads.push((path.to_owned(), gate.clone())));
    }

    /// Answers what is sent to that path with a 413, unread and unrecorded, and closes the connection.
    pub fn refuse_uploads(&self, path: &str) {
        self.shared.change(|s| s.refused_uploads.push(path.to_owned()));
    }

    /// Requests so far whose thoughts were lost: they were another account's or another conversation's.
    pub fn lost_thoughts(&self) -> usize {
        self.shared.look().shelf.lost_thoughts
    }

    /// Forgets every script, used or not.
    pub fn clear_scripts(&self) {
        self.shared.change(state::State::clear_rules);
    }

    /// Resets every open connection, as a restarting server does to its idle ones.
    pub fn drop_connections(&self) {
        self.server.drop_connections();
    }

    // ---- the record

    /// Every request so far.
    pub fn requests(&self) -> Vec<Recorded> {
        self.shared.look().requests.clone()
    }

    /// The requests to that path so far.
    pub fn requests_to(&self, path: &str) -> Vec<Recorded> {
        self.shared.look().requests.iter().filter(|r| r.path == path).cloned().collect()
    }

    /// How many requests to that path there were.
    pub fn count(&self, path: &str) -> usize {
        self.shared.look().requests.iter().filter(|r| r.path == path).count()
    }

    /// How many calls of the token endpoint there were, of any kind and outcome.
    pub fn token_calls(&self) -> usize {
        self.count(TOKEN_PATH)
    }

    /// Forgets the requests so far, so that a test can count from here.
    pub fn forget_requests(&self) {
        self.shared.change(|s| s.requests.clear());
    }

    /// Returns once the condition holds; it is looked at after every change the fake sees.
    ///
    /// # Panics
    /// When it does not hold within the deadline.
    pub async fn wait_for(&self, what: &str, condition: impl Fn(&Self) -> bool) {
        let mut changes = self.shared.changes();
        let holds = async {
            while !condition(self) {
                // The sender is part of `self` and outlives this.
                let _changed = changes.changed().await;
            }
        };
        crate::wait::within(what, holds).await;
    }

    /// What no correct client does, so far; a test that provoked it takes it.
    pub fn take_surprises(&self) -> Vec<Surprise> {
        self.shared.change(|s| std::mem::take(&mut s.surprises))
    }

    /// Everything that should not have happened: surprises nobody took, and scripts nobody asked for.
    pub fn verify(&self) -> Result<(), Vec<Surprise>> {
        let state = self.shared.look();
        let mut found = state.surprises.clone();
        found.extend(state.unused_scripts());
        if found.is_empty() { Ok(()) } else { Err(found) }
    }
}

impl Drop for FakeClaude {
    #[expect(
        clippy::panic,
        reason = "an unexpected call must fail the test, and this is the only place left to do so"
    )]
    fn drop(&mut self) {
        if self.on_surprise == OnSurprise::Keep || std::thread::panicking() {
            return;
        }
        if let Err(found) = self.verify() {
            let found: Vec<String> = found.iter().map(ToString::to_string).collect();
            panic!("the fake saw what it should not have seen: {}", found.join("; "));
        }
    }
}

/// Where a script applies; see [`FakeClaude::on`].
#[derive(Debug)]
#[must_use = "end it with once, times or always"]
pub struct On<'a> {
    shared: &'a Shared,
    path: String,
    caller: Option<Caller>,
}

impl On<'_> {
    /// Only for requests with this caller's credential. Such scripts come before those for anybody.
    pub fn from(mut self, caller: impl Into<Caller>) -> Self {
        self.caller = Some(caller.into());
        self
    }

    /// Answers the next request; calls queue up.
    pub fn once(self, script: Script) {
        self.add(script, Times::Once);
    }

    /// Answers the next `n` requests.
    pub fn times(self, n: usize, script: &Script) {
        for _ in 0..n {
            self.add(script.clone(), Times::Once);
        }
    }

    /// Answers every request for which no queued script is left.
    pub fn always(self, script: Script) {
        self.add(script, Times::Always);
    }

    fn add(&self, script: Script, times: Times) {
        let rule = Rule { path: self.path.clone(), caller: self.caller.clone(), script, times };
        self.shared.change(|s| s.add_rule(rule));
    }
}
