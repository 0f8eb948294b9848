//! The place of a case: a machine of its own with a fake upstream, one account, and the real daemon.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use proxy_tests::binaries::{Daemon, Done, Live, Machine, programs};
use proxy_tests::daemon::{message, put};
use proxy_tests::fake_claude::{FakeClaude, Issued, OnSurprise, Options};
use serde_json::{Value, json};

use crate::evidence::{self, EMAIL, PROMPT};

pub(crate) const FILE: &str = "claude-a.json";
/// The routes that ask upstream, by the dialect of their answers.
pub(crate) const DIALECTS: [&str; 3] = ["/v1/messages", "/v1/chat/completions", "/v1/responses"];

/// A machine that is set up and whose daemon does not run yet.
pub(crate) struct Setup {
    pub(crate) fake: FakeClaude,
    pub(crate) machine: Machine,
    pub(crate) issued: Issued,
    level: &'static str,
}

pub(crate) struct Bench {
    pub(crate) fake: FakeClaude,
    pub(crate) machine: Machine,
    pub(crate) issued: Issued,
    pub(crate) daemon: Daemon,
}

impl Setup {
    /// With one account whose token is good.
    pub(crate) async fn new() -> Result<Self> {
        let options = Options { on_surprise: OnSurprise::Keep, ..Options::default() };
        let fake = FakeClaude::serve(options).await.context("the fake listens")?;
        let machine = Machine::new(&fake);
        let issued = fake.issue_account(EMAIL);
        machine.put(FILE, &issued.auth_file());
        Ok(Self { fake, machine, issued, level: "trace" })
    }

    /// A key of the configuration, as `http.keep_alive`.
    pub(crate) fn set(mut self, key: &str, value: &str) -> Self {
        let name = format!("PROXYD_{}", key.to_ascii_uppercase().replace('.', "__"));
        self.machine = self.machine.with(&name, value);
        self
    }

    /// Upstream is somewhere else.
    pub(crate) fn upstream(self, url: &str) -> Self {
        self.set("claude.api_base_url", url)
    }

    /// Logs no more than by default: where thousands of requests are made, the log is not what is looked at.
    pub(crate) fn quiet(mut self) -> Self {
        self.level = "info";
        self
    }

    pub(crate) fn account(self, document: &Value) -> Self {
        put(&self.machine.auth_dir(), FILE, document);
        self
    }

    pub(crate) async fn start(self) -> Bench {
        let daemon = self.machine.start_with(&["--log-level", self.level]).await;
        self.with(daemon)
    }

    /// On these addresses instead of one of its own.
    pub(crate) async fn start_listening(self, listen: &str) -> Bench {
        let mut command = self.machine.command(&programs().proxyd);
        command.args(["--log-level", self.level]).env("PROXYD_HTTP__LISTEN", listen);
        let daemon = Daemon::ready(Live::start(command)).await;
        self.with(daemon)
    }

    /// The daemon may open no more files than these.
    pub(crate) async fn start_limited(self, files: usize) -> Bench {
        let mut command = self.machine.command("sh");
        command.args(["-c", &format!("ulimit -n {files}; exec \"$0\" \"$@\"")]).arg(&programs().proxyd);
        command.args(["--listen", "127.0.0.1:0", "--log-level", self.level]);
        let daemon = Daemon::ready(Live::start(command)).await;
        self.with(daemon)
    }

    fn with(self, daemon: Daemon) -> Bench {
        Bench { fake: self.fake, machine: self.machine, issued: self.issued, daemon }
    }
}

impl Bench {
    pub(crate) fn address(&self) -> &str {
        self.daemon.address()
    }

    /// Whether the file holds the refresh token that the issuer holds as current.
    pub(crate) fn holds_newest(&self) -> bool {
        let current = self.fake.current_refresh_token(self.issued.account);
        current.is_some_and(|token| self.machine.read(FILE).get("refresh_token") == Some(&json!(token)))
    }

    /// Everything of the daemon's memory that is in use now, and that was at most, in MiB.
    pub(crate) fn memory(&self) -> Result<(u64, u64)> {
        let status = self.proc("status")?;
        let field = |name: &str| -> Result<u64> {
            let line =
                status.lines().find_map(|line| line.strip_prefix(name)).context("a field of status")?;
            Ok(line.trim().trim_end_matches(" kB").trim().parse::<u64>()? / 1024)
        };
        Ok((field("VmRSS:")?, field("VmHWM:")?))
    }

    /// What proc(5) says of the daemon.
    pub(crate) fn proc(&self, file: &str) -> Result<String> {
        let path = format!("/proc/{}/{file}", self.daemon.pid());
        std::fs::read_to_string(&path).with_context(|| path)
    }

    pub(crate) fn descriptors(&self) -> Result<usize> {
        let path = format!("/proc/{}/fd", self.daemon.pid());
        Ok(std::fs::read_dir(&path).with_context(|| path)?.count())
    }

    /// A small request is answered.
    pub(crate) async fn serves(&self) -> Result<()> {
        let answer = self.daemon.ask(PROMPT).await;
        ensure!(answer.status() == 200, "a small request got {}", answer.status());
        Ok(())
    }

    /// SIGTERM, exit code 0, no call that surprised upstream, and what was written is kept to be looked through.
    pub(crate) async fn stop(self) -> Result<()> {
        let Self { fake, machine, daemon, .. } = self;
        let done = daemon.stop().await;
        ended(&machine, &done)?;
        fake.verify().map_err(|surprises| {
            let told: Vec<_> = surprises.iter().map(ToString::to_string).collect();
            anyhow::anyhow!("upstream was surprised: {}", told.join("; "))
        })
    }
}

/// An end in order. What was written is kept.
pub(crate) fn ended(machine: &Machine, done: &Done) -> Result<()> {
    evidence::log(&done.stderr);
    evidence::log(&done.stdout);
    evidence::state(machine.home());
    ensure!(done.code == Some(0), "the daemon ended with {:?}: {}", done.code, last_lines(&done.stderr));
    Ok(())
}

fn last_lines(log: &str) -> String {
    let lines: Vec<_> = log.lines().rev().take(3).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join(" | ")
}

/// A request in the dialect of a route.
pub(crate) fn body(route: &str, stream: bool) -> Value {
    let mut body = match route {
        "/v1/responses" => json!({"model": "claude-sonnet-4-5", "input": PROMPT}),
        _ => message(PROMPT),
    };
    if let Some(body) = body.as_object_mut() {
        body.insert("stream".to_owned(), json!(stream));
    }
    body
}

/// An answer as a client of the route sees it.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) status: u16,
    pub(crate) headers: http::HeaderMap,
    pub(crate) text: String,
    /// Whether the body came to an end that HTTP calls one.
    pub(crate) is_whole: bool,
}

/// Asks on a route and reads everything.
pub(crate) async fn ask(daemon: &Daemon, route: &str, stream: bool) -> Result<Answered> {
    send(client()?.post(daemon.url(route)).json(&body(route, stream))).await
}

pub(crate) async fn send(request: reqwest::RequestBuilder) -> Result<Answered> {
    let mut answer = request.send().await.context("no answer")?;
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    let mut bytes = Vec::new();
    let is_whole = loop {
        match answer.chunk().await {
            Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
            Ok(None) => break true,
            Err(_) => break false,
        }
    };
    let text = String::from_utf8_lossy(&bytes).into_owned();
    evidence::answer(status, &headers, &text);
    Ok(Answered { status, headers, text, is_whole })
}

/// Follows no redirect and waits longer than any limit that a case sets.
pub(crate) fn client() -> Result<reqwest::Client> {
    let _installed = rustls::crypto::ring::default_provider().install_default();
    let builder = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
    Ok(builder.timeout(Duration::from_mins(1)).build()?)
}

impl Answered {
    /// Whether it is an error as this route's clients read one: of the request, or at the end of the stream.
    pub(crate) fn is_error_of(&self, route: &str) -> bool {
        let is_text = |value: &Value, at: &str| value.pointer(at).is_some_and(Value::is_string);
        let is_error_event = |value: &Value| value.pointer("/type").is_some_and(|kind| kind == "error");
        let is_error = |value: &Value| match route {
            "/v1/messages" => is_error_event(value) && is_text(value, "/error/message"),
            _ => {
                is_text(value, "/error/message")
                    || is_text(value, "/response/error/message")
                    || (is_error_event(value) && is_text(value, "/message"))
            }
        };
        if self.status >= 400 {
            return serde_json::from_str(&self.text).is_ok_and(|value| is_error(&value));
        }
        let data = self.text.lines().filter_map(|line| line.strip_prefix("data: "));
        self.is_whole && data.filter_map(|data| serde_json::from_str(data).ok()).any(|value| is_error(&value))
    }
}
