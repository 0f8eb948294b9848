//! `proxyctl doctor`.

use std::net::TcpListener;

use proxy_proto::v1::{ConfigurationKey, Finding, GetStatusResponse, Severity};
use tonic::{Code, Status};

use super::daemon::{FakeDaemon, status};
use super::process::{run, write};

fn finding(area: &str, severity: Severity, found: &str, command: &str) -> Finding {
    Finding {
        area: area.to_owned(),
        severity: severity.into(),
        found: found.to_owned(),
        command: command.to_owned(),
    }
}

/// A daemon that is well, serves no HTTP, and finds these.
fn finds(findings: Vec<Finding>) -> FakeDaemon {
    FakeDaemon::start()
        .status(Ok(GetStatusResponse { http_listen: Vec::new(), ..status() }))
        .configuration(Ok(Vec::new()))
        .diagnosis(Ok(findings))
}

/// The lines of a severity.
fn lines<'a>(screen: &'a str, word: &str) -> Vec<&'a str> {
    screen.lines().filter(|line| line.starts_with(word)).collect()
}

#[test]
fn what_the_daemon_finds_is_shown_with_the_command_that_mends_it() {
    let daemon = finds(vec![
        finding("upstream", Severity::Ok, "api.example.com answered in 12 ms", ""),
        finding(
            "clock",
            Severity::Problem,
            "this machine's clock is 10m ahead of upstream's",
            "timedatectl set-ntp true",
        ),
        finding(
            "account 23e219a93adc",
            Severity::Warning,
            "no refresh:\u{1b}[2J later",
            "proxyctl accounts refresh 23e219a93adc",
        ),
    ]);
    let done = daemon.run(&["doctor"]);
    assert!(
        done.stdout.contains("ok       upstream: api.example.com answered in 12 ms\n"),
        "{}",
        done.stdout
    );
    assert!(
        done.stdout.contains(
            "problem  clock: this machine's clock is 10m ahead of upstream's\n         timedatectl set-ntp true\n"
        ),
        "{}",
        done.stdout
    );
    assert!(!done.stdout.contains('\u{1b}'), "{}", done.stdout);
    assert!(done.stdout.ends_with("\n1 problem to mend and 1 warning to look at.\n"), "{}", done.stdout);
    assert_eq!((done.code, done.stderr.as_str()), (8, ""));
}

#[test]
fn the_worst_finding_is_the_exit_code() {
    for (severity, code) in
        [(Severity::Ok, 0), (Severity::Note, 0), (Severity::Warning, 7), (Severity::Problem, 8)]
    {
        let daemon = finds(vec![finding("limits", severity, "so many", "")]);
        let done = daemon.run(&["doctor"]);
        assert_eq!(done.code, code, "{}", done.stdout);
    }
}

#[test]
fn the_findings_are_one_json_document() {
    let daemon = finds(vec![finding("limits", Severity::Note, "few", "")]);
    let done = daemon.run(&["doctor", "--json"]);
    let document: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!((document["schema_version"].as_u64(), document["worst"].as_str()), (Some(1), Some("note")));
    let findings = document["findings"].as_array().unwrap();
    let limits = findings.iter().find(|finding| finding["area"] == "limits").unwrap();
    assert_eq!(limits.to_string(), r#"{"area":"limits","severity":"note","found":"few","command":null}"#);
    assert_eq!(done.code, 0);
}

#[test]
fn a_daemon_that_does_not_run_is_a_finding_among_others() {
    let daemon = FakeDaemon::start();
    let nowhere = daemon.directory().join("nobody.sock");
    let done = daemon.run(&["--socket", nowhere.to_str().unwrap(), "doctor"]);
    let problems = lines(&done.stdout, "problem");
    assert!(problems[0].starts_with("problem  daemon: no daemon listens on "), "{}", done.stdout);
    assert!(done.stdout.contains("environment: "), "{}", done.stdout);
    assert_eq!(done.code, 8);
}

#[test]
fn an_address_that_nobody_serves_is_a_problem() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let daemon = FakeDaemon::start()
        .status(Ok(GetStatusResponse { http_listen: vec![address.clone()], ..status() }))
        .configuration(Ok(Vec::new()))
        .diagnosis(Ok(Vec::new()));
    let done = daemon.run(&["doctor"]);
    assert!(done.stdout.contains(&format!("problem  HTTP: {address} is not reached: ")), "{}", done.stdout);
}

#[test]
fn an_older_daemon_is_told_from_a_broken_one() {
    let older = GetStatusResponse {
        version: "0.0.9".to_owned(),
        api_revision: 3,
        http_listen: Vec::new(),
        ..status()
    };
    let daemon = FakeDaemon::start()
        .status(Ok(older.clone()))
        .configuration(Err(Status::new(Code::Unimplemented, "")))
        .status(Ok(older.clone()))
        .diagnosis(Err(Status::new(Code::Unimplemented, "")))
        .status(Ok(older));
    let done = daemon.run(&["doctor"]);
    assert_eq!(lines(&done.stdout, "warning").len(), 1, "{}", done.stdout);
    assert!(done.stdout.contains("warning  versions: proxyd 0.0.9"), "{}", done.stdout);
    for area in ["configuration", "daemon"] {
        let told = format!("note     {area}: not looked at: this daemon does not tell it\n");
        assert!(done.stdout.contains(&told), "{}", done.stdout);
    }
    let daemon = FakeDaemon::start()
        .status(Ok(GetStatusResponse { http_listen: Vec::new(), ..status() }))
        .configuration(Ok(Vec::new()))
        .diagnosis(Err(Status::new(Code::Internal, "the disk is on fire")));
    let done = daemon.run(&["doctor"]);
    assert!(done.stdout.contains("cannot look for what is wrong: the disk is on fire"), "{}", done.stdout);
    assert_eq!(done.code, 8);
}

#[test]
fn what_is_configured_is_told_and_what_its_file_says_by_now() {
    let daemon = FakeDaemon::start();
    let file = daemon.directory().join("config.toml");
    write(&file, "[log]\nlevel = \"debug\"\n");
    let key = |key: &str, value: &str, origin: String, reloads| ConfigurationKey {
        key: key.to_owned(),
        value: value.to_owned(),
        origin,
        reloads,
        restart_reason: String::new(),
    };
    let place = |line| format!("{}:{line}:1", file.display());
    let keys = vec![
        key("auth.dir", "\"/auth\"", place(4), false),
        key("http.listen", "[]", "flag --listen".to_owned(), true),
        key("log.level", "\"info\"", place(2), true),
        key("pool.wait", "\"0s\"", "default".to_owned(), true),
    ];
    let daemon = daemon
        .status(Ok(GetStatusResponse { http_listen: Vec::new(), ..status() }))
        .configuration(Ok(keys))
        .diagnosis(Ok(Vec::new()));
    let done = daemon.run(&["doctor", "--json"]);
    let json = done.json();
    let findings = json["findings"].as_array().unwrap().iter();
    let told = findings.filter(|finding| finding["area"] == "configuration");
    let told: Vec<_> = told
        .map(|finding| {
            let found = finding["found"].as_str().unwrap().replace(file.to_str().unwrap(), "FILE");
            (finding["severity"].as_str().unwrap(), found, finding["command"].as_str())
        })
        .collect();
    let expected = [
        ("ok", "3 of 4 keys are set: 2 in FILE, 1 by flag --listen", None),
        ("note", "FILE says something else than what runs: log.level", Some("proxyctl reload")),
        (
            "note",
            "FILE says something else than what runs: auth.dir",
            Some("systemctl restart proxyd # or --user; as it was started"),
        ),
    ];
    assert_eq!(told, expected.map(|(severity, found, command)| (severity, found.to_owned(), command)));
}

#[test]
fn the_callers_environment_is_looked_at_and_no_secret_is_told() {
    let daemon = finds(Vec::new());
    let mut command = daemon.command(&["doctor"]);
    command.env("ANTHROPIC_API_KEY", "sk-ant-FAKE-canary").env("ANTHROPIC_AUTH_TOKEN", "sk-ant-FAKE-canary");
    let done = run(command);
    assert!(
        done.stdout.contains("both set") && done.stdout.contains("unset ANTHROPIC_API_KEY"),
        "{}",
        done.stdout
    );
    assert!(!done.stdout.contains("canary"), "{}", done.stdout);
    assert_eq!(done.code, 7);
}
