//! `proxyctl accounts list --explain`: what would become of a request, account by account; and the same facts in `show`.

use std::io::Read as _;
use std::process::Stdio;

use proxy_proto::v1::{
    Account, AccountSettings, AccountState, AttemptCounts, Cooldown, GetStatusResponse, InvalidFile,
    ListAccountsResponse, Outlook, OutlookKind, QuotaWindow,
};

use super::daemon::{FakeDaemon, account, api_key_account, at, from_now, settings, status};

fn window(name: &str, used_percent: f64, resets: i64, model: &str) -> QuotaWindow {
    QuotaWindow {
        name: name.to_owned(),
        used_percent,
        resets_at: Some(from_now(resets)),
        seen_at: Some(from_now(-3690)),
        model: model.to_owned(),
    }
}

fn outlook(kind: OutlookKind, reason: &str) -> Outlook {
    Outlook { kind: kind.into(), reason: reason.to_owned() }
}

/// Ready, and the one that would serve.
fn best() -> Account {
    Account {
        outlook: Some(outlook(
            OutlookKind::Chosen,
            "it has the most quota left for the time until it begins anew",
        )),
        quota: vec![
            window("5h", 35.0, 11_520, ""),
            window("7d_opus", 104.2, 590_400, ""),
            window("output-tokens", 0.0, -7290, "claude-opus-4-5-20251101"),
        ],
        attempts: Some(AttemptCounts { served: 1200, client_faults: 3, limited: 2, refused: 0, failed: 1 }),
        refresh_due_at: Some(from_now(7200)),
        last_refresh_at: Some(from_now(-3690)),
        settings: Some(AccountSettings { priority: 5, weight: 2, reserve_percent: 20, ..settings() }),
        ..account()
    }
}

/// Comes last because of a guess, and is out for one model.
fn doubtful() -> Account {
    Account {
        outlook: Some(outlook(
            OutlookKind::Behind,
            "comes last until 2026-11-23T12:00:00Z: upstream has trouble (5xx)",
        )),
        cooldowns: vec![
            Cooldown {
                about: "claude-opus-4-5".to_owned(),
                until: Some(from_now(3600)),
                reason: "upstream limits it (429)".to_owned(),
                binding: true,
            },
            Cooldown {
                about: String::new(),
                until: Some(from_now(7200)),
                reason: "upstream has trouble\u{1b}[2J (5xx)".to_owned(),
                binding: false,
            },
        ],
        ..api_key_account()
    }
}

/// Cannot be used before a person logs in.
fn gone() -> Account {
    Account {
        id: "77aa88bb99cc".to_owned(),
        email: "cy@example.com".to_owned(),
        state: AccountState::NeedsLogin.into(),
        state_reason: "the issuer no longer accepts its refresh token".to_owned(),
        last_error: "invalid_grant".to_owned(),
        degraded: true,
        warnings: vec!["a setting is not used: `colour`".to_owned()],
        last_refresh_at: None,
        in_flight: 0,
        outlook: Some(outlook(
            OutlookKind::Behind,
            "needs a new login: the issuer no longer accepts its refresh token",
        )),
        ..account()
    }
}

fn pool() -> ListAccountsResponse {
    let broken = InvalidFile { path: "/auth/x.json".to_owned(), reason: "not JSON".to_owned() };
    ListAccountsResponse { accounts: vec![gone(), doubtful(), best()], invalid_files: vec![broken] }
}

/// Each time by its place alone: it is another one at each run.
fn without_times(text: &str) -> String {
    let is_time = |word: &str| word.len() == 20 && word.ends_with('Z') && word.as_bytes()[10] == b'T';
    let mut left = text.to_owned();
    for at in (0..text.len().saturating_sub(20)).filter(|at| text.is_char_boundary(*at)) {
        if text.get(at..at + 20).is_some_and(is_time) {
            left.replace_range(at..at + 20, "TIME-OF-20-COLUMNS--");
        }
    }
    left
}

#[test]
fn each_account_is_a_block_and_the_chosen_one_comes_first() {
    let daemon = FakeDaemon::start().list(pool());
    let done = daemon.run(&["accounts", "list", "--explain", "--model", " claude-opus-4-5 "]);
    assert_eq!(
        without_times(&done.stdout),
        "Right now a request for claude-opus-4-5 that belongs to no conversation would go\n\
         to ada@example.com (3f2a9c0d71be).\n\
         \n\
         * ada@example.com (3f2a9c0d71be)\n    \
             Outlook       chosen: it has the most quota left for the time until it\n                  \
                           begins anew\n    \
             State         ready\n    \
             Settings      priority 5, weight 2, reserve 20 %\n    \
             In flight     2\n    \
             Attempts      1200 served, 3 the client's fault, 2 limited, 1 failed\n    \
             Next refresh  in 2h\n    \
             Last refresh  1h 1m ago\n    \
             Quota\n      \
               5 hours       [####------]   35 %  resets in 3h 12m  seen 1h 1m ago\n      \
               7 days, Opus  [##########]  104 %  resets in 6d 20h  seen 1h 1m ago\n    \
             Quota of claude-opus-4-5-20251101\n      \
               output tokens  [----------]    0 %  reset 2h 1m ago  seen 1h 1m ago\n\
         \n\
         - cy@example.com (77aa88bb99cc)\n    \
             Outlook       not chosen: needs a new login: the issuer no longer accepts\n                  \
                           its refresh token\n    \
             State         needs login\n    \
             In flight     0\n    \
             Last error    invalid_grant\n    \
             Not saved     its newest token could not be saved yet and lives in the\n                  \
                           daemon's memory only\n    \
             Warning       a setting is not used: `colour`\n\
         \n\
         - build (9c1d00aa22bb)\n    \
             Outlook       not chosen: comes last until TIME-OF-20-COLUMNS--: upstream\n                  \
                           has trouble (5xx)\n    \
             State         ready\n    \
             In flight     0\n    \
             Cooldowns\n      \
               claude-opus-4-5: not used before TIME-OF-20-COLUMNS-- (in 1h): upstream\n        \
                 limits it (429)\n      \
               the account: comes last until TIME-OF-20-COLUMNS-- (in 2h), which is a\n        \
                 guess: upstream has trouble\u{fffd}[2J (5xx)\n\
         \n\
         Files that are not used:\n  \
           /auth/x.json: not JSON\n"
    );
    assert_eq!((done.code, done.stderr.as_str()), (0, ""));
    assert_eq!(daemon.calls(), ["list explain:true model:claude-opus-4-5"]);
}

#[test]
fn no_line_is_wider_than_a_terminal() {
    let done = FakeDaemon::start().list(pool()).run(&["accounts", "list", "--explain"]);
    assert!(done.stdout.starts_with("Right now a request that belongs to no conversation would go to ada@"));
    for line in done.stdout.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
}

#[test]
fn on_a_terminal_the_chosen_one_is_green_and_all_is_told_at_once() {
    let daemon = FakeDaemon::start().list(pool());
    let (mut terminal, slave) = super::terminal::open();
    let mut command = daemon.command(&["accounts", "list", "--explain"]);
    command.env("TERM", "xterm");
    let mut child = command.stdout(Stdio::from(slave)).stderr(Stdio::null()).spawn().unwrap();
    drop(command);
    let mut screen = Vec::new();
    // A terminal whose program has ended reads as an error.
    let _ended = terminal.read_to_end(&mut screen);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let screen = String::from_utf8(screen).unwrap();
    assert!(screen.contains("\u{1b}[32mchosen: it has the most quota left"), "{screen:?}");
    assert!(screen.contains("\u{1b}[31m[##########]\u{1b}[0m"), "{screen:?}");
}

#[test]
fn where_nobody_would_serve_it_says_so_and_why() {
    let unserving = Account {
        outlook: Some(outlook(OutlookKind::NotServing, "it does not serve the model")),
        ..api_key_account()
    };
    let passed =
        Account { outlook: Some(outlook(OutlookKind::Passed, "another account is chosen")), ..account() };
    let list = |accounts| ListAccountsResponse { accounts, invalid_files: vec![] };
    let daemon = FakeDaemon::start().list(list(vec![unserving.clone(), gone()])).list(list(vec![
        unserving.clone(),
        gone(),
        passed,
        best(),
    ]));
    let done = daemon.run(&["accounts", "list", "--explain", "--model", "m"]);
    assert!(done.stdout.starts_with("Right now no account would get a request for m.\n\n- cy@example.com"));
    assert!(
        done.stdout.contains("Outlook       not chosen: it does not serve the model\n"),
        "{}",
        done.stdout
    );
    assert_eq!(done.code, 0);
    let done = daemon.run(&["accounts", "list", "--explain"]);
    let order: Vec<&str> = done.stdout.lines().filter(|line| line.starts_with(['*', '-'])).collect();
    let expected = [
        "* ada@example.com (3f2a9c0d71be)",
        "- ada@example.com (3f2a9c0d71be)",
        "- cy@example.com (77aa88bb99cc)",
        "- build (9c1d00aa22bb)",
    ];
    assert_eq!(order, expected);
    assert!(done.stdout.contains("Outlook       not chosen: another account is chosen\n"), "{}", done.stdout);
}

#[test]
fn in_json_every_field_is_there() {
    let best = Account {
        quota: vec![QuotaWindow { resets_at: Some(at(0)), seen_at: None, ..window("5h", 35.5, 0, "m") }],
        cooldowns: vec![Cooldown { until: Some(at(0)), binding: true, ..Cooldown::default() }],
        refresh_due_at: Some(at(0)),
        ..best()
    };
    let newer = Account { outlook: Some(Outlook { kind: 99, reason: String::new() }), ..account() };
    let list = ListAccountsResponse { accounts: vec![newer, best], invalid_files: vec![] };
    let daemon = FakeDaemon::start().list(list);
    let done = daemon.run(&["accounts", "list", "--explain", "--json"]);
    for part in [
        r#""quota":[{"name":"5h","model":"m","used_percent":35.5,"resets_at":"2026-11-23T12:00:00Z","seen_at":null}]"#,
        r#""cooldowns":[{"about":null,"until":"2026-11-23T12:00:00Z","reason":null,"binding":true}]"#,
        r#""attempts":{"served":1200,"client_faults":3,"limited":2,"refused":0,"failed":1}"#,
        r#""outlook":{"kind":"chosen","reason":"it has the most quota left for the time until it begins anew"}"#,
        r#""refresh_due_at":"2026-11-23T12:00:00Z""#,
        r#""quota":[],"cooldowns":[],"attempts":null,"outlook":{"kind":"unknown","reason":null},"refresh_due_at":null"#,
    ] {
        assert!(done.stdout.contains(part), "{part} is not in {}", done.stdout);
    }
    assert_eq!((done.code, daemon.calls()), (0, vec!["list explain:true model:".to_owned()]));
}

#[test]
fn what_makes_no_sense_is_refused_before_the_daemon_is_asked() {
    let daemon = FakeDaemon::start();
    for (args, words) in [
        (&["--model", "m"][..], "--explain"),
        (&["--explain", "--watch"], "'--explain' cannot be used with '--watch'"),
        (&["--explain", "--wide"], "'--explain' cannot be used with '--wide'"),
        (&["--explain", "--model", " "], "name one model, as in claude-opus-4-5"),
        (&["--explain", "--model", "two models"], "name one model"),
        (&["--explain", "--model", "x\u{1b}"], "name one model"),
    ] {
        let args = [&["accounts", "list"], args].concat();
        let done = daemon.run(&args);
        assert_eq!((done.code, done.stdout.as_str()), (2, ""), "{args:?}: {}", done.stderr);
        assert!(done.stderr.contains(words), "{}", done.stderr);
        let done = daemon.run(&[&args[..], &["--json"]].concat());
        let error: serde_json::Value = serde_json::from_str(&done.stderr).unwrap();
        assert_eq!(error["error"]["code"], "usage");
        assert!(error["error"]["message"].as_str().unwrap().contains(words), "{error}");
    }
    assert!(daemon.calls().is_empty());
}

#[test]
fn an_empty_pool_has_nothing_to_explain() {
    let done =
        FakeDaemon::start().list(ListAccountsResponse::default()).run(&["accounts", "list", "--explain"]);
    assert_eq!((done.code, done.stdout.as_str()), (0, ""));
    assert!(done.stderr.contains("`proxyctl login claude`"), "{}", done.stderr);
}

#[test]
fn a_daemon_that_does_not_know_the_question_is_told_in_words() {
    let unexplained = || ListAccountsResponse { accounts: vec![account()], invalid_files: vec![] };
    let older = GetStatusResponse { version: "0.0.9".to_owned(), api_revision: 1, ..status() };
    let daemon =
        FakeDaemon::start().list(unexplained()).status(Ok(older)).list(unexplained()).status(Ok(status()));
    let done = daemon.run(&["accounts", "list", "--explain"]);
    assert_eq!((done.code, done.stdout.as_str()), (1, ""));
    assert!(
        done.stderr.starts_with(
            "error: cannot explain the choice of accounts\n\
             cause: proxyd 0.0.9 (control API revision 1) is older than proxyctl "
        ),
        "{}",
        done.stderr
    );
    let done = daemon.run(&["accounts", "list", "--explain"]);
    assert_eq!((done.code, done.stdout.as_str()), (1, ""));
    assert!(done.stderr.starts_with("error: the daemon's answer lacks what would become of a request"));
}

#[test]
fn one_account_is_shown_with_its_quota_and_cooldowns() {
    let cooldowns = doubtful().cooldowns;
    let daemon = FakeDaemon::start().account(Ok(Account { cooldowns, ..best() }));
    let done = daemon.run(&["accounts", "show", "ada"]);
    let shown = without_times(&done.stdout);
    for part in [
        "Next refresh     TIME-OF-20-COLUMNS-- (in 2h)\n",
        "Attempts         1200 served, 3 the client's fault, 2 limited, 1 failed\n",
        "Reserve          20 %\n",
        "\n\nQuota:\n  5 hours       [####------]   35 %  resets in 3h 12m  seen 1h 1m ago\n",
        "\n\nQuota of claude-opus-4-5-20251101:\n  output tokens  [----------]    0 %",
        "\n\nCooldowns:\n  claude-opus-4-5: not used before TIME-OF-20-COLUMNS-- (in 1h):",
    ] {
        assert!(shown.contains(part), "{part:?} is not in\n{shown}");
    }
    assert!(!shown.contains("Outlook"), "{shown}");
    assert_eq!(daemon.calls(), ["show ada"]);
}
