//! What the daemon of the golden files tells: one of everything, so that each field has a value somewhere.

use std::collections::HashMap;

use proxy_proto::v1::*;

use super::super::daemon::{account, at, client_key, settings, status};

/// An account of which everything is known.
pub(super) fn known() -> Account {
    let window = |name: &str, model: &str| QuotaWindow {
        name: name.to_owned(),
        used_percent: 35.5,
        resets_at: Some(at(3600)),
        seen_at: Some(at(-60)),
        model: model.to_owned(),
    };
    Account {
        state: AccountState::Cooling.into(),
        state_reason: "upstream limits it (429)".to_owned(),
        available_at: Some(at(600)),
        label: "work".to_owned(),
        last_error: "the provider answered 503".to_owned(),
        degraded: true,
        settings: Some(AccountSettings {
            priority: 5,
            reserve_percent: 20,
            prefix: "w".to_owned(),
            proxy_url: "http://me:****@p.example:1".to_owned(),
            model_aliases: vec![ModelAlias { alias: "best".to_owned(), model: "claude-opus-4-5".to_owned() }],
            excluded_models: vec!["claude-3-*".to_owned()],
            note: "mine".to_owned(),
            base_url: "https://gateway.example".to_owned(),
            ..settings()
        }),
        warnings: vec!["a setting is not used: `colour`".to_owned()],
        usage: Some(PlanUsage {
            windows: vec![UsageWindow {
                name: "5h".to_owned(),
                used_percent: 35.5,
                resets_at: Some(at(3600)),
            }],
            asked_at: Some(at(0)),
            refusal: "the provider answered 403".to_owned(),
        }),
        quota: vec![window("5h", ""), window("output-tokens", "claude-opus-4-5")],
        cooldowns: vec![Cooldown {
            about: "claude-opus-4-5".to_owned(),
            until: Some(at(600)),
            reason: "upstream limits it (429)".to_owned(),
            binding: true,
        }],
        attempts: Some(AttemptCounts { served: 12, client_faults: 3, limited: 2, refused: 1, failed: 1 }),
        outlook: Some(Outlook {
            kind: OutlookKind::Behind.into(),
            reason: "limited until 2026-11-23T12:10:00Z".to_owned(),
        }),
        refresh_due_at: Some(at(1800)),
        ..account()
    }
}

pub(super) fn pool() -> ListAccountsResponse {
    let broken = InvalidFile { path: "/auth/x.json".to_owned(), reason: "not JSON".to_owned() };
    ListAccountsResponse { accounts: vec![account(), known()], invalid_files: vec![broken] }
}

/// A key with every rule.
pub(super) fn limited() -> Key {
    Key {
        expires_at: Some(at(86_400)),
        last_used_at: Some(at(60)),
        rules: Some(KeyRules {
            models: vec!["claude-haiku-*".to_owned()],
            requests_per_minute: Some(60),
            tokens_per_minute: Some(50_000),
            concurrency: Some(4),
            wait: Some(prost_types::Duration { seconds: 30, nanos: 0 }),
        }),
        accounts: vec![KeyAccount { id: account().id, name: "ada@example.com".to_owned() }],
        counts: Some(KeyCounts { requests: 7, tokens: 1234, refused: 1, running: 1, waiting: 2 }),
        ..client_key()
    }
}

pub(super) fn poor() -> GetStatusResponse {
    GetStatusResponse {
        ready: false,
        accounts: Some(AccountCounts {
            total: 4,
            cooling: 1,
            needs_login: 1,
            disabled: 1,
            invalid: 1,
            misconfigured: 1,
            ..AccountCounts::default()
        }),
        problems: vec!["the auth directory cannot be written".to_owned()],
        warnings: vec!["work: its token ends in 3 days".to_owned()],
        ..status()
    }
}

pub(super) fn explained() -> ExplainRequestResponse {
    ExplainRequestResponse {
        request_id: "px_0198c3f2a1b47d6e8f900a1b2c3d4e5f".to_owned(),
        at: Some(at(0)),
        dialect: "chat".to_owned(),
        endpoint: "messages".to_owned(),
        model: "claude-opus-4-5".to_owned(),
        client_key: "ci".to_owned(),
        conversation: "x-claude-code-session-id".to_owned(),
        attempts: vec![Attempt {
            account: account().id,
            name: "ada@example.com".to_owned(),
            model: "claude-opus-4-5-20251101".to_owned(),
            why: "its conversation belongs there".to_owned(),
            at: Some(at(0)),
            took_ms: Some(312),
            status: Some(200),
            outcome: "answered".to_owned(),
        }],
        end: "answered with status 200 OK".to_owned(),
        ended_at: Some(at(13)),
    }
}

pub(super) fn activity() -> WatchActivityResponse {
    let tokens = TokenCounts { input: 812, output: 128, cache_read: 15_300, cache_write: 7 };
    let request = ActiveRequest {
        request_id: "px_1".to_owned(),
        since: Some(at(-3)),
        client_key: "ci".to_owned(),
        dialect: "messages".to_owned(),
        endpoint: "messages".to_owned(),
        model: "claude-sonnet-4-5".to_owned(),
        account: account().id,
        account_name: "ada@example.com".to_owned(),
        attempt: 2,
        streaming: true,
        phase: RequestPhase::Answering.into(),
        bytes: 4096,
        tokens: Some(tokens),
    };
    WatchActivityResponse {
        at: Some(at(0)),
        running: vec![request.clone()],
        running_total: 1,
        ended: vec![EndedRequest {
            request: Some(request),
            at: Some(at(0)),
            status: Some(529),
            outcome: "answered with status 529".to_owned(),
            took_ms: 3456,
        }],
        ended_missed: 1,
        totals: Some(ActivityTotals { requests: 10, failed: 1, tokens: Some(tokens), output_under_way: 5 }),
        waiting: 4,
        connections: 7,
    }
}

pub(super) fn event(kind: EventKind, detail: &str) -> WatchEventsResponse {
    WatchEventsResponse {
        at: Some(at(0)),
        kind: kind.into(),
        account: account().id,
        name: "ada@example.com".to_owned(),
        detail: detail.to_owned(),
    }
}

pub(super) fn log_line() -> WatchLogsResponse {
    let fields = [("request.id", "px_1"), ("status", "200"), ("model", "claude-sonnet-4-5")];
    let line = LogLine {
        at: Some(at(0)),
        level: LogLevel::Info.into(),
        message: "request".to_owned(),
        target: "proxyd::http".to_owned(),
        fields: fields
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into_iter()
            .collect::<HashMap<_, _>>(),
    };
    WatchLogsResponse { what: Some(watch_logs_response::What::Line(line)) }
}

pub(super) fn configured() -> Vec<ConfigurationKey> {
    let key = |key: &str, value: &str, origin: &str, restart: &str| ConfigurationKey {
        key: key.to_owned(),
        value: value.to_owned(),
        origin: origin.to_owned(),
        reloads: restart.is_empty(),
        restart_reason: restart.to_owned(),
    };
    vec![
        key("auth.dir", "\"/auth\"", "flag --auth-dir", "the daemon owns one auth directory"),
        key("http.listen", "[\"127.0.0.1:8080\"]", "default", ""),
        key("log.level", "\"debug\"", "/etc/proxyd/config.toml:2:1", ""),
    ]
}

pub(super) fn reloaded() -> ReloadResponse {
    let change = |key: &str, effect: ConfigurationEffect, reason: &str| ConfigurationChange {
        key: key.to_owned(),
        before: "\"before\"".to_owned(),
        after: "\"after\"".to_owned(),
        origin: "/etc/proxyd/config.toml:2:1".to_owned(),
        effect: effect.into(),
        reason: reason.to_owned(),
    };
    ReloadResponse {
        changes: vec![
            change("log.level", ConfigurationEffect::Applied, ""),
            change("auth.dir", ConfigurationEffect::NeedsRestart, "the daemon owns one auth directory"),
            change("http.listen", ConfigurationEffect::Failed, "cannot listen on it"),
        ],
        mistakes: Vec::new(),
    }
}

/// One of each severity, from the best to the worst.
pub(super) fn found() -> Vec<Finding> {
    let finding = |area: &str, severity: Severity, found: &str, command: &str| Finding {
        area: area.to_owned(),
        severity: severity.into(),
        found: found.to_owned(),
        command: command.to_owned(),
    };
    vec![
        finding("auth directory", Severity::Ok, "/auth is private and can be written", ""),
        finding(
            "account 3f2a9c0d71be",
            Severity::Note,
            "switched off",
            "proxyctl accounts enable 3f2a9c0d71be",
        ),
        finding(
            "clock",
            Severity::Warning,
            "this machine's clock is 45s behind upstream's",
            "timedatectl set-ntp true",
        ),
        finding("accounts", Severity::Problem, "none of 1 is usable", "proxyctl accounts list"),
    ]
}
