//! Where log lines go, and that nobody waits for them: the journal, JSON lines, a pipe that nobody reads, a full disk, and
//! `proxyctl logs`.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::os::unix::net::UnixDatagram;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use proxy_tests::binaries::{Daemon, Live, Machine, browser, programs};
use proxy_tests::daemon::message;
use proxy_tests::fake_claude::FakeClaude;
use proxy_tests::needs;
use proxy_tests::wait::within;
use serde_json::Value;
use tokio::process::{Child, Command};

const PERSON: &str = "person@example.com";

fn machine(fake: &FakeClaude) -> Machine {
    let machine = Machine::new(fake);
    machine.put("claude-a.json", &fake.issue_account(PERSON).auth_file());
    machine
}

/// Where a daemon serves whose log nobody sees.
async fn url(machine: &Machine) -> String {
    within("the daemon serves", async {
        loop {
            let status = machine.proxyctl(&["status", "--json"]).await;
            if status.code == Some(0) {
                return status.json()["http_listen"][0].as_str().unwrap().to_owned();
            }
        }
    })
    .await
}

/// Asks so often that whatever a log line can wait for is full long before the end.
async fn ask_a_lot(url: &str) {
    let client = browser();
    let asking = (0..20).map(|_| async {
        for _ in 0..250 {
            let answer = client.get(format!("{url}/healthz")).send().await.unwrap();
            assert_eq!(answer.status(), 200);
        }
    });
    within("five thousand answers", futures_util::future::join_all(asking)).await;
    let asked = client.post(format!("{url}/v1/messages")).json(&message("hello")).send();
    assert_eq!(within("an answer", asked).await.unwrap().status(), 200);
}

async fn end(mut child: Child) -> Option<i32> {
    kill(Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap()), Signal::SIGTERM).unwrap();
    within("the daemon ends", child.wait()).await.unwrap().code()
}

fn quiet(machine: &Machine, args: &[&str]) -> Command {
    let mut command = machine.command(&programs().proxyd);
    command.args(["--listen", "127.0.0.1:0"]).args(args).stdout(Stdio::null());
    command
}

#[tokio::test]
async fn a_pipe_that_nobody_reads_slows_no_request_and_holds_up_no_end() {
    let fake = FakeClaude::start().await;
    let machine = machine(&fake);
    let (_unread, full) = std::io::pipe().unwrap();
    let child = quiet(&machine, &["--log-level", "trace"]).stderr(full).spawn().unwrap();
    ask_a_lot(&format!("http://{}", url(&machine).await)).await;
    assert_eq!(end(child).await, Some(0));
}

#[tokio::test]
async fn a_full_disk_slows_no_request_and_the_last_lines_are_in_memory() {
    let fake = FakeClaude::start().await;
    let machine = machine(&fake);
    for format in ["text", "json"] {
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let child = quiet(&machine, &["--log-format", format]).stderr(full).spawn().unwrap();
        ask_a_lot(&format!("http://{}", url(&machine).await)).await;
        let logs = machine.proxyctl(&["logs", "-n", "1", "--level", "info", "--json"]).await.json();
        assert_eq!(logs["message"], "request", "{logs}");
        assert_eq!(end(child).await, Some(0));
    }
}

#[tokio::test]
async fn every_json_line_is_one_object_and_each_request_has_exactly_one() {
    let fake = FakeClaude::start().await;
    let machine = machine(&fake);
    let daemon = machine.start_with(&["--log-format", "json"]).await;
    let answer = daemon.ask("hello").await;
    let id = answer.headers()["x-proxyd-request-id"].to_str().unwrap().to_owned();
    let _read = answer.bytes().await.unwrap();
    let mut strange = message("hello");
    strange["model"] = "no\nsuch \u{1b}[31mmodel".into();
    let asked = browser().post(daemon.url("/v1/messages")).json(&strange).send();
    let _read = within("an answer", asked).await.unwrap().bytes().await.unwrap();
    assert_eq!(daemon.get("/healthz").await.status(), 200);
    let done = daemon.stop().await;
    let lines: Vec<Value> = done.stderr.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for line in &lines {
        let time: jiff::Timestamp = line["time"].as_str().unwrap().parse().unwrap();
        assert!(line["time"].as_str().unwrap().len() == "2026-11-27T10:20:30.123Z".len(), "{time}");
        assert!(["info", "warn"].contains(&line["level"].as_str().unwrap()), "{line}");
        assert!(line["message"].is_string() && line["target"].as_str().unwrap().starts_with("proxyd"));
        assert!(line.as_object().unwrap().values().all(|value| !value.is_object() && !value.is_array()));
    }
    let requests: Vec<&Value> = lines.iter().filter(|line| line["message"] == "request").collect();
    assert_eq!(requests.len(), 2, "one of each, and none of a health check: {requests:?}");
    let (good, bad) = (requests[0], requests[1]);
    assert_eq!(good["request.id"], id.as_str());
    assert_eq!(good["account.id"].as_str().map(str::is_empty), Some(false));
    assert_eq!((&good["status"], &good["attempts"]), (&200.into(), &1.into()));
    assert_eq!((&good["dialect"], &good["endpoint"]), (&"messages".into(), &"messages".into()));
    assert_eq!((&good["ended"], &good["streamed"]), (&"answered".into(), &false.into()));
    assert!(good["tokens.output"].is_u64() && good["duration_ms"].is_u64() && good["first_byte_ms"].is_u64());
    assert_eq!(bad["model"], "no?such ?[31mmodel");
    assert_eq!(lines.iter().filter(|line| line["request.id"] == id.as_str()).count(), 1);
}

#[tokio::test]
async fn a_client_that_leaves_and_one_that_does_not_belong_are_told_as_such() {
    let fake = FakeClaude::start().await;
    let machine = machine(&fake);
    let mut daemon = machine.start_with(&["--log-format", "json"]).await;
    let gate = proxy_tests::fake_claude::Gate::new();
    let held = proxy_tests::fake_claude::Script::real().hold_answer(&gate);
    fake.on("/v1/messages").once(held);
    let asking = browser().post(daemon.url("/v1/messages")).json(&message("hello")).send();
    tokio::select! {
        answer = asking => panic!("{answer:?}"),
        () = within("upstream is asked", gate.reached_by(1)) => {}
    }
    let line = daemon.log_line("client_gone").await;
    let line: Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&line["message"], &line["status"]), (&"request".into(), &Value::Null), "{line}");
    gate.open();
    let foreign = browser().get(daemon.url("/v1/models")).header("origin", "https://evil.example").send();
    assert_eq!(within("an answer", foreign).await.unwrap().status(), 403);
    let line: Value = serde_json::from_str(&daemon.log_line("request refused").await).unwrap();
    assert_eq!((&line["status"], &line["peer.kind"]), (&403.into(), &"user".into()), "{line}");
    assert!(!line.to_string().contains("evil"), "{line}");
    assert_eq!(daemon.stop().await.code, Some(0));
}

#[tokio::test]
async fn proxyctl_reads_the_log_and_changes_how_much_is_in_it() {
    let fake = FakeClaude::start().await;
    let machine = machine(&fake);
    let daemon = machine.start().await;
    let ask = async || {
        let answer = daemon.ask("hello").await;
        let id = answer.headers()["x-proxyd-request-id"].to_str().unwrap().to_owned();
        let _read = answer.bytes().await.unwrap();
        id
    };
    let mut follow = machine.command(&programs().proxyctl);
    follow.args(["logs", "-f", "--account", PERSON, "--json"]);
    let mut follow = Live::start(follow);
    let (first, second) = (ask().await, ask().await);
    let line: Value = serde_json::from_str(&follow.stdout_line(&second).await).unwrap();
    assert_eq!((&line["message"], &line["fields"]["status"]), (&"request".into(), &"200".into()), "{line}");

    let of_one = machine.proxyctl(&["logs", "--request", &first]).await;
    assert_eq!((of_one.code, of_one.stdout.lines().count()), (Some(0), 1), "{}", of_one.stdout);
    assert!(of_one.stdout.contains(&first) && of_one.stdout.contains("INFO"), "{}", of_one.stdout);
    let mut of_that = machine.command(&programs().proxyctl);
    of_that.args(["logs", "-f", "--request", &second, "--level", "info"]);
    let mut of_that = Live::start(of_that);
    assert!(of_that.stdout_line("status=200").await.contains(&second));

    assert_eq!(machine.proxyctl(&["log-level"]).await.stdout, "info\n");
    let set = machine.proxyctl(&["log-level", "debug"]).await;
    assert_eq!(set.stdout, "The log level is debug now; it was info before.\n", "{}", set.stderr);
    let third = ask().await;
    let more = machine.proxyctl(&["logs", "--request", &third]).await.stdout;
    assert!(more.lines().count() > 1 && more.contains("DEBUG"), "{more}");
    let set = machine.proxyctl(&["log-level", "error", "--json"]).await.json();
    assert_eq!((&set["level"], &set["before"]), (&"error".into(), &"debug".into()));
    let fourth = ask().await;
    assert_eq!(machine.proxyctl(&["logs", "--request", &fourth]).await.stdout, "");
    assert_eq!(machine.proxyctl(&["log-level", "loud"]).await.code, Some(2));
    let nobody = machine.proxyctl(&["logs", "--account", "nobody"]).await;
    assert!(nobody.code == Some(5) && nobody.stderr.contains("nobody"), "{}", nobody.stderr);

    assert_eq!(daemon.stop().await.code, Some(0));
    assert_eq!(follow.finish().await.code, Some(3), "the daemon's end is told");
    assert_eq!(of_that.finish().await.code, Some(3));
}

#[tokio::test]
async fn a_journal_that_is_not_there_is_no_reason_not_to_start() {
    if !journal_can_be() {
        return;
    }
    let fake = FakeClaude::start().await;
    let machine = machine(&fake);
    let empty = machine.home().join("journal");
    fs::create_dir(&empty).unwrap();
    let mut daemon = Daemon::ready(Live::start(within_journal(&machine, &empty, &[]))).await;
    assert!(daemon.log_line("the journal cannot be reached").await.contains("WARN"));
    assert_eq!(daemon.ask("hello").await.status(), 200);
    assert_eq!(daemon.stop().await.code, Some(0));
}

#[tokio::test]
async fn the_journal_gets_fields_and_one_that_hangs_slows_no_request() {
    if !journal_can_be() {
        return;
    }
    let fake = FakeClaude::start().await;
    let machine = machine(&fake);
    let dir = machine.home().join("journal");
    fs::create_dir(&dir).unwrap();
    let journal = Arc::new(UnixDatagram::bind(dir.join("socket")).unwrap());
    journal.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    let mut command = within_journal(&machine, &dir, &["--log-level", "trace"]);
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let ready = entry(&journal, |entry| says(entry, "MESSAGE", "proxyd is ready")).await;
    let url = ready["PROXYD_LISTEN"].split(' ').next().unwrap().to_owned();
    let asked = browser().post(format!("{url}/v1/messages")).json(&message("hello")).send();
    let answer = within("an answer", asked).await.unwrap();
    let id = answer.headers()["x-proxyd-request-id"].to_str().unwrap().to_owned();
    let _read = answer.bytes().await.unwrap();
    let line = entry(&journal, move |entry| {
        says(entry, "MESSAGE", "request") && says(entry, "PROXYD_REQUEST_ID", &id)
    });
    let line = line.await;
    for (field, value) in [
        ("PROXYD_STATUS", "200"),
        ("PROXYD_DIALECT", "messages"),
        ("PROXYD_ENDED", "answered"),
        ("PROXYD_ATTEMPTS", "1"),
        ("SYSLOG_IDENTIFIER", "proxyd"),
        ("PRIORITY", "5"),
    ] {
        assert!(says(&line, field, value), "{field}: {line:?}");
    }
    for field in ["PROXYD_ACCOUNT_ID", "PROXYD_MODEL", "PROXYD_DURATION_MS", "PROXYD_TOKENS_OUTPUT"] {
        assert!(line.contains_key(field), "{field}: {line:?}");
    }
    // Nobody reads any more.
    ask_a_lot(&url).await;
    let dropped = entry(&journal, |entry| entry["MESSAGE"].starts_with("log lines were dropped")).await;
    assert!(dropped["PROXYD_LINES"].parse::<u64>().unwrap() > 0, "{dropped:?}");
    // Whoever ends it finds a journal that hangs once more.
    ask_a_lot(&url).await;
    assert_eq!(end(child).await, Some(0));
}

fn journal_can_be() -> bool {
    let mount = "mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/journal";
    needs::available("mount", &["unshare", "mount"])
        && needs::runs("mount", "unshare", &["--user", "--map-root-user", "--mount", "sh", "-c", mount])
}

/// A daemon that logs to the journal, and finds what is in `dir` where the journal is.
fn within_journal(machine: &Machine, dir: &std::path::Path, args: &[&str]) -> Command {
    let mut command = machine.command("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c"]);
    command.arg(
        "mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/journal && mount --bind \"$1\" /run/systemd/journal && shift && \
         exec \"$0\" \"$@\"",
    );
    command.arg(&programs().proxyd).arg(dir);
    command.args(["--listen", "127.0.0.1:0", "--log-format", "journal"]).args(args);
    command
}

type Entry = BTreeMap<String, String>;

fn says(entry: &Entry, field: &str, value: &str) -> bool {
    entry.get(field).is_some_and(|said| said == value)
}

/// The next entry of this kind; those before it are read and forgotten.
async fn entry(journal: &Arc<UnixDatagram>, is_it: impl Fn(&Entry) -> bool + Send + 'static) -> Entry {
    let journal = Arc::clone(journal);
    let reading = proxyd::tasks::Tasks::new().spawn_blocking(move || {
        let mut bytes = vec![0; 256 * 1024];
        loop {
            let read = journal.recv(&mut bytes).unwrap();
            let entry = parsed(&bytes[..read]);
            // The first one is empty: it asks whether somebody is there.
            if !entry.is_empty() && is_it(&entry) {
                return entry;
            }
        }
    });
    within("an entry of the journal", reading).await.unwrap()
}

/// The journal's own protocol: `NAME=value`, or a name alone and then the value with its length before it.
fn parsed(mut bytes: &[u8]) -> Entry {
    let mut entry = Entry::new();
    while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
        let line = String::from_utf8(bytes[..end].to_vec()).unwrap();
        bytes = &bytes[end + 1..];
        let (name, value) = if let Some((name, value)) = line.split_once('=') {
            (name.to_owned(), value.to_owned())
        } else {
            let (length, rest) = bytes.split_at(8);
            let length = usize::try_from(u64::from_le_bytes(length.try_into().unwrap())).unwrap();
            let value = String::from_utf8(rest[..length].to_vec()).unwrap();
            bytes = &rest[length + 1..];
            (line, value)
        };
        entry.insert(name, value);
    }
    entry
}

#[tokio::test]
async fn a_health_check_has_a_line_at_debug_and_speaks_no_dialect() {
    let fake = FakeClaude::start().await;
    let machine = machine(&fake);
    let daemon = machine.start_with(&["--log-format", "json", "--log-level", "debug"]).await;
    assert_eq!(daemon.get("/healthz").await.status(), 200);
    let done = daemon.stop().await;
    let lines: Vec<Value> = done.stderr.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let look = lines.iter().find(|line| line["endpoint"] == "status").unwrap();
    assert_eq!((&look["level"], look.get("dialect")), (&"debug".into(), None), "{look}");
}
