//! `proxyctl logs` and `log-level`, for people.

use proxy_proto::v1::{LogLevel, LogLine, WatchLogsResponse, watch_logs_response};

use super::daemon::{FakeDaemon, at};

fn line(level: LogLevel, message: &str, fields: &[(&str, &str)]) -> WatchLogsResponse {
    let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let line = LogLine {
        at: Some(at(0)),
        level: level.into(),
        message: message.to_owned(),
        fields,
        ..LogLine::default()
    };
    WatchLogsResponse { what: Some(watch_logs_response::What::Line(line)) }
}

#[test]
fn what_was_logged_is_printed_a_line_each_and_every_wish_is_handed_on() {
    let lines = vec![
        line(LogLevel::Info, "request", &[("status", "200"), ("model", "claude-sonnet-4-5")]),
        WatchLogsResponse { what: Some(watch_logs_response::What::Missed(3)) },
        line(LogLevel::Warn, "refresh failed", &[("error", "the provider answered 503")]),
    ];
    let daemon = FakeDaemon::start().logs(lines).logs(vec![]).logs(vec![]);
    let done = daemon.run(&["logs"]);
    assert_eq!(
        done.stdout,
        "2026-11-23T12:00:00.000Z  INFO   request model=claude-sonnet-4-5 status=200\n\
         (3 lines were missed: they were read too slowly)\n\
         2026-11-23T12:00:00.000Z  WARN   refresh failed error=\"the provider answered 503\"\n"
    );
    assert_eq!((done.code, done.stderr.as_str()), (0, ""));
    let done = daemon.run(&["logs", "-n", "5", "--account", "work", "--request", "px_1", "--level", "warn"]);
    assert_eq!((done.code, done.stdout.as_str(), done.stderr.as_str()), (0, "", ""));
    // One that is followed goes on until the daemon stops.
    let done = daemon.run(&["logs", "--follow"]);
    assert!(done.code == 3 && done.stderr.starts_with("error: the daemon stopped\n"), "{}", done.stderr);
    assert_eq!(
        daemon.calls(),
        ["logs 100", "logs 5 account:work request:px_1 least:LOG_LEVEL_WARN", "logs 100 follow:yes"]
    );
}

#[test]
fn the_level_is_shown_and_changed_with_how_long_that_holds() {
    let daemon = FakeDaemon::start().log_level(LogLevel::Info).log_level(LogLevel::Info);
    assert_eq!(daemon.run(&["log-level"]).stdout, "info\n");
    let done = daemon.run(&["log-level", "debug"]);
    assert_eq!((done.code, done.stdout.as_str()), (0, "The log level is debug now; it was info before.\n"));
    assert!(done.stderr.starts_with("It holds until the next start or a reload"), "{}", done.stderr);
    assert_eq!(daemon.calls(), ["log level", "set LOG_LEVEL_DEBUG"]);
    let done = daemon.run(&["log-level", "loud"]);
    assert!(done.code == 2 && done.stderr.contains("possible values: error, warn"), "{}", done.stderr);
}

#[test]
fn the_log_of_a_daemon_that_is_not_there_is_no_empty_log() {
    let daemon = FakeDaemon::start();
    let done = daemon.run(&["--socket", "nobody.sock", "logs"]);
    assert_eq!((done.code, done.stdout.as_str()), (3, ""));
}
