//! `proxyctl accounts list | show | disable | enable | refresh`.

use std::io::Read as _;
use std::process::Stdio;

use proxy_proto::v1::{Account, AccountState, InvalidFile, ListAccountsResponse};
use tonic::{Code, Status};

use super::daemon::{ACCOUNT_JSON, FakeDaemon, account, api_key_account, from_now};

fn broken_file() -> InvalidFile {
    InvalidFile { path: "/auth/claude-x.json".to_owned(), reason: "not JSON at line 3, column 5".to_owned() }
}

fn pool() -> ListAccountsResponse {
    let ready = Account { expires_at: Some(from_now(11_520)), ..account() };
    let cooling = Account {
        id: "5e6f7a8b9c0d".to_owned(),
        state: AccountState::Cooling.into(),
        state_reason: "the provider limits it".to_owned(),
        available_at: Some(from_now(7200)),
        email: "bob@example.com".to_owned(),
        organization_name: "Évil\u{1b}[31m Org".to_owned(),
        expires_at: Some(from_now(-7200)),
        ..account()
    };
    let gone = Account {
        id: "77aa88bb99cc".to_owned(),
        state: AccountState::NeedsLogin.into(),
        state_reason: "the issuer no longer accepts its refresh token".to_owned(),
        last_error: "invalid_grant".to_owned(),
        degraded: true,
        email: "cy@example.com".to_owned(),
        ..account()
    };
    ListAccountsResponse {
        accounts: vec![
            ready,
            cooling,
            Account { expires_at: None, ..gone },
            Account { state: AccountState::Disabled.into(), ..api_key_account() },
        ],
        invalid_files: vec![broken_file()],
    }
}

#[test]
fn the_pool_is_an_aligned_table_and_what_needs_attention_below_it() {
    let done = FakeDaemon::start().list(pool()).run(&["accounts", "list"]);
    assert_eq!(
        done.stdout,
        "ID            KIND     STATE                  ACCOUNT          ORGANIZATION   EXPIRES\n\
         3f2a9c0d71be  oauth    ready                  ada@example.com  Example Org    in 3h 12m\n\
         5e6f7a8b9c0d  oauth    cooling, usable in 2h  bob@example.com  Évil\u{fffd}[31m Org  1h 59m ago\n\
         77aa88bb99cc  oauth    needs login            cy@example.com   Example Org\n\
         9c1d00aa22bb  API key  disabled               build\n\
         \n\
         Accounts that need attention:\n  \
         bob@example.com (5e6f7a8b9c0d): the provider limits it\n  \
         cy@example.com (77aa88bb99cc): the issuer no longer accepts its refresh token; invalid_grant; its newest \
         token could not be saved yet and lives in the daemon's memory only\n\
         \n\
         Files that are not used:\n  \
         /auth/claude-x.json: not JSON at line 3, column 5\n"
    );
    assert_eq!((done.code, done.stderr.as_str()), (0, ""));
}

#[test]
fn the_list_is_one_json_document() {
    let list = ListAccountsResponse { accounts: vec![account()], invalid_files: vec![broken_file()] };
    let done = FakeDaemon::start().list(list).run(&["accounts", "list", "--json"]);
    assert_eq!(
        done.stdout,
        format!(
            "{{\"schema_version\":1,\"accounts\":[{ACCOUNT_JSON}],\"invalid_files\":[{{\"path\":\"/auth/claude-x.json\",\
             \"reason\":\"not JSON at line 3, column 5\"}}]}}\n"
        )
    );
    assert_eq!((done.code, done.stderr.as_str()), (0, ""));
}

#[test]
fn an_empty_pool_says_how_to_fill_it_and_is_no_failure() {
    let empty = ListAccountsResponse::default;
    let daemon = FakeDaemon::start().list(empty()).list(empty());
    let done = daemon.run(&["accounts", "list"]);
    assert_eq!((done.code, done.stdout.as_str()), (0, ""));
    assert!(done.stderr.contains("`proxyctl login claude`"), "{}", done.stderr);
    let done = daemon.run(&["accounts", "list", "--json"]);
    assert_eq!(done.stdout, "{\"schema_version\":1,\"accounts\":[],\"invalid_files\":[]}\n");
    assert_eq!((done.code, done.stderr.as_str()), (0, ""));
}

#[test]
fn an_account_of_a_newer_daemon_has_unknown_words_and_no_failure() {
    let newer = Account { kind: 99, state: 99, ..account() };
    let list = ListAccountsResponse { accounts: vec![newer], invalid_files: vec![] };
    let json = FakeDaemon::start().list(list).run(&["accounts", "list", "--json"]).json();
    assert_eq!(json["accounts"][0]["kind"], "unknown");
    assert_eq!(json["accounts"][0]["state"], "unknown");
}

#[test]
fn one_account_is_shown_with_everything_that_is_known() {
    let shown = Account { expires_at: Some(from_now(3600)), last_refresh_at: None, ..account() };
    let daemon = FakeDaemon::start().account(Ok(shown)).account(Ok(account()));
    let done = daemon.run(&["accounts", "show", "ada@example.com"]);
    let lines: Vec<&str> = done.stdout.lines().collect();
    assert!(lines[7].starts_with("Expires          20") && lines[7].ends_with("Z (in 1h)"), "{}", lines[7]);
    let rest: Vec<&str> =
        lines.iter().enumerate().filter(|(at, _)| *at != 7).map(|(_, line)| *line).collect();
    assert_eq!(
        rest,
        [
            "ID               3f2a9c0d71be",
            "Kind             oauth",
            "State            ready",
            "E-mail           ada@example.com",
            "Account          00000000-0000-4000-8000-000000000001",
            "Organization     Example Org",
            "Organization id  00000000-0000-4000-8000-000000000002",
            "Renewable        yes",
            "Requests         2 in flight",
            "File             /auth/claude-ada@example.com-1.json",
        ]
    );
    let done = daemon.run(&["accounts", "show", "3f2", "--json"]);
    assert_eq!(done.stdout, format!("{{\"schema_version\":1,\"account\":{ACCOUNT_JSON}}}\n"));
    assert_eq!(daemon.calls(), ["show ada@example.com", "show 3f2"]);
}

#[test]
fn disable_enable_and_refresh_say_what_was_done() {
    let disabled = Account { state: AccountState::Disabled.into(), ..account() };
    let refreshed = Account { expires_at: Some(from_now(28_800)), ..account() };
    for (verb, reply, sentence) in [
        ("disable", disabled, "Disabled ada@example.com (3f2a9c0d71be).\n"),
        ("enable", account(), "Enabled ada@example.com (3f2a9c0d71be); it is ready.\n"),
        ("refresh", refreshed, "Refreshed ada@example.com (3f2a9c0d71be); its token ends in 8h.\n"),
    ] {
        let daemon = FakeDaemon::start().account(Ok(reply)).account(Ok(account()));
        let done = daemon.run(&["accounts", verb, "ada@example.com"]);
        assert_eq!((done.code, done.stdout.as_str(), done.stderr.as_str()), (0, sentence, ""));
        let done = daemon.run(&["accounts", verb, "ada@example.com", "--json"]);
        assert_eq!(done.stdout, format!("{{\"schema_version\":1,\"account\":{ACCOUNT_JSON}}}\n"));
        assert_eq!(daemon.calls(), vec![format!("{verb} ada@example.com"); 2]);
    }
}

#[test]
fn each_refusal_has_its_exit_code_and_the_daemons_words() {
    for (code, exit, word) in [
        (Code::NotFound, 5, "not_found"),
        (Code::PermissionDenied, 6, "not_permitted"),
        (Code::FailedPrecondition, 2, "usage"),
        (Code::DeadlineExceeded, 14, "timed_out"),
        (Code::Unauthenticated, 15, "authentication_failed"),
        (Code::ResourceExhausted, 16, "could_not_save"),
        (Code::Unavailable, 1, "failed"),
        (Code::Internal, 1, "failed"),
    ] {
        let refusal = || Err(Status::new(code, "words of the daemon"));
        let daemon = FakeDaemon::start().account(refusal()).account(refusal());
        let done = daemon.run(&["accounts", "refresh", "ada"]);
        assert_eq!((done.code, done.stdout.as_str()), (exit, ""), "{code:?}");
        assert!(
            done.stderr
                .starts_with("error: cannot refresh the account ada\ncause: words of the daemon\n  try: "),
            "{}",
            done.stderr
        );
        assert_eq!(done.stderr.lines().count(), 3);
        let done = daemon.run(&["accounts", "refresh", "ada", "--json"]);
        assert_eq!((done.code, done.stdout.as_str()), (exit, ""), "{code:?}");
        let error: serde_json::Value = serde_json::from_str(&done.stderr).unwrap();
        assert_eq!(error["schema_version"], 1);
        assert_eq!(error["error"]["code"], word);
        assert_eq!(error["error"]["message"], "cannot refresh the account ada: words of the daemon");
    }
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let accounts = vec![account(); 2000];
    let daemon = FakeDaemon::start().list(ListAccountsResponse { accounts, invalid_files: vec![] });
    let mut child =
        daemon.command(&["accounts", "list"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert_eq!((child.wait().unwrap().code(), stderr.as_str()), (Some(0), ""));
}

#[test]
fn an_empty_name_is_refused_before_the_daemon_is_asked() {
    let daemon = FakeDaemon::start();
    assert_eq!(daemon.run(&["accounts", "show", ""]).code, 2);
    assert!(daemon.calls().is_empty());
}
