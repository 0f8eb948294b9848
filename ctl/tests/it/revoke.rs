//! `proxyctl accounts revoke`, where nobody can be asked. The question itself is tested on a terminal.

use proxy_proto::v1::ProviderRevocation;

use super::daemon::FakeDaemon;

#[test]
fn without_a_terminal_revoking_needs_a_yes_on_the_command_line() {
    let daemon = FakeDaemon::start();
    let done = daemon.run(&["accounts", "revoke", "ada@example.com"]);
    assert_eq!((done.code, done.stdout.as_str()), (2, ""));
    assert!(
        done.stderr.contains("\n  try: proxyctl accounts revoke ada@example.com --yes\n"),
        "{}",
        done.stderr
    );
    assert!(daemon.calls().is_empty());
}

#[test]
fn a_revoked_account_is_gone_at_the_provider_and_here() {
    let daemon =
        FakeDaemon::start().revoke(ProviderRevocation::Revoked, "").revoke(ProviderRevocation::Revoked, "");
    let done = daemon.run(&["accounts", "revoke", "ada@example.com", "--yes"]);
    assert_eq!(
        done.stdout,
        "Revoked 3f2a9c0d71be at the provider and deleted /auth/claude-ada@example.com-1.json.\n"
    );
    assert_eq!((done.code, done.stderr.as_str()), (0, ""));
    let done = daemon.run(&["accounts", "revoke", "ada@example.com", "--yes", "--json"]);
    assert_eq!(
        done.stdout,
        concat!(
            r#"{"schema_version":1,"id":"3f2a9c0d71be","path":"/auth/claude-ada@example.com-1.json","#,
            r#""provider":"revoked","provider_error":null}"#,
            "\n"
        )
    );
    assert_eq!(daemon.calls(), ["revoke ada@example.com", "revoke ada@example.com"]);
}

#[test]
fn a_provider_that_did_not_revoke_is_said_plainly_and_the_file_is_gone_all_the_same() {
    let daemon = FakeDaemon::start()
        .revoke(ProviderRevocation::Failed, "answered 503")
        .revoke(ProviderRevocation::NotOffered, "")
        .revoke(ProviderRevocation::Failed, "answered 503");
    let done = daemon.run(&["accounts", "revoke", "ada", "-y"]);
    assert_eq!(done.code, 0);
    assert_eq!(
        done.stdout,
        "Removed 3f2a9c0d71be from the pool and deleted /auth/claude-ada@example.com-1.json.\n"
    );
    assert!(done.stderr.starts_with("The provider did NOT revoke it: answered 503."), "{}", done.stderr);

    let done = daemon.run(&["accounts", "revoke", "ada", "-y"]);
    assert_eq!(done.code, 0);
    assert!(done.stderr.starts_with("The provider offers no revocation"), "{}", done.stderr);

    let done = daemon.run(&["accounts", "revoke", "ada", "-y", "--json"]);
    let json = done.json();
    assert_eq!(
        (json["provider"].as_str(), json["provider_error"].as_str()),
        (Some("failed"), Some("answered 503"))
    );
    assert_eq!((done.code, done.stderr.as_str()), (0, ""));
}
