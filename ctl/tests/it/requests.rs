//! `proxyctl explain`: what became of one request.

use proxy_proto::v1::{Attempt, ExplainRequestResponse, GetStatusResponse};
use tonic::{Code, Status};

use super::daemon::{FakeDaemon, at, from_now, status};

const ID: &str = "px_0198c3f2a1b47d6e8f900a1b2c3d4e5f";

fn attempt(name: &str, outcome: &str, status: Option<u32>, took_ms: Option<u64>) -> Attempt {
    Attempt {
        account: "3f2a9c0d71be".to_owned(),
        name: name.to_owned(),
        model: "claude-opus-4-5".to_owned(),
        why: "its conversation belongs there".to_owned(),
        at: Some(prost_types::Timestamp { nanos: 40_000_000, ..at(0) }),
        took_ms,
        status,
        outcome: outcome.to_owned(),
    }
}

/// Two attempts, of which the second was answered.
fn request() -> ExplainRequestResponse {
    let second = Attempt {
        model: "claude-opus-4-5-20251101".to_owned(),
        why: "its conversation belongs to an account that carries more than its share right now".to_owned(),
        ..attempt("build\u{1b}[2J", "answered", Some(200), Some(12_345))
    };
    ExplainRequestResponse {
        request_id: ID.to_owned(),
        at: Some(from_now(-3690)),
        dialect: "chat".to_owned(),
        endpoint: "messages".to_owned(),
        model: "claude-opus-4-5".to_owned(),
        client_key: String::new(),
        conversation: "x-claude-code-session-id".to_owned(),
        attempts: vec![
            attempt("ada@example.com", "limited, no time named (429)", Some(429), Some(312)),
            second,
        ],
        end: "answered with status 200 OK".to_owned(),
        ended_at: Some(from_now(-3690)),
    }
}

/// What stands behind a name.
fn lines<'a>(stdout: &'a str, name: &str) -> Vec<&'a str> {
    stdout.lines().filter_map(|line| line.trim_start().strip_prefix(name)).map(str::trim).collect()
}

#[test]
fn a_request_is_told_attempt_by_attempt() {
    let daemon = FakeDaemon::start().request(Ok(request()));
    let done = daemon.run(&["explain", ID]);
    assert_eq!((done.code, done.stderr.as_str()), (0, ""));
    let times = |name: &str| lines(&done.stdout, name).concat();
    assert!(times("Received").ends_with("Z (1h 1m ago)"), "{}", done.stdout);
    assert!(times("Ended").ends_with("Z (1h 1m ago): answered with status 200 OK"), "{}", done.stdout);
    let rest = done.stdout.lines().filter(|line| !line.contains("Received") && !line.contains("Ended"));
    assert_eq!(
        rest.collect::<Vec<_>>(),
        [
            "Request px_0198c3f2a1b47d6e8f900a1b2c3d4e5f",
            "  Dialect       chat",
            "  Endpoint      messages",
            "  Model         claude-opus-4-5",
            "  Conversation  told by: x-claude-code-session-id",
            "",
            "  1. ada@example.com (3f2a9c0d71be)",
            "     Why           its conversation belongs there",
            "     Asked         2026-11-23T12:00:00.040Z",
            "     Outcome       status 429 after 312 ms: limited, no time named (429)",
            "  2. build\u{fffd}[2J (3f2a9c0d71be)",
            "     Why           its conversation belongs to an account that carries more than",
            "                   its share right now",
            "     Model         claude-opus-4-5-20251101",
            "     Asked         2026-11-23T12:00:00.040Z",
            "     Outcome       status 200 after 12s: answered",
            "",
        ]
    );
    assert!(done.stdout.lines().all(|line| line.chars().count() <= 80), "{}", done.stdout);
    assert_eq!(daemon.calls(), [format!("explain {ID}")]);
}

#[test]
fn a_request_is_one_json_document_in_which_every_field_is_there() {
    let ended = ExplainRequestResponse {
        at: Some(at(0)),
        ended_at: Some(at(13)),
        attempts: vec![attempt("ada", "answered", Some(200), Some(312))],
        ..request()
    };
    let fresh = ExplainRequestResponse {
        request_id: ID.to_owned(),
        attempts: vec![Attempt { account: "3f2a9c0d71be".to_owned(), ..Attempt::default() }],
        ..ExplainRequestResponse::default()
    };
    let daemon = FakeDaemon::start().request(Ok(ended)).request(Ok(fresh));
    let done = daemon.run(&["explain", ID, "--json"]);
    assert_eq!(
        done.stdout,
        concat!(
            r#"{"schema_version":1,"request_id":"px_0198c3f2a1b47d6e8f900a1b2c3d4e5f","at":"2026-11-23T12:00:00Z","#,
            r#""dialect":"chat","endpoint":"messages","model":"claude-opus-4-5","client_key":null,"#,
            r#""conversation":"x-claude-code-session-id","#,
            r#""attempts":[{"account":"3f2a9c0d71be","name":"ada","model":"claude-opus-4-5","#,
            r#""why":"its conversation belongs there","at":"2026-11-23T12:00:00.04Z","took_ms":312,"status":200,"#,
            r#""outcome":"answered"}],"end":"answered with status 200 OK","ended_at":"2026-11-23T12:00:13Z"}"#,
            "\n"
        )
    );
    assert_eq!((done.code, done.stderr.as_str()), (0, ""));
    let done = daemon.run(&["explain", ID, "--json"]);
    assert_eq!(
        done.stdout,
        concat!(
            r#"{"schema_version":1,"request_id":"px_0198c3f2a1b47d6e8f900a1b2c3d4e5f","at":null,"#,
            r#""dialect":null,"endpoint":null,"model":null,"client_key":null,"conversation":null,"#,
            r#""attempts":[{"account":"3f2a9c0d71be","name":null,"model":null,"why":null,"at":null,"took_ms":null,"#,
            r#""status":null,"outcome":null}],"end":null,"ended_at":null}"#,
            "\n"
        )
    );
}

#[test]
fn whose_key_and_whose_credential_it_was_is_told() {
    let own = Attempt {
        account: String::new(),
        ..attempt("the caller's own credential", "answered", Some(200), Some(3))
    };
    let by_own =
        || ExplainRequestResponse { client_key: "ci".to_owned(), attempts: vec![own.clone()], ..request() };
    let daemon = FakeDaemon::start().request(Ok(by_own())).request(Ok(by_own()));
    let done = daemon.run(&["explain", ID]);
    assert_eq!(lines(&done.stdout, "Client key"), ["ci"]);
    assert_eq!(lines(&done.stdout, "1."), ["the caller's own credential"]);
    let done = daemon.run(&["explain", ID, "--json"]);
    assert!(done.stdout.contains(r#""client_key":"ci""#), "{}", done.stdout);
    assert!(
        done.stdout.contains(r#"[{"account":null,"name":"the caller's own credential","#),
        "{}",
        done.stdout
    );
}

#[test]
fn what_goes_on_and_what_got_no_answer_is_told_so() {
    let going_on = ExplainRequestResponse {
        attempts: vec![
            attempt("ada", "the connection was refused", None, Some(3)),
            attempt("ada", "", None, None),
        ],
        conversation: String::new(),
        end: String::new(),
        ended_at: None,
        ..request()
    };
    let unasked = ExplainRequestResponse {
        attempts: vec![],
        end: "not answered: no account may be used".to_owned(),
        ended_at: None,
        ..request()
    };
    let daemon = FakeDaemon::start().request(Ok(going_on)).request(Ok(unasked));
    let done = daemon.run(&["explain", ID]);
    assert_eq!(lines(&done.stdout, "Conversation"), ["none"]);
    assert_eq!(
        lines(&done.stdout, "Outcome"),
        ["no answer after 3 ms: the connection was refused", "still going on"]
    );
    assert_eq!(lines(&done.stdout, "Ended"), ["not yet: it is still going on"]);
    let done = daemon.run(&["explain", ID]);
    assert_eq!(lines(&done.stdout, "Attempts"), ["none: no account was asked"]);
    assert_eq!(lines(&done.stdout, "Ended"), ["not answered: no account may be used"]);
}

#[test]
fn a_request_that_is_not_remembered_ends_with_5_and_says_where_ids_are_found() {
    let gone = || Err(Status::not_found("no request is remembered by that id"));
    let daemon = FakeDaemon::start().request(gone()).request(gone());
    let done = daemon.run(&["explain", ID]);
    assert_eq!((done.code, done.stdout.as_str()), (5, ""));
    assert_eq!(
        done.stderr,
        format!(
            "error: cannot explain the request {ID}\ncause: no request is remembered by that id\n  \
             try: take the id from the header x-proxyd-request-id of a newer answer; the provider's own ids are not known\n"
        )
    );
    let done = daemon.run(&["explain", ID, "--json"]);
    let error: serde_json::Value = serde_json::from_str(&done.stderr).unwrap();
    assert_eq!((done.code, error["error"]["code"].as_str()), (5, Some("not_found")));
}

#[test]
fn white_space_around_an_id_is_forgiven_and_what_is_no_id_is_refused_before_the_daemon_is_asked() {
    let daemon = FakeDaemon::start().request(Ok(request()));
    assert_eq!(daemon.run(&["explain", &format!(" {ID}\r\n")]).code, 0);
    assert_eq!(daemon.calls(), [format!("explain {ID}")]);
    let long = "x".repeat(101);
    for odd in ["", " ", "px_1 px_2", "px_\u{1b}[2J", "x-proxyd-request-id: px_1", "pxé", "px/1", &long] {
        let done = daemon.run(&["explain", odd]);
        assert_eq!((done.code, done.stdout.as_str()), (2, ""), "{odd:?}");
        assert!(done.stderr.contains("x-proxyd-request-id of the answer"), "{}", done.stderr);
    }
    assert_eq!(daemon.run(&["explain"]).code, 2);
    assert_eq!(daemon.calls().len(), 1);
}

#[test]
fn an_older_daemon_that_remembers_no_requests_is_told_so() {
    let older = GetStatusResponse { version: "0.0.9".to_owned(), api_revision: 1, ..status() };
    let daemon = FakeDaemon::start().request(Err(Status::new(Code::Unimplemented, ""))).status(Ok(older));
    let done = daemon.run(&["explain", ID]);
    assert_eq!((done.code, done.stdout.as_str()), (1, ""));
    let words = format!(
        "error: cannot explain the request {ID}\ncause: proxyd 0.0.9 (control API revision 1) is older than proxyctl "
    );
    assert!(done.stderr.starts_with(&words), "{}", done.stderr);
}

#[test]
fn the_help_names_the_header() {
    let done = FakeDaemon::start().run(&["explain", "--help"]);
    assert_eq!(done.code, 0);
    assert!(done.stdout.contains("x-proxyd-request-id of every answer"), "{}", done.stdout);
}
