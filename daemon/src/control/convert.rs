//! From our types to the control API's, and from our errors to its status codes: the other edge, beside
//! `http::error`, where an error becomes text.

use std::io;

use proxy_proto::v1;
use tonic::{Code, Status};

use crate::account::{Account, Credential, ModelAlias, Settings};
use crate::admin::{AdminError, Revocation};
use crate::chain::ErrorChain;
use crate::claude::UsageWindow;
use crate::clock::Timestamp;
use crate::diagnosis::{self, Finding, Severity};
use crate::events::Kind;
use crate::pool::quota::Window;
use crate::pool::{Cooldown, Counters, Health, InvalidFile, Member, Outlook, State, Strategy};
use crate::proxy::{By, Entry, Story, Try};
use crate::refresh::RefreshError;
use crate::store::{ExportError, ImportError, Store};
use crate::usage::Report;

pub(super) fn timestamp(at: Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp { seconds: at.as_second(), nanos: at.subsec_nanosecond() }
}

pub(super) fn account(member: &Member, store: &Store, now: Timestamp) -> v1::Account {
    let Account { id, file, identity, label, credential, last_refresh, .. } = &member.account;
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let tokens = member.account.oauth();
    let trouble = member.trouble();
    let vitals = member.known();
    let (state, state_reason, available_at) = match member.state(now) {
        State::Ready => (v1::AccountState::Ready, String::new(), None),
        State::Cooling { until, reason, .. } => (v1::AccountState::Cooling, reason, Some(until)),
        State::NeedsLogin(needs) => (v1::AccountState::NeedsLogin, needs.reason, None),
        State::Disabled => (v1::AccountState::Disabled, "switched off".to_owned(), None),
        State::Invalid { reason } => (v1::AccountState::Invalid, reason, None),
    };
    v1::Account {
        id: id.to_string(),
        kind: match credential {
            Credential::OAuth(_) => v1::CredentialKind::Oauth,
            Credential::ApiKey(_) => v1::CredentialKind::ApiKey,
        }
        .into(),
        state: state.into(),
        state_reason,
        available_at: available_at.map(timestamp),
        label: text(label),
        email: text(&identity.email),
        account_uuid: text(&identity.account_uuid),
        organization_uuid: text(&identity.organization_uuid),
        organization_name: text(&identity.organization_name),
        path: store.place_of(file),
        expires_at: tokens.and_then(|tokens| tokens.expires_at).map(timestamp),
        last_refresh_at: last_refresh.map(timestamp),
        in_flight: member.in_flight(),
        last_error: trouble.last_error.unwrap_or_default(),
        degraded: trouble.unsaved,
        renewable: tokens.is_some_and(|tokens| tokens.refresh.is_some()),
        settings: Some(settings(&member.account.settings)),
        warnings: diagnosis::warnings(&member.account, now),
        quota: vitals.quota.windows().iter().map(quota_window).collect(),
        cooldowns: cooldowns(&vitals.health, now),
        attempts: Some(attempts(vitals.counters)),
        // Known elsewhere.
        usage: None,
        outlook: None,
        refresh_due_at: None,
    }
}

fn quota_window(window: &Window) -> v1::QuotaWindow {
    v1::QuotaWindow {
        name: window.name.clone(),
        used_percent: window.used * 100.0,
        resets_at: window.resets_at.map(timestamp),
        seen_at: Some(timestamp(window.seen_at)),
        model: window.model.clone().unwrap_or_default(),
    }
}

fn cooldowns(health: &Health, now: Timestamp) -> Vec<v1::Cooldown> {
    let cooldown = |binding| {
        move |cooldown: Cooldown<'_>| v1::Cooldown {
            about: cooldown.scope.map(ToString::to_string).unwrap_or_default(),
            until: Some(timestamp(cooldown.until)),
            reason: cooldown.cause.to_string(),
            binding,
        }
    };
    health.limits(now).map(cooldown(true)).chain(health.doubts(now).map(cooldown(false))).collect()
}

fn attempts(counters: Counters) -> v1::AttemptCounts {
    let Counters { served, client_faults, limited, refused, failed } = counters;
    v1::AttemptCounts { served, client_faults, limited, refused, failed }
}

pub(super) fn outlook(outlook: Outlook) -> v1::Outlook {
    let (kind, reason) = match outlook {
        Outlook::Chosen(why) => (v1::OutlookKind::Chosen, why.to_string()),
        Outlook::Passed => (v1::OutlookKind::Passed, "another account is chosen".to_owned()),
        Outlook::Behind(reason) => (v1::OutlookKind::Behind, reason),
        Outlook::NotServing => (v1::OutlookKind::NotServing, "it does not serve the model".to_owned()),
    };
    v1::Outlook { kind: kind.into(), reason }
}

pub(super) fn strategy(strategy: Strategy) -> v1::Strategy {
    match strategy {
        Strategy::Quota => v1::Strategy::Quota,
        Strategy::RoundRobin => v1::Strategy::RoundRobin,
        Strategy::Weighted => v1::Strategy::Weighted,
        Strategy::FillFirst => v1::Strategy::FillFirst,
    }
}

/// `None` for one that this daemon does not know.
pub(super) fn wanted_strategy(strategy: v1::Strategy) -> Option<Strategy> {
    match strategy {
        v1::Strategy::Unspecified => None,
        v1::Strategy::Quota => Some(Strategy::Quota),
        v1::Strategy::RoundRobin => Some(Strategy::RoundRobin),
        v1::Strategy::Weighted => Some(Strategy::Weighted),
        v1::Strategy::FillFirst => Some(Strategy::FillFirst),
    }
}

pub(super) fn explained(entry: &Entry) -> v1::ExplainRequestResponse {
    let Story { attempts, end } = entry.story();
    let (ended_at, end) = end.map(|(at, how)| (timestamp(at), how.into_owned())).unzip();
    v1::ExplainRequestResponse {
        request_id: entry.id.to_string(),
        at: Some(timestamp(entry.at)),
        dialect: entry.dialect.name().to_owned(),
        endpoint: entry.endpoint.to_string(),
        model: entry.model.clone(),
        conversation: entry.conversation.unwrap_or_default().to_owned(),
        client_key: entry.key.clone().unwrap_or_default(),
        attempts: attempts.into_iter().map(attempt).collect(),
        end: end.unwrap_or_default(),
        ended_at,
    }
}

fn attempt(attempt: Try) -> v1::Attempt {
    let Try { by, model, at, took, status, outcome } = attempt;
    let (account, name, why) = match by {
        By::Account { id, name, why } => (id.to_string(), name, why.to_string()),
        By::OwnCredential => {
            (String::new(), "the caller's own credential".to_owned(), "the caller brought it".to_owned())
        }
    };
    v1::Attempt {
        account,
        name,
        model: model.to_string(),
        why,
        at: Some(timestamp(at)),
        // A clock that went back makes it negative.
        took_ms: took.map(|took| u64::try_from(took.as_millis()).unwrap_or(0)),
        status: status.map(u32::from),
        outcome: outcome.into_owned(),
    }
}

fn settings(settings: &Settings) -> v1::AccountSettings {
    let Settings { priority, weight, reserve, prefix, proxy, base_url, aliases, excluded, note } = settings;
    let alias = |ModelAlias { alias, model }: &ModelAlias| v1::ModelAlias {
        alias: alias.clone(),
        model: model.clone(),
    };
    v1::AccountSettings {
        priority: *priority,
        weight: *weight,
        reserve_percent: *reserve,
        prefix: prefix.clone().unwrap_or_default(),
        proxy_url: proxy.as_ref().map(ToString::to_string).unwrap_or_default(),
        model_aliases: aliases.iter().map(alias).collect(),
        excluded_models: excluded.clone(),
        note: note.clone().unwrap_or_default(),
        base_url: base_url.as_ref().map(ToString::to_string).unwrap_or_default(),
    }
}

pub(super) fn usage(report: Report) -> v1::PlanUsage {
    let window = |window: UsageWindow| v1::UsageWindow {
        name: window.name,
        used_percent: window.used_percent,
        resets_at: window.resets_at.map(timestamp),
    };
    v1::PlanUsage {
        windows: report.windows.into_iter().map(window).collect(),
        asked_at: Some(timestamp(report.asked_at)),
        refusal: report.refusal.unwrap_or_default(),
    }
}

pub(super) fn event_kind(kind: Kind) -> v1::EventKind {
    match kind {
        Kind::Added => v1::EventKind::Added,
        Kind::Changed => v1::EventKind::Changed,
        Kind::Removed => v1::EventKind::Removed,
        Kind::Invalid => v1::EventKind::Invalid,
        Kind::Refreshed => v1::EventKind::Refreshed,
        Kind::RefreshFailed => v1::EventKind::RefreshFailed,
        Kind::Cooling => v1::EventKind::Cooling,
        Kind::Recovered => v1::EventKind::Recovered,
        Kind::NeedsLogin => v1::EventKind::NeedsLogin,
        Kind::Unsaved => v1::EventKind::Unsaved,
        Kind::Saved => v1::EventKind::Saved,
        Kind::QuotaLow => v1::EventKind::QuotaLow,
        Kind::EndsSoon => v1::EventKind::EndsSoon,
    }
}

pub(super) fn invalid_file(invalid: &InvalidFile, store: &Store) -> v1::InvalidFile {
    v1::InvalidFile { path: store.place_of(&invalid.file), reason: invalid.reason.clone() }
}

pub(super) fn revocation(revocation: &Revocation) -> (v1::ProviderRevocation, String) {
    match revocation {
        Revocation::Revoked => (v1::ProviderRevocation::Revoked, String::new()),
        Revocation::Failed(error) => (v1::ProviderRevocation::Failed, ErrorChain(error).to_string()),
        Revocation::NotOffered => (v1::ProviderRevocation::NotOffered, String::new()),
    }
}

pub(super) fn refresh_error(error: &RefreshError) -> Status {
    let code = match error {
        RefreshError::Gone => Code::NotFound,
        RefreshError::NotRenewable | RefreshError::Unusable(_) | RefreshError::Closed(_) => {
            Code::FailedPrecondition
        }
        RefreshError::NeedsLogin { .. } => Code::Unauthenticated,
        RefreshError::CannotSave(_) | RefreshError::Unsaved => Code::ResourceExhausted,
        RefreshError::Issuer(_) | RefreshError::TooSoon { .. } | RefreshError::Stopping => Code::Unavailable,
        RefreshError::Aborted => Code::Internal,
    };
    Status::new(code, ErrorChain(error).to_string())
}

pub(super) fn admin_error(error: &AdminError) -> Status {
    let code = match error {
        AdminError::BadCredential { .. } | AdminError::Mistakes(_) => Code::InvalidArgument,
        AdminError::Gone => Code::NotFound,
        AdminError::Closed(_) | AdminError::Unsaved | AdminError::Credential { .. } => {
            Code::FailedPrecondition
        }
        AdminError::Store(_) => Code::ResourceExhausted,
        AdminError::Import(error) => match error {
            ImportError::Relative { .. } => Code::InvalidArgument,
            ImportError::Read { source, .. } => io_code(source),
            ImportError::OwnDirectory { .. } | ImportError::InUse { .. } | ImportError::TooMany { .. } => {
                Code::FailedPrecondition
            }
        },
        AdminError::Export(error) => match error {
            ExportError::NotAFile { .. } | ExportError::InAuthDirectory { .. } => Code::InvalidArgument,
            ExportError::Exists { .. } => Code::AlreadyExists,
            ExportError::Write { source, .. } => io_code(source),
        },
        AdminError::Aborted => Code::Internal,
    };
    Status::new(code, ErrorChain(error).to_string())
}

/// A place of the file system that a person named.
fn io_code(error: &io::Error) -> Code {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::ReadOnlyFilesystem => {
            Code::ResourceExhausted
        }
        io::ErrorKind::PermissionDenied => Code::PermissionDenied,
        _ => Code::InvalidArgument,
    }
}

pub(super) fn finding(finding: Finding) -> v1::Finding {
    let severity = match finding.severity {
        Severity::Ok => v1::Severity::Ok,
        Severity::Note => v1::Severity::Note,
        Severity::Warning => v1::Severity::Warning,
        Severity::Problem => v1::Severity::Problem,
    };
    v1::Finding {
        area: finding.area,
        severity: severity.into(),
        found: finding.found,
        command: finding.command.unwrap_or_default(),
    }
}
