//! `proxyctl token`: a key that is made once, kept in a private file and made anew when it is over.

use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::thread;

use proxy_proto::v1::{Key, KeyState};
use tonic::{Code, Status};

use super::daemon::{CLIENT_KEY, FakeDaemon, client_key};
use super::process::run;

/// The one file of this end that is kept.
fn kept(daemon: &FakeDaemon, end: &str) -> PathBuf {
    let keys = daemon.directory().join(".local/state/proxyctl/keys");
    let of_daemon = std::fs::read_dir(keys).unwrap().next().unwrap().unwrap().path();
    let mut files = std::fs::read_dir(of_daemon).unwrap().map(|entry| entry.unwrap().path());
    files.find(|path| path.extension().is_some_and(|extension| extension == end)).unwrap()
}

#[test]
fn a_key_is_made_once_and_kept_in_a_private_file() {
    let daemon = FakeDaemon::start()
        .keys(vec![])
        .create_key(Ok(client_key()))
        .keys(vec![client_key()])
        .keys(vec![client_key()]);
    for _ in 0..2 {
        let done = daemon.run(&["token", "--name", "ci"]);
        assert_eq!((done.code, done.stdout, done.stderr.as_str()), (0, format!("{CLIENT_KEY}\n"), ""));
    }
    assert_eq!(daemon.calls(), ["keys", "create key ci", "keys"]);
    let file = kept(&daemon, "key");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), format!("{CLIENT_KEY}\n"));
    assert_eq!(std::fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
    assert_eq!(std::fs::metadata(file.parent().unwrap()).unwrap().mode() & 0o777, 0o700);
    let token = daemon.run(&["token", "--name", "ci", "--json"]).json();
    assert_eq!((token["secret"].as_str(), token["made"].as_bool()), (Some(CLIENT_KEY), Some(false)));
    assert_eq!(token["key"]["id"], "key_3f2a9c0d71be");
}

#[test]
fn the_usual_name_says_whose_it_is() {
    let daemon = FakeDaemon::start().keys(vec![]).create_key(Ok(client_key()));
    assert_eq!(daemon.run(&["token", "--expires", "2027-06-01"]).code, 0);
    let made = daemon.calls().pop().unwrap();
    assert!(
        made.starts_with("create key proxyctl-") && made.ends_with(" expires:2027-06-01T00:00:00Z"),
        "{made}"
    );
}

#[test]
fn a_key_that_is_over_is_made_anew() {
    let expired = || Key { state: KeyState::Expired.into(), ..client_key() };
    let daemon = FakeDaemon::start()
        .keys(vec![])
        .create_key(Ok(client_key()))
        // Revoked: the daemon does not know it any more.
        .keys(vec![])
        .create_key(Ok(client_key()))
        .keys(vec![expired()])
        .key(Ok(expired()))
        .create_key(Ok(client_key()));
    for _ in 0..3 {
        assert_eq!(daemon.run(&["token", "--name", "ci"]).stdout, format!("{CLIENT_KEY}\n"));
    }
    assert_eq!(
        daemon.calls(),
        [
            "keys",
            "create key ci",
            "keys",
            "create key ci",
            "keys",
            "revoke key key_3f2a9c0d71be",
            "create key ci"
        ]
    );
}

#[test]
fn calls_at_once_make_one_key() {
    const CALLS: usize = 6;
    let daemon = FakeDaemon::start().keys(vec![]).create_key(Ok(client_key()));
    let daemon = (1..CALLS).fold(daemon, |daemon, _| daemon.keys(vec![client_key()]));
    let calls: Vec<_> = (0..CALLS)
        .map(|_| {
            let command = daemon.command(&["token", "--name", "ci"]);
            thread::spawn(move || run(command))
        })
        .collect();
    for call in calls {
        let done = call.join().unwrap();
        assert_eq!(done.stdout, format!("{CLIENT_KEY}\n"), "{}", done.stderr);
    }
    assert_eq!(daemon.calls().iter().filter(|call| call.starts_with("create")).count(), 1);
}

#[test]
fn a_key_that_somebody_else_holds_is_not_taken_from_them() {
    let daemon = FakeDaemon::start().keys(vec![client_key()]);
    let done = daemon.run(&["token", "--name", "ci"]);
    assert_eq!((done.code, done.stdout.as_str()), (2, ""));
    assert_eq!(
        done.stderr,
        "error: the daemon has a key ci, and this machine does not hold it\n  \
         try: take another name with --name, or end that key: `proxyctl keys revoke ci`\n"
    );
    assert_eq!(daemon.calls(), ["keys"]);
}

#[test]
fn a_key_that_cannot_be_kept_is_taken_back() {
    let daemon = FakeDaemon::start()
        .keys(vec![])
        .create_key(Ok(client_key()))
        .keys(vec![])
        .create_key(Ok(client_key()))
        .key(Ok(client_key()));
    assert_eq!(daemon.run(&["token", "--name", "ci"]).code, 0);
    // Nothing can be put in the place of a directory that holds something.
    let id = kept(&daemon, "id");
    std::fs::remove_file(&id).unwrap();
    std::fs::create_dir_all(id.join("x")).unwrap();
    let done = daemon.run(&["token", "--name", "ci"]);
    assert_eq!((done.code, done.stdout.as_str()), (1, ""), "{}", done.stderr);
    std::fs::remove_dir_all(&id).unwrap();
    std::fs::remove_file(kept(&daemon, "key")).unwrap();
    std::fs::create_dir_all(id.with_extension("key").join("x")).unwrap();
    let done = daemon.run(&["token", "--name", "ci"]);
    assert_eq!((done.code, done.stdout.as_str()), (1, ""), "{}", done.stderr);
    assert!(!done.stderr.contains(CLIENT_KEY));
    assert_eq!(daemon.calls().last().unwrap(), "revoke key key_3f2a9c0d71be");
}

#[test]
fn what_the_daemon_refuses_ends_as_everywhere() {
    let daemon = FakeDaemon::start()
        .keys(vec![])
        .create_key(Err(Status::new(Code::PermissionDenied, "the group may look, not change")));
    let done = daemon.run(&["token", "--name", "ci"]);
    assert_eq!((done.code, done.stdout.as_str()), (6, ""));
    assert!(
        done.stderr.starts_with("error: cannot make the key ci\ncause: the group may look"),
        "{}",
        done.stderr
    );
    let done = daemon.run(&["token", "--name", "a b"]);
    assert!(done.code == 2 && done.stderr.contains("is no name for a key"), "{}", done.stderr);
}

#[test]
fn a_file_that_others_may_read_is_not_used() {
    use std::os::unix::fs::PermissionsExt as _;
    let daemon = FakeDaemon::start().keys(vec![]).create_key(Ok(client_key()));
    assert_eq!(daemon.run(&["token", "--name", "ci"]).code, 0);
    let file = kept(&daemon, "key");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let done = daemon.run(&["token", "--name", "ci"]);
    assert_eq!((done.code, done.stdout.as_str()), (2, ""));
    assert!(done.stderr.contains("may be read by others than you"), "{}", done.stderr);
}
