//! What a daemon may answer: an account, its status, a login.

use proxy_proto::v1::*;
use tonic::{Code, Status};

use super::{Reply, STATE};

/// 2026-11-23T12:00:00Z plus some seconds.
pub(crate) fn at(seconds: i64) -> prost_types::Timestamp {
    prost_types::Timestamp { seconds: 1_795_435_200 + seconds, nanos: 0 }
}

/// Some seconds from now, and half a minute so that no test sees the minute end.
pub(crate) fn from_now(seconds: i64) -> prost_types::Timestamp {
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    prost_types::Timestamp { seconds: i64::try_from(now).unwrap() + seconds + 30, nanos: 0 }
}

/// An OAuth account that is ready.
pub(crate) fn account() -> Account {
    Account {
        id: "3f2a9c0d71be".to_owned(),
        kind: CredentialKind::Oauth.into(),
        state: AccountState::Ready.into(),
        email: "ada@example.com".to_owned(),
        account_uuid: "00000000-0000-4000-8000-000000000001".to_owned(),
        organization_uuid: "00000000-0000-4000-8000-000000000002".to_owned(),
        organization_name: "Example Org".to_owned(),
        path: "/auth/claude-ada@example.com-1.json".to_owned(),
        expires_at: Some(at(0)),
        last_refresh_at: Some(at(-3600)),
        in_flight: 2,
        renewable: true,
        settings: Some(settings()),
        ..Account::default()
    }
}

/// The settings of an account on which nobody has set anything.
pub(crate) fn settings() -> AccountSettings {
    AccountSettings { weight: 1, ..AccountSettings::default() }
}

/// The JSON of [`account`].
pub(crate) const ACCOUNT_JSON: &str = concat!(
    r#"{"id":"3f2a9c0d71be","kind":"oauth","state":"ready","state_reason":null,"available_at":null,"label":null,"#,
    r#""email":"ada@example.com","account_uuid":"00000000-0000-4000-8000-000000000001","#,
    r#""organization_uuid":"00000000-0000-4000-8000-000000000002","organization_name":"Example Org","#,
    r#""path":"/auth/claude-ada@example.com-1.json","expires_at":"2026-11-23T12:00:00Z","#,
    r#""last_refresh_at":"2026-11-23T11:00:00Z","in_flight":2,"last_error":null,"degraded":false,"renewable":true,"#,
    r#""priority":0,"weight":1,"reserve_percent":0,"prefix":null,"proxy_url":null,"base_url":null,"model_aliases":[],"excluded_models":[],"#,
    r#""note":null,"warnings":[],"usage":null,"quota":[],"cooldowns":[],"attempts":null,"outlook":null,"refresh_due_at":null}"#
);

pub(crate) fn api_key_account() -> Account {
    Account {
        id: "9c1d00aa22bb".to_owned(),
        kind: CredentialKind::ApiKey.into(),
        state: AccountState::Ready.into(),
        label: "build".to_owned(),
        path: "/auth/claude-key-9c1d00aa22bb.json".to_owned(),
        settings: Some(settings()),
        ..Account::default()
    }
}

pub(crate) fn status() -> GetStatusResponse {
    GetStatusResponse {
        version: "0.1.0".to_owned(),
        pid: 4711,
        started_at: Some(at(0)),
        http_listen: vec!["127.0.0.1:8080".to_owned()],
        auth_dir: "/auth".to_owned(),
        control_socket: "/run/user/1000/proxyd/control.sock".to_owned(),
        ready: true,
        accounts: Some(AccountCounts { total: 1, ready: 1, ..AccountCounts::default() }),
        problems: vec![],
        login_callback_port: 54545,
        requests_in_flight: 4,
        api_revision: proxy_proto::REVISION,
        warnings: vec![],
        strategy: Strategy::Quota.into(),
        affinity: true,
    }
}

pub(super) fn begun() -> BeginLoginResponse {
    BeginLoginResponse {
        login_id: "login-1".to_owned(),
        authorize_url: format!(
            "https://issuer.example/authorize?code=true&code_challenge=FAKE&state={STATE}"
        ),
        state: STATE.to_owned(),
        redirect_uri: String::new(),
        deadline: Some(from_now(300)),
        terms_notice: "The provider's terms apply.".to_owned(),
    }
}

pub(crate) fn completed() -> Reply<CompleteLoginResponse> {
    Reply::Now(Ok(saved()))
}

pub(crate) fn saved() -> CompleteLoginResponse {
    CompleteLoginResponse { account: Some(account()), path: account().path, replaced: false }
}

pub(crate) fn refused<T>(code: Code, message: &str) -> Reply<T> {
    Reply::Now(Err(Status::new(code, message)))
}
