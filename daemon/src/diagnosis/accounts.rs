//! What is to be said of each account, and of files that are none.

use super::{Finding, Severity};
use crate::account::Account;
use crate::clock::Timestamp;
use crate::pool::{Member, Snapshot, State};

const LOGIN: &str = "proxyctl login claude";

/// Of all of them, the pool first.
pub(super) fn look(snapshot: &Snapshot, now: Timestamp) -> Vec<Finding> {
    let usable = snapshot.members.iter().filter(|member| member.is_usable(now)).count();
    let mut findings = vec![pool(snapshot.members.len(), usable)];
    // One that is out is a problem of its own only where no other serves: the pool is there to make up for it.
    let out = if usable == 0 { Severity::Problem } else { Severity::Warning };
    findings.extend(snapshot.members.iter().flat_map(|member| of(member, out, now)));
    findings.extend(snapshot.invalid.iter().map(|file| {
        Finding::new(
            "auth directory",
            Severity::Warning,
            format!("{} is not used: {}", file.file.masked(), file.reason),
        )
        .mended_by("proxyctl accounts list")
    }));
    findings
}

fn pool(total: usize, usable: usize) -> Finding {
    match (total, usable) {
        (0, _) => Finding::new("accounts", Severity::Problem, "there is no account").mended_by(LOGIN),
        (_, 0) => Finding::new("accounts", Severity::Problem, format!("none of {total} is usable"))
            .mended_by("proxyctl accounts list"),
        _ => Finding::new("accounts", Severity::Ok, format!("{usable} of {total} usable")),
    }
}

fn of(member: &Member, out: Severity, now: Timestamp) -> Vec<Finding> {
    let id = &member.account.id;
    let finding = |severity, found: String| Finding::new(format!("account {id}"), severity, found);
    let mut findings = vec![match member.state(now) {
        State::Ready => finding(Severity::Ok, "ready".to_owned()),
        State::Cooling { until, reason, .. } => {
            finding(Severity::Note, format!("cooling until {until:.0}: {reason}"))
                .mended_by("proxyctl accounts list --explain")
        }
        State::NeedsLogin(needs) => finding(out, format!("needs a login: {}", needs.reason)).mended_by(LOGIN),
        State::Disabled => finding(Severity::Note, "switched off".to_owned())
            .mended_by(format!("proxyctl accounts enable {id}")),
        State::Invalid { reason } => {
            finding(out, format!("sends nothing: {reason}")).mended_by(format!("proxyctl accounts show {id}"))
        }
    }];
    let trouble = member.trouble();
    if let Some(error) = trouble.last_error {
        findings.push(if trouble.unsaved {
            finding(Severity::Problem, format!("its newest token is in memory only: {error}"))
                .mended_by("df -h . # of the auth directory, which `proxyctl status` names".to_owned())
        } else if matches!(member.state(now), State::Disabled | State::NeedsLogin(_)) {
            return findings;
        } else {
            finding(Severity::Warning, format!("no refresh: {error}"))
                .mended_by(format!("proxyctl accounts refresh {id}"))
        });
    }
    if !member.account.disabled {
        let warnings = warnings(&member.account, now).into_iter();
        findings.extend(warnings.map(|warning| {
            finding(Severity::Warning, warning).mended_by(format!("proxyctl accounts show {id}"))
        }));
    }
    findings
}

/// What a person should know although the account serves.
pub fn warnings(account: &Account, now: Timestamp) -> Vec<String> {
    let unread = account.faults.iter().filter(|fault| !fault.closes);
    let mut warnings: Vec<String> = unread.map(|fault| format!("a setting is not used: {fault}")).collect();
    warnings.extend(account.ends_soon(now).map(|end| {
        let days = end.duration_since(now).as_hours() / 24;
        let left = match days {
            0 => "in less than a day".to_owned(),
            1 => "in 1 day".to_owned(),
            days => format!("in {days} days"),
        };
        format!(
            "its token ends at {end:.0} ({left}) and cannot be renewed: log in with `proxyctl login claude`, or add a new \
             token with `proxyctl accounts add claude --setup-token-file FILE`"
        )
    }));
    warnings
}
