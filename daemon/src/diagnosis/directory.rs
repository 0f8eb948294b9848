//! The auth directory: whose it is, whether it can be written, how much room there is, and whether its changes are seen.

use super::{Finding, Severity};
use crate::reload::Watching;
use crate::store::Store;

const AREA: &str = "auth directory";
/// Below it the next rewrite of a few accounts still fits, and not much more.
const LITTLE_ROOM: u64 = 64 * 1024 * 1024;

/// As it is now. Blocks.
pub(super) fn look(store: &Store) -> Vec<Finding> {
    let place = store.dir().display().to_string();
    let survey = match store.survey() {
        Ok(survey) => survey,
        Err(error) => {
            return vec![
                Finding::new(AREA, Severity::Problem, format!("{place} cannot be looked at: {error}"))
                    .mended_by(format!("ls -ld {place}")),
            ];
        }
    };
    let mut findings = Vec::new();
    if survey.mode & 0o077 != 0 {
        let found = format!("{place} is open to others (mode {:04o})", survey.mode);
        findings.push(Finding::new(AREA, Severity::Problem, found).mended_by(format!("chmod 700 {place}")));
    }
    if let Some(refusal) = survey.refusal {
        let found = format!("nothing can be written to {place}: {refusal}; no token is refreshed");
        findings.push(
            Finding::new(AREA, Severity::Problem, found).mended_by(format!("df -h {place}; df -i {place}")),
        );
    } else if survey.free < LITTLE_ROOM {
        let found = format!("{} MiB are left for {place}", survey.free / (1024 * 1024));
        findings.push(Finding::new(AREA, Severity::Warning, found).mended_by(format!("df -h {place}")));
    }
    if findings.is_empty() {
        findings.push(Finding::new(AREA, Severity::Ok, format!("{place} is private and can be written")));
    }
    findings
}

/// Whether its changes are seen at once.
pub(super) fn watch(watching: &Watching) -> Finding {
    if watching.is_on() {
        return Finding::new("inotify", Severity::Ok, "changes of the auth directory are seen at once");
    }
    Finding::new("inotify", Severity::Warning, "the auth directory cannot be watched: it is read every 30 s")
        .mended_by("sysctl fs.inotify.max_user_watches=524288 fs.inotify.max_user_instances=512")
}
