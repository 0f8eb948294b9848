//! `proxyctl accounts list --watch` and `proxyctl events`.

use std::io::Read as _;
use std::process::Stdio;

use proxy_proto::v1::{
    Account, AccountState, EventKind, PlanUsage, UsageWindow, WatchAccountsResponse, WatchEventsResponse,
};

use super::daemon::{FakeDaemon, account, at};
use super::process::Live;

fn pool(state: AccountState) -> WatchAccountsResponse {
    let account = Account { state: state.into(), expires_at: None, ..account() };
    WatchAccountsResponse { accounts: vec![account], invalid_files: vec![] }
}

fn event(kind: EventKind, name: &str, detail: &str) -> WatchEventsResponse {
    WatchEventsResponse {
        at: Some(at(0)),
        kind: kind.into(),
        account: account().id,
        name: name.to_owned(),
        detail: detail.to_owned(),
    }
}

#[test]
fn each_change_is_a_table_and_the_end_of_the_daemon_is_told() {
    let daemon = FakeDaemon::start().pools(vec![pool(AccountState::Ready), pool(AccountState::Disabled)]);
    let done = daemon.run(&["accounts", "list", "--watch"]);
    let table = |state: &str| {
        let width = state.len().max(5);
        format!(
            "ID            KIND   {:<width$}  ACCOUNT          ORGANIZATION\n3f2a9c0d71be  oauth  {state:<width$}  ada@example.com  Example Org\n",
            "STATE"
        )
    };
    assert_eq!(done.stdout, format!("{}\n{}", table("ready"), table("disabled")));
    assert_eq!(done.code, 3);
    assert!(done.stderr.starts_with("error: the daemon stopped\n"), "{}", done.stderr);
}

#[test]
fn in_json_each_change_is_a_line() {
    let daemon = FakeDaemon::start().pools(vec![pool(AccountState::Ready), pool(AccountState::Disabled)]);
    let done = daemon.run(&["accounts", "list", "--watch", "--json"]);
    let states: Vec<String> = done
        .stdout
        .lines()
        .map(|line| {
            serde_json::from_str::<serde_json::Value>(line).unwrap()["accounts"][0]["state"].to_string()
        })
        .collect();
    assert_eq!((done.code, states), (3, vec!["\"ready\"".to_owned(), "\"disabled\"".to_owned()]));
}

#[test]
fn each_event_is_a_line_for_people_and_for_programs() {
    let story = || {
        vec![
            event(EventKind::Added, "ada\u{1b}", ""),
            event(EventKind::QuotaLow, "ada", "91 % of its 5h window is used"),
            event(EventKind::RefreshFailed, "ada", "the provider has trouble"),
            WatchEventsResponse { kind: 9999, account: String::new(), ..event(EventKind::Missed, "", "") },
        ]
    };
    let daemon = FakeDaemon::start().events(story()).events(story());
    let done = daemon.run(&["events"]);
    assert_eq!(
        done.stdout,
        "2026-11-23T12:00:00Z  added           ada\u{fffd}\n\
         2026-11-23T12:00:00Z  quota low       ada: 91 % of its 5h window is used\n\
         2026-11-23T12:00:00Z  refresh failed  ada: the provider has trouble\n\
         2026-11-23T12:00:00Z  unknown         \n"
    );
    assert_eq!(done.code, 3);
    let done = daemon.run(&["events", "--json"]);
    let lines: Vec<&str> = done.stdout.lines().collect();
    assert!(
        lines[1].contains(r#""event":"quota_low","account":"3f2a9c0d71be","name":"ada""#),
        "{}",
        lines[1]
    );
    assert_eq!(
        lines[2],
        r#"{"schema_version":1,"at":"2026-11-23T12:00:00Z","event":"refresh_failed","account":"3f2a9c0d71be","name":"ada","detail":"the provider has trouble"}"#
    );
    assert!(
        lines[3].contains(r#""event":"unknown","account":null,"name":null,"detail":null"#),
        "{}",
        lines[3]
    );
}

#[test]
fn a_reader_that_leaves_ends_it_quietly() {
    let many: Vec<_> = (0..5000).map(|n| event(EventKind::Added, &format!("account {n}"), "")).collect();
    let daemon = FakeDaemon::start().events(many);
    let mut command = daemon.command(&["events"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(0), "{}", String::from_utf8_lossy(&ended.stderr));
}

#[test]
fn on_a_terminal_the_list_is_drawn_in_place() {
    let daemon = FakeDaemon::start().pools(vec![pool(AccountState::Ready), pool(AccountState::Disabled)]);
    let (mut terminal, slave) = super::terminal::open();
    let mut command = daemon.command(&["accounts", "list", "--watch"]);
    command.env("TERM", "xterm");
    let mut child = command.stdout(Stdio::from(slave)).stderr(Stdio::null()).spawn().unwrap();
    drop(command);
    let mut screen = Vec::new();
    // A terminal whose program has ended reads as an error.
    let _ended = terminal.read_to_end(&mut screen);
    assert_eq!(child.wait().unwrap().code(), Some(3));
    let screen = String::from_utf8(screen).unwrap();
    assert_eq!(screen.matches("\u{1b}[H").count(), 2, "{screen:?}");
    assert!(screen.ends_with("\u{1b}[J") && screen.contains("\u{1b}[32mready"), "{screen:?}");
}

#[test]
fn what_is_used_of_the_plan_is_shown_as_bars() {
    let window = |name: &str, used_percent| UsageWindow {
        name: name.to_owned(),
        used_percent,
        resets_at: Some(super::daemon::from_now(11_520)),
    };
    let usage = PlanUsage {
        windows: vec![window("five_hour", 35.0), window("seven_day", 90.0)],
        asked_at: Some(super::daemon::from_now(-60)),
        refusal: String::new(),
    };
    let used = Account { usage: Some(usage), warnings: vec!["its token ends soon".to_owned()], ..account() };
    let daemon = FakeDaemon::start().account(Ok(used));
    let mut live = Live::start(daemon.command(&["accounts", "show", "ada", "--fresh"]));
    live.wait_for_stdout("  its token ends soon");
    live.wait_for_stdout("  5 hours  [#######-------------]   35 %  resets in 3h 12m");
    live.wait_for_stdout("  7 days   [##################--]   90 %  resets in 3h 12m");
    assert_eq!(live.finish().code, 0);
    assert_eq!(daemon.calls(), ["show fresh ada"]);
}
