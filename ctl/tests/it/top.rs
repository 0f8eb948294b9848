//! `proxyctl top` on a pseudo-terminal: what is on the screen, what its keys ask the daemon for, and that the terminal is as
//! before on every way out.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::num::NonZeroU16;
use std::os::fd::AsFd as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use nix::sys::signal::{Signal, kill};
use nix::sys::termios::{LocalFlags, Termios, tcgetattr};
use nix::unistd::Pid;
use proxy_proto::v1::{
    Account, AccountState, ActiveRequest, ActivityTotals, EndedRequest, EventKind, QuotaWindow, RequestPhase,
    TokenCounts, WatchAccountsResponse, WatchActivityResponse, WatchEventsResponse,
};
use tonic::{Code, Status};

use super::daemon::{FakeDaemon, account, api_key_account, at, from_now, status};
use super::process::wait_until;

/// What a shell has set on its terminal, and `top` changes.
const COOKED: LocalFlags = LocalFlags::ICANON.union(LocalFlags::ECHO).union(LocalFlags::ISIG);

/// `top` at work.
struct Screen {
    child: Program,
    keyboard: File,
    /// Kept open, so that its settings can be looked at after the end.
    slave: File,
    before: Termios,
    shown: Arc<Mutex<vt100::Parser>>,
    reader: Option<JoinHandle<()>>,
}

/// Ends with its test, whatever becomes of that.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ended_already = self.0.kill();
        let _status = self.0.wait();
    }
}

impl Screen {
    fn start(daemon: &FakeDaemon, size: (u16, u16)) -> Self {
        Self::with(daemon.command(&["top"]), size)
    }

    fn with(mut command: Command, (columns, rows): (u16, u16)) -> Self {
        let (keyboard, slave) = super::terminal::open();
        resize(&slave, (columns, rows));
        let before = tcgetattr(&slave).unwrap();
        assert!(before.local_flags.contains(COOKED));
        let end = || Stdio::from(slave.try_clone().unwrap());
        command.stdin(end()).stdout(end()).stderr(end()).env("TERM", "xterm");
        let child = Program(command.spawn().unwrap());
        let number = |number| NonZeroU16::new(number).unwrap();
        let shown = Arc::new(Mutex::new(vt100::Parser::new(number(rows), number(columns), 0)));
        let (mut source, screen) = (keyboard.try_clone().unwrap(), Arc::clone(&shown));
        let reader = std::thread::spawn(move || {
            let mut chunk = [0; 4096];
            // A terminal that nobody holds open any more reads as an error.
            while let Ok(length @ 1..) = source.read(&mut chunk) {
                screen.lock().unwrap().process(&chunk[..length]);
            }
        });
        Self { child, keyboard, slave, before, shown, reader: Some(reader) }
    }

    fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    fn rows(&self) -> Vec<String> {
        let parser = self.shown.lock().unwrap();
        let columns = parser.screen().size().1;
        parser.screen().rows(0, columns.get()).map(|row| row.trim_end().to_owned()).collect()
    }

    fn wait_for(&self, words: &str) -> Vec<String> {
        self.wait_until(words, |rows| rows.iter().any(|row| row.contains(words)))
    }

    fn wait_until(&self, what: &str, is: impl Fn(&[String]) -> bool) -> Vec<String> {
        let seen = Mutex::new(Vec::new());
        let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            wait_until(what, || {
                let rows = self.rows();
                let is = is(&rows);
                *seen.lock().unwrap() = rows;
                is
            });
        }));
        assert!(found.is_ok(), "{what}; on the screen is:\n{}", self.rows().join("\n"));
        seen.into_inner().unwrap()
    }

    fn is_taken(&self) -> bool {
        let parser = self.shown.lock().unwrap();
        let local = tcgetattr(&self.slave).unwrap().local_flags;
        parser.screen().alternate_screen() && parser.screen().hide_cursor() && !local.intersects(COOKED)
    }

    fn is_given_back(&self) -> bool {
        let parser = self.shown.lock().unwrap();
        let now = tcgetattr(self.slave.as_fd()).unwrap();
        let is_cooked = now.local_flags == self.before.local_flags
            && now.input_flags == self.before.input_flags
            && now.output_flags == self.before.output_flags;
        !parser.screen().alternate_screen() && !parser.screen().hide_cursor() && is_cooked
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.0.id().try_into().unwrap()), signal).unwrap();
    }

    /// Waits for the end, after which the terminal must be as before; what is on it then, and the exit code.
    fn left(mut self) -> (Option<i32>, Vec<String>) {
        let child = Mutex::new(&mut self.child);
        wait_until("the program ends", || child.lock().unwrap().0.try_wait().unwrap().is_some());
        let code = self.child.0.wait().unwrap().code();
        // What it wrote last may still be on its way.
        wait_until("the terminal is as before", || self.is_given_back());
        let reader = self.reader.take();
        let Self { slave, keyboard, shown, .. } = self;
        drop((slave, keyboard));
        reader.unwrap().join().unwrap();
        let parser = shown.lock().unwrap();
        let columns = parser.screen().size().1.get();
        (code, parser.screen().rows(0, columns).map(|row| row.trim_end().to_owned()).collect())
    }
}

fn quota(name: &str, used_percent: f64, resets: i64) -> QuotaWindow {
    QuotaWindow {
        name: name.to_owned(),
        used_percent,
        resets_at: Some(from_now(resets)),
        ..QuotaWindow::default()
    }
}

fn pool(state: AccountState) -> WatchAccountsResponse {
    let ada = Account {
        state: state.into(),
        quota: vec![quota("5h", 35.0, 11_520), quota("7d", 72.0, 180_000)],
        ..account()
    };
    WatchAccountsResponse { accounts: vec![ada, api_key_account()], invalid_files: vec![] }
}

fn request(id: &str, phase: RequestPhase) -> ActiveRequest {
    ActiveRequest {
        request_id: id.to_owned(),
        since: Some(from_now(-60)),
        client_key: "ci".to_owned(),
        dialect: "messages".to_owned(),
        endpoint: "messages".to_owned(),
        model: "claude-sonnet-4-5\u{1b}[2J".to_owned(),
        account: account().id,
        account_name: "ada@example.com".to_owned(),
        attempt: 2,
        streaming: true,
        phase: phase.into(),
        bytes: 4096,
        tokens: Some(TokenCounts { input: 812, output: 128, cache_read: 15_300, cache_write: 0 }),
    }
}

fn activity(seconds: i64) -> WatchActivityResponse {
    let grown = u64::try_from(seconds).unwrap();
    let ended = EndedRequest {
        request: Some(request("px_1", RequestPhase::Answering)),
        at: Some(at(seconds)),
        status: Some(529),
        outcome: "answered with status 529".to_owned(),
        took_ms: 3456,
    };
    WatchActivityResponse {
        at: Some(at(seconds)),
        running: vec![request("px_2", RequestPhase::Asking)],
        running_total: 1,
        ended: vec![ended],
        ended_missed: 0,
        totals: Some(ActivityTotals {
            requests: 10 + 2 * grown,
            failed: 1,
            tokens: Some(TokenCounts { input: 0, output: 42 * grown, ..TokenCounts::default() }),
            output_under_way: 0,
        }),
        waiting: 4,
        connections: 7,
    }
}

fn event() -> WatchEventsResponse {
    WatchEventsResponse {
        at: Some(at(0)),
        kind: EventKind::QuotaLow.into(),
        account: account().id,
        name: "ada@example.com".to_owned(),
        detail: "91 % of its 5h window is used".to_owned(),
    }
}

/// A daemon that is watched once, and says no more.
fn daemon() -> FakeDaemon {
    FakeDaemon::start().watched(
        vec![activity(0), activity(1)],
        vec![pool(AccountState::Ready)],
        vec![event()],
    )
}

#[test]
fn at_80x24_all_of_it_is_on_the_screen() {
    let daemon = daemon();
    let mut screen = Screen::start(&daemon, (80, 24));
    let rows = screen.wait_until("everything is there", |rows| {
        ["42 out", "> ada@example.com", "build", "claude-sonnet", "error 529", "quota low", "q quit"]
            .iter()
            .all(|words| rows.iter().any(|row| row.contains(words)))
    });
    assert!(screen.is_taken());
    assert!(
        rows[0].starts_with("proxyd 0.1.0  http://127.0.0.1:8080") && rows[0].ends_with("UTC"),
        "{rows:#?}"
    );
    assert_eq!(rows[1], "1 running  2.0 req/s  tok/s 0.0 in 42 out  4 waiting  7 connections");
    assert!(rows[2].starts_with("1 ACCOUNT ") && rows[2].ends_with(" RUN"), "{rows:#?}");
    // However wide the columns are.
    let words = |row: &str| row.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(words(&rows[3]), "> ada@example.com ready 5h [##---] 35% 3h 7d [####-] 72% 2d 2", "{rows:#?}");
    assert_eq!(words(&rows[4]), "build ready 0", "{rows:#?}");
    assert!(rows[5].starts_with("2  TIME STATE       ACCOUNT"), "{rows:#?}");
    assert!(
        rows[6].contains(" asking      ada@example.com claude-sonnet-4-5") && rows[6].contains(" ci "),
        "{rows:#?}"
    );
    assert!(rows[7].contains("3.4s error 529 "), "{rows:#?}");
    assert!(rows[8].starts_with("3 UTC      EVENT"), "{rows:#?}");
    assert!(rows[9].starts_with("  12:00:00 quota low      ada@example.com"), "{rows:#?}");
    assert_eq!(rows[23], "d disable  e enable  r refresh  arrows choose  Tab pane  ? help  q quit");
    screen.press("?");
    screen.wait_for("close this help");
    screen.press("q");
    let (code, after) = screen.left();
    assert_eq!((code, after.iter().all(String::is_empty)), (Some(0), true), "{after:#?}");
}

#[test]
fn at_200x60_there_is_more_and_a_terminal_that_changes_its_size_is_drawn_anew() {
    let daemon = daemon();
    let mut command = daemon.command(&["top"]);
    command.env("LANG", "C.UTF-8");
    let mut screen = Screen::with(command, (200, 60));
    screen.wait_until("all of it is there", |rows| {
        let shown = |words: &str| rows.iter().any(|row| row.contains(words));
        rows[2].contains("SERVED LIMITED FAILED KIND    TOKEN ENDS")
            && shown("5h   [██████")
            && shown("Selected      ada@example.com (3f2a9c0d71be)")
            && (shown("px_2") && shown("answered with status 529"))
            && rows[59].starts_with("d disable")
    });
    let number = |number| NonZeroU16::new(number).unwrap();
    screen.shown.lock().unwrap().screen_mut().set_size(number(30), number(90));
    resize(&screen.slave, (90, 30));
    screen.signal(Signal::SIGWINCH);
    screen.wait_until("it is drawn for the new size", |rows| {
        rows.len() == 30 && rows[29].starts_with("d disable") && rows[3].starts_with("> ada@example.com")
    });
    screen.press("\u{3}");
    assert_eq!(screen.left().0, Some(0));
}

/// As a terminal's window does it.
fn resize(slave: &File, (columns, rows): (u16, u16)) {
    let (columns, rows) = (columns.to_string(), rows.to_string());
    let mut set = Command::new("stty");
    set.args(["cols", &columns, "rows", &rows]).stdin(Stdio::from(slave.try_clone().unwrap()));
    assert!(set.status().unwrap().success());
}

#[test]
fn keys_ask_the_daemon_and_what_it_said_is_shown() {
    let disabled = || Account { state: AccountState::Disabled.into(), ..account() };
    let daemon = daemon()
        .account(Ok(disabled()))
        .account(Ok(account()))
        .account(Err(Status::new(Code::FailedPrecondition, "an API key is not refreshed")));
    let mut screen = Screen::start(&daemon, (80, 24));
    screen.wait_for("> ada@example.com");
    screen.press("d");
    screen.wait_for("Disable ada@example.com? It gets no new requests then. [y/n]");
    screen.press("n");
    screen.wait_for("nothing was done");
    screen.press("d");
    screen.wait_for("[y/n]");
    screen.press("y");
    screen.wait_for("disabled ada@example.com");
    screen.wait_for("> ada@example.com   disabled");
    screen.press("e");
    screen.wait_for("enabled ada@example.com");
    screen.wait_for("> ada@example.com   ready");
    screen.press("\u{1b}[B");
    screen.wait_for("> build");
    screen.press("r");
    screen.wait_for("cannot refresh the account 9c1d00aa22bb (an API key is not refreshed)");
    let changes: Vec<_> =
        daemon.calls().into_iter().filter(|call| !call.starts_with("watch") && call != "status").collect();
    assert_eq!(changes, ["disable 3f2a9c0d71be", "enable 3f2a9c0d71be", "refresh 9c1d00aa22bb"]);
    screen.press("q");
    assert_eq!(screen.left().0, Some(0));
}

#[test]
fn a_signal_gives_the_terminal_back_and_says_so() {
    for signal in [Signal::SIGTERM, Signal::SIGHUP, Signal::SIGINT] {
        let daemon = daemon();
        let screen = Screen::start(&daemon, (80, 24));
        screen.wait_for("> ada@example.com");
        screen.signal(signal);
        let (code, after) = screen.left();
        assert_eq!(code, Some(130), "{signal}");
        assert!(after.iter().any(|row| row == "error: interrupted"), "{after:#?}");
    }
}

#[test]
fn the_suspend_key_gives_the_terminal_to_the_shell_for_a_while() {
    let daemon = daemon();
    let mut command = daemon.command(&["top"]);
    // As a shell starts its jobs. Of a group that nobody watches over the system stops nothing.
    command.process_group(0);
    let mut screen = Screen::with(command, (80, 24));
    screen.wait_for("> ada@example.com");
    screen.press("\u{1a}");
    let stat = format!("/proc/{}/stat", screen.child.0.id());
    let is_stopped = || std::fs::read_to_string(&stat).unwrap().rsplit_once(')').unwrap().1.starts_with(" T");
    wait_until("it is stopped", is_stopped);
    wait_until("the terminal is as before", || screen.is_given_back());
    screen.signal(Signal::SIGCONT);
    screen.wait_for("> ada@example.com");
    assert!(screen.is_taken());
    screen.press("q");
    assert_eq!(screen.left().0, Some(0));
}

#[test]
fn a_daemon_that_stops_is_said_and_waited_for_with_the_last_state_in_sight() {
    let (daemon, gate) = daemon().watched_again(vec![activity(2)], vec![pool(AccountState::Disabled)]);
    let mut screen = Screen::start(&daemon, (80, 24));
    screen.wait_for("> ada@example.com");
    daemon.end_streams();
    let rows = screen.wait_for("CONNECTION LOST");
    assert!(rows[1].contains("the daemon stopped"), "{rows:#?}");
    screen.wait_for("> ada@example.com");
    screen.press("r");
    screen.wait_for("the daemon is not connected");
    gate.add_permits(1);
    screen.wait_for("connected again");
    screen.wait_for("disabled");
    screen.press("q");
    assert_eq!(screen.left().0, Some(0));
}

#[test]
fn without_colour_none_is_written() {
    let daemon = daemon();
    let mut command = daemon.command(&["top"]);
    command.env("NO_COLOR", "1");
    let mut screen = Screen::with(command, (80, 24));
    screen.wait_for("> ada@example.com");
    let coloured = {
        let parser = screen.shown.lock().unwrap();
        let mut cells = (0..24).flat_map(|row| (0..80).map(move |column| (row, column)));
        cells.any(|(row, column)| {
            let cell = parser.screen().cell(row, column).unwrap();
            cell.fgcolor() != vt100::Color::Default || cell.bgcolor() != vt100::Color::Default
        })
    };
    assert!(!coloured);
    screen.press("q");
    assert_eq!(screen.left().0, Some(0));
}

#[test]
fn where_nothing_can_be_drawn_other_commands_are_named() {
    let daemon = FakeDaemon::start();
    let done = daemon.run(&["top"]);
    assert_eq!((done.code, done.stdout.as_str()), (2, ""));
    assert!(done.stderr.starts_with("error: top needs a terminal that can be drawn on"), "{}", done.stderr);
    for command in ["top --json", "accounts list --watch", "events --json"] {
        assert!(done.stderr.contains(&format!("`proxyctl {command}`")), "{}", done.stderr);
    }
    assert!(daemon.calls().is_empty());
}

#[test]
fn in_json_each_look_is_a_line() {
    let daemon = FakeDaemon::start().looks(vec![activity(0), activity(1)]);
    let done = daemon.run(&["top", "--json", "--interval", "250ms"]);
    let lines: Vec<&str> = done.stdout.lines().collect();
    assert_eq!((done.code, lines.len()), (3, 2), "{}", done.stderr);
    let mut first: serde_json::Value = serde_json::from_str(lines[0]).unwrap();
    let since = first["running"][0]["since"].take();
    assert!(since.is_string());
    let ended = first["ended"][0].take();
    assert_eq!(
        (&ended["status"], &ended["took_ms"], &ended["phase"]),
        (&529.into(), &3456.into(), &"answering".into())
    );
    let expected = concat!(
        r#"{"schema_version":1,"at":"2026-11-23T12:00:00Z","running":[{"request_id":"px_2","since":null,"client_key":"ci","#,
        r#""dialect":"messages","endpoint":"messages","model":"claude-sonnet-4-5\u001b[2J","account":"3f2a9c0d71be","#,
        r#""account_name":"ada@example.com","attempt":2,"streaming":true,"phase":"asking","bytes":4096,"#,
        r#""tokens":{"input":812,"output":128,"cache_read":15300,"cache_write":0}}],"running_total":1,"ended":[null],"#,
        r#""ended_missed":0,"waiting":4,"connections":7,"totals":{"requests":10,"failed":1,"#,
        r#""tokens":{"input":0,"output":0,"cache_read":0,"cache_write":0},"output_under_way":0}}"#
    );
    assert_eq!(first, serde_json::from_str::<serde_json::Value>(expected).unwrap());
    assert_eq!(daemon.calls(), ["watch activity every 250ms"]);
}

#[test]
fn an_older_daemon_is_told_as_such_before_the_terminal_is_taken() {
    let older = status();
    let older = proxy_proto::v1::GetStatusResponse { api_revision: proxy_proto::REVISION - 1, ..older };
    let daemon = FakeDaemon::start().refuses_to_be_watched(Status::unimplemented("")).status(Ok(older));
    let screen = Screen::start(&daemon, (80, 24));
    let (code, after) = screen.left();
    let after = after.join("");
    assert_eq!(code, Some(1));
    assert!(
        after.contains("error: cannot watch the requests") && after.contains("is older than proxyctl"),
        "{after}"
    );
}
