//! One run of the real programs through everything that handles a secret, at the most talkative log level;
//! then nothing of any of them may be in anything that was logged, answered or printed.

use std::fs;
use std::process::Stdio;

use proxy_proto::v1::accounts_client::AccountsClient;
use proxy_proto::v1::daemon_client::DaemonClient;
use proxy_proto::v1::{GetStatusRequest, ListAccountsRequest};
use proxy_tests::binaries::{Daemon, Done, Live, Machine, browser, programs};
use proxy_tests::daemon::channel;
use proxy_tests::fake_claude::{Decision, FakeClaude, Script, TOKEN_PATH};
use proxy_tests::wait::within;
use serde_json::{Value, json};

const EMAIL: &str = "canary-person@canary.example";
const ORGANIZATION: &str = "Canary Aviary";
const PROMPT: &str = "CANARY-PROMPT what a person asks is nobody's business";
const CLIENT_KEY: &str = "sk-ant-api03-FAKECANARYCLIENTKEY";
const BAD_KEY: &str = "sk-ant-oat01-FAKECANARYNOKEY";
const BAD_CODE: &str = "code-FAKECANARYINVENTED";
const IN_A_BROKEN_FILE: &str = "sk-ant-ort01-FAKECANARYBROKEN";
const IN_A_BROKEN_REPLY: &str = "sk-ant-oat01-FAKECANARYREPLY";

/// Everything that was said to somebody, by who may read it.
#[derive(Default)]
struct Said {
    /// By `proxyctl`, whose reader is the accounts' owner.
    to_the_owner: Vec<String>,
    /// By the daemon over HTTP, whose reader may be any program.
    to_programs: Vec<String>,
    /// In the daemon's log.
    logged: String,
}

impl Said {
    async fn run(&mut self, machine: &Machine, args: &[&str]) -> Done {
        let done = machine.proxyctl(args).await;
        self.keep(&done, "");
        done
    }

    /// Keeps what a run printed; the state may be seen inside the authorize URL, which is where a person
    /// needs it.
    fn keep(&mut self, done: &Done, url: &str) {
        let printed = format!("{}{}", done.stdout, done.stderr);
        self.to_the_owner.push(if url.is_empty() { printed } else { printed.replace(url, "") });
    }

    /// Sends a request, keeps the body of an error, and leaves out that of a success: it is the client's own.
    async fn ask(&mut self, daemon: &Daemon, path: &str, body: &Value) -> u16 {
        self.ask_with(daemon, path, body, CLIENT_KEY).await
    }

    async fn ask_with(&mut self, daemon: &Daemon, path: &str, body: &Value, key: &str) -> u16 {
        let request = browser().post(daemon.url(path)).header("x-api-key", key).body(body.to_string());
        let request =
            request.header("content-type", "application/json").header("anthropic-version", "2023-06-01");
        let answer = within("an answer", request.send()).await.unwrap();
        let status = answer.status();
        let headers = format!("{:?}", answer.headers());
        let text = answer.text().await.unwrap_or_default();
        self.to_programs.push(headers);
        if !status.is_success() {
            self.to_programs.push(text);
        }
        status.as_u16()
    }

    async fn get(&mut self, daemon: &Daemon, path: &str) {
        let answer = daemon.get(path).await;
        self.to_programs.push(format!("{:?}", answer.headers()));
        self.to_programs.push(answer.text().await.unwrap());
    }
}

fn body(model: &str, stream: bool) -> Value {
    json!({"model": model, "max_tokens": 100, "stream": stream, "messages": [{"role": "user", "content": PROMPT}]})
}

async fn log_in(machine: &Machine, said: &mut Said, answer: Option<&str>) -> Option<i32> {
    let mut command = machine.command(&programs().proxyctl);
    command.args(["login", "claude", "--no-browser"]).stdin(Stdio::piped());
    let mut live = Live::start(command);
    let url = live.stdout_line("http").await;
    if let Some(line) = answer {
        live.type_line(line).await;
    } else {
        let page = within("the last page", browser().get(&url).send()).await.unwrap();
        said.to_programs.push(page.text().await.unwrap());
    }
    let done = live.finish().await;
    said.keep(&done, &url);
    done.code
}

#[tokio::test]
async fn no_secret_is_ever_logged_answered_or_printed() {
    let fake = FakeClaude::start().await;
    fake.sign_in_as(EMAIL, ORGANIZATION);
    let machine = Machine::new(&fake);
    let mut said = Said::default();
    let mut secrets: Vec<String> =
        [CLIENT_KEY, BAD_KEY, BAD_CODE, IN_A_BROKEN_FILE, IN_A_BROKEN_REPLY].map(str::to_owned).into();

    // Files a person left there, with an address in their names.
    let named = format!("claude-{EMAIL}.json");
    let earlier = fake.issue_account_in(EMAIL, "Earlier Aviary");
    let mut older = fake.issue_account_in(EMAIL, "Earlier Aviary").auth_file();
    older["last_refresh"] = json!("2020-01-01T00:00:00Z");
    machine.put(&named, &earlier.auth_file());
    machine.put(&format!("claude-old-{EMAIL}.json"), &older);
    // One that no request is sent by, so that nothing refreshes it but who asks for it.
    let resting = fake.issue_account_in(EMAIL, "Resting Aviary");
    let mut off = resting.auth_file();
    off["disabled"] = json!(true);
    machine.put("claude-off.json", &off);
    for issued in [&earlier, &resting] {
        secrets.extend([issued.access_token.clone(), issued.refresh_token.clone()]);
    }
    let broken = machine.auth_dir().join(format!("claude-broken-{EMAIL}.json"));
    write(&broken, &format!("{{\"type\": \"claude\", \"refresh_token\": \"{IN_A_BROKEN_FILE}\", }}"));

    let daemon = machine.start_with(&["--log-level", "trace"]).await;
    said.run(&machine, &["accounts", "list"]).await;

    // Logins that fail, and one that succeeds.
    fake.decide(Decision::Deny);
    assert_eq!(log_in(&machine, &mut said, None).await, Some(15));
    fake.decide(Decision::Allow);
    assert_eq!(log_in(&machine, &mut said, Some(BAD_CODE)).await, Some(15));
    fake.on(TOKEN_PATH).once(Script::body(
        http::StatusCode::OK,
        "application/json",
        format!("{{\"access_token\": \"{IN_A_BROKEN_REPLY}\", \"refresh_token\": {{"),
    ));
    assert_eq!(log_in(&machine, &mut said, None).await, Some(15));
    assert_eq!(log_in(&machine, &mut said, None).await, Some(0));

    // Requests of every kind, good and bad.
    for (path, stream) in [
        ("/v1/messages", false),
        ("/v1/messages", true),
        ("/v1/chat/completions", false),
        ("/v1/chat/completions", true),
    ] {
        assert_eq!(said.ask(&daemon, path, &body("claude-sonnet-4-5", stream)).await, 200, "{path} {stream}");
    }
    let no_limit = json!({"model": "claude-sonnet-4-5", "messages": [{"role": "user", "content": PROMPT}]});
    assert_eq!(said.ask(&daemon, "/v1/messages/count_tokens", &no_limit).await, 200);
    for path in ["/v1/messages", "/v1/chat/completions", "/v1/messages?key=CANARY-PROMPT"] {
        for wrong in
            [json!(PROMPT), json!({"model": 1, "messages": PROMPT}), json!({"messages": [{"role": PROMPT}]})]
        {
            assert!((400..500).contains(&said.ask(&daemon, path, &wrong).await), "{path} {wrong}");
        }
    }
    for path in ["/healthz", "/readyz", "/v1/models", "/v1/models/claude-sonnet-4-5", "/no-such-path"] {
        said.get(&daemon, path).await;
    }

    // Trouble upstream, each with the account's own token on the way.
    for script in [Script::overloaded(), Script::html_502(), Script::reset(), Script::close()] {
        fake.on("/v1/messages").times(3, &script);
        said.ask(&daemon, "/v1/messages", &body("claude-sonnet-4-5", false)).await;
        fake.clear_scripts();
    }
    fake.on("/v1/messages").once(Script::error_event("overloaded_error", "Overloaded"));
    said.ask(&daemon, "/v1/messages", &body("claude-sonnet-4-5", true)).await;

    // A 401 and its refresh, a refresh that fails, and one that is asked for.
    note_tokens(&machine, &mut secrets);
    fake.expire_access_tokens();
    for _ in 0..4 {
        said.ask(&daemon, "/v1/chat/completions", &body("claude-sonnet-4-5", false)).await;
    }
    note_tokens(&machine, &mut secrets);
    let list = said.run(&machine, &["accounts", "list", "--json"]).await.json();
    // The one that those requests did not refresh: its minute is not begun.
    let accounts = list["accounts"].as_array().unwrap().iter();
    let used = accounts.filter(|account| account["renewable"] == true && account["state"] == "ready");
    let mut used: Vec<_> = used.map(|account| [&account["last_refresh_at"], &account["id"]]).collect();
    used.sort_by_key(|[refreshed_at, _]| refreshed_at.to_string());
    let [id, other] = [used[0][1], used[1][1]].map(|id| id.as_str().unwrap().to_owned());
    for script in [
        Script::oauth_error(http::StatusCode::FORBIDDEN, "unauthorized_client", "not today"),
        Script::body(
            http::StatusCode::OK,
            "application/json",
            format!("{{\"access_token\":\"{IN_A_BROKEN_REPLY}\""),
        ),
    ] {
        fake.on(TOKEN_PATH).once(script);
        assert_eq!(said.run(&machine, &["accounts", "refresh", &id]).await.code, Some(1));
    }
    let refreshed = said.run(&machine, &["accounts", "refresh", &id]).await;
    assert_eq!(refreshed.code, Some(0), "{}", refreshed.stderr);
    note_tokens(&machine, &mut secrets);

    // A limit, which keeps the accounts there are out for a moment.
    fake.on("/v1/messages").times(3, &Script::rate_limited(1));
    said.ask(&daemon, "/v1/messages", &body("claude-sonnet-4-5", false)).await;
    fake.clear_scripts();

    // Keys: one that is good, one that upstream does not know, and one that is none.
    let key = fake.add_api_key();
    secrets.push(key.clone());
    for (text, code) in [(key.as_str(), 0), (CLIENT_KEY, 0), (BAD_KEY, 2)] {
        write(&machine.home().join("key.txt"), text);
        let add = ["accounts", "add", "claude", "--key-file", "key.txt"];
        assert_eq!(said.run(&machine, &add).await.code, Some(code));
    }
    for _ in 0..6 {
        said.ask(&daemon, "/v1/messages", &body("claude-sonnet-4-5", false)).await;
    }

    // A client key: printed alone, once, and then presented by a program.
    for args in [&["keys", "create", "canary-one"][..], &["keys", "create", "canary-two", "--json"]] {
        let mut made = machine.proxyctl(args).await;
        let is_json = args.contains(&"--json");
        let printed = if is_json { made.json()["secret"].take() } else { json!(made.stdout.trim_end()) };
        let key = printed.as_str().unwrap().to_owned();
        assert_eq!((made.code, made.stdout.matches(&key).count()), (Some(0), 1));
        made.stdout = made.stdout.replacen(&key, "", 1);
        said.keep(&made, "");
        for path in ["/v1/messages", "/no-such-path"] {
            said.ask_with(&daemon, path, &body("claude-sonnet-4-5", false), &key).await;
        }
        // Without what every key begins with.
        secrets.push(key["sk-proxyd-".len()..].to_owned());
    }
    let taken = said.run(&machine, &["keys", "create", "canary-one"]).await;
    assert_eq!(taken.code, Some(2));
    for args in [&["keys", "list"][..], &["keys", "list", "--json"], &["keys", "show", "canary-one"]] {
        assert_eq!(said.run(&machine, args).await.code, Some(0), "{args:?}");
    }
    let revoked = said.run(&machine, &["keys", "revoke", "canary-one", "--yes"]).await;
    assert_eq!(revoked.code, Some(0), "{}", revoked.stderr);
    let file = machine.auth_dir().join(".keys.json");
    said.to_the_owner.push(fs::read_to_string(&file).unwrap());

    // What the control plane answers, whoever asks.
    let channel = channel(&machine.control_socket()).await;
    let list =
        AccountsClient::new(channel.clone()).list_accounts(ListAccountsRequest::default()).await.unwrap();
    let status = DaemonClient::new(channel).get_status(GetStatusRequest {}).await.unwrap();
    said.to_the_owner.push(format!("{:?} {:?}", list.into_inner(), status.into_inner()));
    for args in [&["status"][..], &["status", "--json"], &["accounts", "list"], &["accounts", "show", &id]] {
        assert_eq!(said.run(&machine, args).await.code, Some(0), "{args:?}");
    }
    said.run(&machine, &["accounts", "show", EMAIL]).await;
    said.run(&machine, &["accounts", "disable", &id]).await;
    said.run(&machine, &["accounts", "enable", &id]).await;

    // A revocation that fails and one that succeeds, and a login that its owner revoked elsewhere.
    fake.on("/v1/oauth/revoke").once(Script::html_502());
    let fallen = said.run(&machine, &["accounts", "revoke", &id, "--yes"]).await;
    assert!(fallen.stderr.contains("did NOT revoke"), "{}", fallen.stderr);
    fake.on(TOKEN_PATH).from(resting.account).once(Script::reset());
    let cut_off = said.run(&machine, &["accounts", "refresh", "claude-off.json"]).await;
    assert_eq!(cut_off.code, Some(1), "{}", cut_off.stdout);
    fake.revoke(&resting.refresh_token);
    assert_eq!(said.run(&machine, &["accounts", "refresh", "claude-off.json"]).await.code, Some(15));
    assert_eq!(said.run(&machine, &["accounts", "revoke", &other, "--yes"]).await.code, Some(0));

    // Its last lines, as they are kept in memory, in both forms.
    let mut kept = String::new();
    for args in [&["logs", "-n", "100000"][..], &["logs", "-n", "100000", "--json"]] {
        let logs = said.run(&machine, args).await;
        assert!(logs.code == Some(0) && logs.stdout.contains("client_key"), "{}", logs.stderr);
        kept.push_str(&logs.stdout);
    }

    let done = daemon.stop().await;
    assert_eq!((done.code, done.stdout.as_str()), (Some(0), ""));
    said.logged = done.stderr + &kept;
    for request in fake.requests_to(TOKEN_PATH) {
        let body = request.json();
        let fields = ["code", "code_verifier", "state", "refresh_token"];
        secrets.extend(fields.iter().filter_map(|field| body[field].as_str().map(str::to_owned)));
    }
    check(&said, secrets);
}

/// Looks for each secret everywhere, and first shows that there was something to find and somewhere to find
/// it.
fn check(said: &Said, mut secrets: Vec<String>) {
    secrets.sort();
    secrets.dedup();
    assert!(secrets.len() > 15 && secrets.iter().all(|secret| secret.len() > 15), "{secrets:?}");
    for happened in [
        "login completed",
        "login not completed",
        "token refreshed",
        "token not refreshed",
        "account added",
        "account revoked",
        "a client key was made",
        "a client key was revoked",
        "attempt failed",
        "request failed",
        "file not used",
        "needs a new login",
    ] {
        assert!(said.logged.contains(happened), "{happened:?} is not in the log:\n{}", said.logged);
    }
    assert!(said.to_the_owner.len() > 15 && said.to_programs.len() > 40);
    let everything = || said.to_the_owner.iter().chain(&said.to_programs).chain([&said.logged]);
    for secret in &secrets {
        for text in everything() {
            assert!(!text.contains(secret), "{secret} is in:\n{text}");
        }
    }
    for personal in [EMAIL, "canary-person", ORGANIZATION] {
        for text in said.to_programs.iter().chain([&said.logged]) {
            assert!(!text.contains(personal), "{personal} is in:\n{text}");
        }
    }
    // A refusal may quote the request to the one who sent it, and to nobody else.
    for asked in ["CANARY-PROMPT", "nobody's business"] {
        for text in said.to_the_owner.iter().chain([&said.logged]) {
            assert!(!text.contains(asked), "{asked} is in:\n{text}");
        }
    }
}

/// Remembers what the files hold now.
fn note_tokens(machine: &Machine, secrets: &mut Vec<String>) {
    for entry in fs::read_dir(machine.auth_dir()).unwrap() {
        let Ok(text) = fs::read_to_string(entry.unwrap().path()) else { continue };
        let Ok(document) = serde_json::from_str::<Value>(&text) else { continue };
        let fields = ["access_token", "refresh_token", "api_key"];
        secrets.extend(fields.iter().filter_map(|field| document[field].as_str().map(str::to_owned)));
    }
}

fn write(path: &std::path::Path, text: &str) {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut file =
        fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}
