//! `proxyctl status`.

use proxy_proto::v1::{AccountCounts, GetStatusResponse, Strategy};

use super::daemon::{FakeDaemon, from_now, status};

#[test]
fn a_ready_daemon_is_shown_on_one_screen() {
    let daemon = FakeDaemon::start()
        .status(Ok(GetStatusResponse { started_at: Some(from_now(-7260 - 60)), ..status() }));
    let done = daemon.run(&["status"]);
    assert_eq!(
        done.stdout,
        "proxyd 0.1.0 is ready (pid 4711, started 2h 1m ago)\n\n\
         Listening       http://127.0.0.1:8080\n\
         Accounts        1 (1 ready)\n\
         Requests        4 in flight\n\
         Strategy        quota; conversations stay with an account\n\
         Auth directory  /auth\n\
         Control socket  /run/user/1000/proxyd/control.sock\n"
    );
    assert_eq!((done.code, done.stderr.as_str()), (0, ""));
}

#[test]
fn the_status_is_one_json_document() {
    let daemon = FakeDaemon::start().status(Ok(status()));
    let done = daemon.run(&["status", "--json"]);
    assert_eq!(
        done.stdout,
        concat!(
            r#"{"schema_version":1,"version":"0.1.0","pid":4711,"started_at":"2026-11-23T12:00:00Z","#,
            r#""http_listen":["127.0.0.1:8080"],"auth_dir":"/auth","#,
            r#""control_socket":"/run/user/1000/proxyd/control.sock","ready":true,"#,
            r#""accounts":{"total":1,"ready":1,"cooling":0,"needs_login":0,"disabled":0,"invalid":0,"misconfigured":0},"#,
            r#""problems":[],"login_callback_port":54545,"requests_in_flight":4,"warnings":[],"api_revision":4,"#,
            r#""strategy":"quota","affinity":true}"#,
            "\n"
        )
    );
    assert_eq!((done.code, done.stderr.as_str()), (0, ""));
}

#[test]
fn the_strategy_is_told_where_the_daemon_tells_it() {
    let of = |strategy: i32| GetStatusResponse { strategy, affinity: false, ..status() };
    let (weighted, fill_first) = (Strategy::Weighted.into(), Strategy::FillFirst.into());
    let daemon = FakeDaemon::start()
        .status(Ok(of(weighted)))
        .status(Ok(of(fill_first)))
        .status(Ok(of(0)))
        .status(Ok(of(fill_first)))
        .status(Ok(of(0)))
        .status(Ok(of(99)));
    for words in ["weighted; conversations may change accounts", "fill-first"] {
        let done = daemon.run(&["status"]);
        assert!(done.stdout.contains(&format!("\nStrategy        {words}\n")), "{}", done.stdout);
    }
    assert!(!daemon.run(&["status"]).stdout.contains("Strategy"));
    for end in [
        r#""strategy":"fill-first","affinity":false}"#,
        r#""strategy":null,"affinity":null}"#,
        r#""strategy":"unknown","affinity":false}"#,
    ] {
        let done = daemon.run(&["status", "--json"]);
        assert!(done.stdout.trim_end().ends_with(end), "{}", done.stdout);
    }
}

#[test]
fn a_pool_without_a_usable_account_ends_with_4_and_says_what_to_do() {
    let counts =
        AccountCounts { total: 4, cooling: 1, needs_login: 2, disabled: 1, invalid: 1, ..Default::default() };
    let poor = GetStatusResponse {
        ready: false,
        accounts: Some(counts),
        problems: vec!["the auth directory cannot be written\u{1b}[2J".to_owned()],
        ..status()
    };
    let daemon = FakeDaemon::start().status(Ok(poor.clone())).status(Ok(poor));
    let done = daemon.run(&["status"]);
    assert_eq!(done.code, 4);
    assert!(
        done.stdout.starts_with("proxyd 0.1.0 is not ready: no account is usable (pid 4711"),
        "{}",
        done.stdout
    );
    let (_, rest) = done.stdout.split_once("\nProblems\n").unwrap();
    assert_eq!(
        rest,
        "  the auth directory cannot be written\u{fffd}[2J\n\nTo do\n  \
         log 2 accounts in again: `proxyctl login claude`\n  \
         wait: `proxyctl accounts list` shows when the cooling accounts return\n  \
         take a disabled account back: `proxyctl accounts enable ACCOUNT`\n  \
         look at 1 file that cannot be used: `proxyctl accounts list`\n"
    );
    let json = daemon.run(&["status", "--json"]);
    assert_eq!((json.code, json.json()["ready"].as_bool()), (4, Some(false)));
}

#[test]
fn an_empty_pool_names_both_ways_to_fill_it() {
    let empty = GetStatusResponse { ready: false, accounts: Some(AccountCounts::default()), ..status() };
    let done = FakeDaemon::start().status(Ok(empty)).run(&["status"]);
    assert_eq!(done.code, 4);
    for command in ["`proxyctl login claude`", "`proxyctl accounts add claude --key-file FILE`"] {
        assert!(done.stdout.contains(command), "{}", done.stdout);
    }
}

#[test]
fn a_daemon_that_stops_is_neither_ready_nor_in_need_of_a_login() {
    let done =
        FakeDaemon::start().status(Ok(GetStatusResponse { ready: false, ..status() })).run(&["status"]);
    assert_eq!(done.code, 1);
    assert!(done.stdout.starts_with("proxyd 0.1.0 is stopping"), "{}", done.stdout);
}
