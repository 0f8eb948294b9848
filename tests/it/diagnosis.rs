//! What the daemon finds of itself when somebody looks for what is wrong.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;

use proxy_proto::v1::{DiagnoseRequest, Finding, Severity};
use proxy_tests::daemon::{Setup, TestDaemon, expired, put};
use proxy_tests::fake_claude::FakeClaude;
use proxy_tests::tls_front::TlsFront;
use proxy_tests::wait::within;
use proxyd::clock::ManualClock;

async fn diagnose(daemon: &TestDaemon) -> Vec<Finding> {
    let mut client = daemon.diagnosis_client().await;
    let reply = within("the findings", client.diagnose(DiagnoseRequest {})).await;
    reply.unwrap().into_inner().findings
}

/// The findings of an area.
async fn found(daemon: &TestDaemon, area: &str) -> Vec<Finding> {
    diagnose(daemon).await.into_iter().filter(|finding| finding.area == area).collect()
}

async fn only(daemon: &TestDaemon, area: &str) -> Finding {
    let mut found = found(daemon, area).await;
    assert_eq!(found.len(), 1, "{area}: {found:?}");
    found.remove(0)
}

#[tokio::test]
async fn a_daemon_that_is_well_finds_nothing_to_mend() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_account(&fake).await;
    // The watch is set up by a task of its own.
    let watched = async {
        while only(&daemon, "inotify").await.severity() != Severity::Ok {
            tokio::task::yield_now().await;
        }
    };
    within("the directory is watched", watched).await;
    // How many files may be open is the machine's.
    let findings = diagnose(&daemon).await;
    let wrong = |finding: &&Finding| finding.severity() > Severity::Ok && finding.area != "limits";
    assert_eq!(findings.iter().find(wrong), None);
    let head = fake.requests_to("/").remove(0);
    assert_eq!(
        (head.method.as_str(), head.header("authorization"), head.header("x-api-key")),
        ("HEAD", None, None)
    );
}

#[tokio::test]
async fn a_wrong_clock_is_seen_by_what_upstream_says() {
    let fake = FakeClaude::start().await;
    let clock = ManualClock::at("2020-01-01T00:00:00Z".parse().unwrap());
    let setup = Setup { clock: clock.clock(), ..Setup::default() };
    let daemon = TestDaemon::with(&fake, setup, |_| {}).await;
    let clock = only(&daemon, "clock").await;
    assert_eq!(clock.severity(), Severity::Problem);
    assert!(clock.found.ends_with("behind upstream's") && clock.command.contains("timedatectl"), "{clock:?}");
}

#[tokio::test]
async fn an_upstream_that_is_not_reached_or_not_trusted_is_told_apart() {
    let fake = FakeClaude::start().await;
    let front = TlsFront::start(fake.address()).await;
    let api = front.url();
    let setup = Setup::of([
        ("PROXYD_CLAUDE__API_BASE_URL", &api),
        ("PROXYD_CLAUDE__OAUTH__TOKEN_URL", "http://127.0.0.1:1/token"),
    ]);
    let daemon = TestDaemon::with(&fake, setup, |_| {}).await;
    let upstream = found(&daemon, "upstream").await;
    let [untrusted, unreached] = upstream.as_slice() else { panic!("{upstream:?}") };
    assert!(
        untrusted.found.contains("is not trusted") && untrusted.command.contains("ca_file"),
        "{untrusted:?}"
    );
    assert!(unreached.found.starts_with("127.0.0.1:1 is not reached"), "{unreached:?}");
    assert!(upstream.iter().all(|finding| finding.severity() == Severity::Problem));
}

#[tokio::test]
async fn accounts_and_files_are_told_with_what_mends_them() {
    let fake = FakeClaude::start().await;
    let issued = fake.issue_account("person@example.com");
    let daemon = TestDaemon::with(&fake, Setup::default(), |dir| {
        let mut file = expired(&issued);
        file.as_object_mut().unwrap().remove("refresh_token");
        put(dir, "claude-ended.json", &file);
        fs::File::create_new(dir.join("claude-broken.json")).unwrap().write_all(b"{").unwrap();
        fs::set_permissions(dir.join("claude-broken.json"), fs::Permissions::from_mode(0o600)).unwrap();
    })
    .await;
    let accounts = only(&daemon, "accounts").await;
    assert_eq!((accounts.severity(), accounts.found.as_str()), (Severity::Problem, "none of 1 is usable"));
    let id = daemon.only_account().await.id;
    let account = only(&daemon, &format!("account {id}")).await;
    assert_eq!((account.severity(), account.command.as_str()), (Severity::Problem, "proxyctl login claude"));
    let files = found(&daemon, "auth directory").await;
    let broken = files.iter().find(|finding| finding.found.starts_with("claude-broken.json")).unwrap();
    assert_eq!(broken.severity(), Severity::Warning);
    assert!(!format!("{files:?}{accounts:?}{account:?}").contains("person@example.com"));
}

#[tokio::test]
async fn a_directory_that_others_may_enter_is_a_problem() {
    let fake = FakeClaude::start().await;
    let daemon = TestDaemon::start(&fake).await;
    fs::set_permissions(daemon.auth_dir(), fs::Permissions::from_mode(0o755)).unwrap();
    let directory = only(&daemon, "auth directory").await;
    assert_eq!(directory.severity(), Severity::Problem);
    assert!(directory.command.starts_with("chmod 700 "), "{directory:?}");
}
