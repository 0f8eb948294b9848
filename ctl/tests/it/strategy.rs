//! `proxyctl strategy`.

use proxy_proto::v1::{GetStatusResponse, Strategy};
use tonic::{Code, Status};

use super::daemon::{FakeDaemon, status};

#[test]
fn without_a_name_the_strategy_and_the_affinity_are_shown() {
    let of = |strategy: i32, affinity| GetStatusResponse { strategy, affinity, ..status() };
    let on = "on: a conversation stays with an account as long as that one is\n              ready";
    let makes_none = "makes no difference: all goes to the first account that is ready";
    for (strategy, words, affinity) in [
        (
            Strategy::Quota.into(),
            "quota: more to the accounts with more quota left for the time\n              until it begins anew",
            on,
        ),
        (Strategy::RoundRobin.into(), "round-robin: as much to each account", on),
        (Strategy::Weighted.into(), "weighted: by the weights that are set on the accounts", on),
        (Strategy::FillFirst.into(), "fill-first: one account after the other", makes_none),
        (99, "one that this proxyctl does not know", on),
    ] {
        let done = FakeDaemon::start().status(Ok(of(strategy, true))).run(&["strategy"]);
        assert_eq!(done.stdout, format!("Strategy      {words}\nAffinity      {affinity}\n"));
        assert_eq!((done.code, done.stderr.as_str()), (0, ""));
    }
    let daemon = FakeDaemon::start()
        .status(Ok(of(Strategy::RoundRobin.into(), false)))
        .status(Ok(of(Strategy::RoundRobin.into(), false)));
    let done = daemon.run(&["strategy"]);
    assert!(done.stdout.contains("\nAffinity      off: a conversation may go to another"), "{}", done.stdout);
    let done = daemon.run(&["strategy", "--json"]);
    assert_eq!(done.stdout, "{\"schema_version\":1,\"strategy\":\"round-robin\",\"affinity\":false}\n");
    assert_eq!(daemon.calls(), ["status", "status"]);
}

#[test]
fn with_a_name_it_is_set_and_it_is_said_how_long_that_holds() {
    for (name, call, before, sentence) in [
        ("quota", "QUOTA", Strategy::FillFirst, "The strategy is quota now; it was fill-first before.\n"),
        (
            "round-robin",
            "ROUND_ROBIN",
            Strategy::Quota,
            "The strategy is round-robin now; it was quota before.\n",
        ),
        ("weighted", "WEIGHTED", Strategy::Weighted, "The strategy is weighted, as it was before.\n"),
        ("fill-first", "FILL_FIRST", Strategy::Unspecified, "The strategy is fill-first now.\n"),
    ] {
        let daemon = FakeDaemon::start().strategy(Ok(before));
        let done = daemon.run(&["strategy", name]);
        assert_eq!((done.code, done.stdout.as_str()), (0, sentence));
        let keep = format!("To keep it, set pool.strategy = \"{name}\" in proxyd's configuration.\n");
        assert_eq!(done.stderr, format!("It holds until the daemon starts again. {keep}"));
        assert_eq!(daemon.calls(), [format!("set STRATEGY_{call}")]);
    }
    let daemon = FakeDaemon::start().strategy(Ok(Strategy::Quota)).strategy(Ok(Strategy::Unspecified));
    for before in ["\"quota\"", "null"] {
        let done = daemon.run(&["strategy", "fill-first", "--json"]);
        let expected = format!("{{\"schema_version\":1,\"strategy\":\"fill-first\",\"before\":{before}}}\n");
        assert_eq!((done.code, done.stdout, done.stderr.as_str()), (0, expected, ""));
    }
}

#[test]
fn a_strategy_that_does_not_exist_is_refused_before_the_daemon_is_asked() {
    let daemon = FakeDaemon::start();
    for args in [&["strategy", "fastest"][..], &["strategy", ""], &["strategy", "quota", "weighted"]] {
        let done = daemon.run(args);
        assert_eq!((done.code, done.stdout.as_str()), (2, ""), "{args:?}");
    }
    let done = daemon.run(&["strategy", "fastest"]);
    assert!(
        done.stderr.contains("possible values: quota, round-robin, weighted, fill-first"),
        "{}",
        done.stderr
    );
    assert!(daemon.calls().is_empty());
}

#[test]
fn a_daemon_that_does_not_know_strategies_or_does_not_permit_it_is_told_in_words() {
    let older =
        || GetStatusResponse { version: "0.0.9".to_owned(), api_revision: 1, strategy: 0, ..status() };
    let daemon = FakeDaemon::start()
        .strategy(Err(Status::new(Code::Unimplemented, "")))
        .status(Ok(older()))
        .status(Ok(older()));
    for (args, what) in [(&["strategy", "quota"][..], "change"), (&["strategy"], "show")] {
        let done = daemon.run(args);
        assert_eq!((done.code, done.stdout.as_str()), (1, ""));
        let words = format!(
            "error: cannot {what} the strategy\ncause: proxyd 0.0.9 (control API revision 1) is older than proxyctl "
        );
        assert!(done.stderr.starts_with(&words), "{}", done.stderr);
    }
    let silent = GetStatusResponse { strategy: 0, ..status() };
    let done = FakeDaemon::start().status(Ok(silent)).run(&["strategy"]);
    assert_eq!((done.code, done.stdout.as_str()), (1, ""));
    assert!(done.stderr.starts_with("error: the daemon's answer lacks the strategy"), "{}", done.stderr);
    let closed = Status::new(Code::PermissionDenied, "uid 4711 may only look");
    let done = FakeDaemon::start().strategy(Err(closed)).run(&["strategy", "quota"]);
    assert_eq!((done.code, done.stdout.as_str()), (6, ""));
    assert!(done.stderr.contains("cause: uid 4711 may only look\n"), "{}", done.stderr);
}
