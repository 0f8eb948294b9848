//! What `doctor` prints.

use proxy_proto::v1;
use serde::Serialize;

use super::text;

/// `doctor`: everything that was looked at.
#[derive(Debug, Serialize)]
pub struct Diagnosis {
    /// The worst severity among the findings, which is also the exit code: `ok` and `note` 0, `warning` 7, `problem` 8.
    pub worst: Severity,
    pub findings: Vec<Finding>,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What it is about, in words.
    pub area: String,
    pub severity: Severity,
    /// What was found, in words.
    pub found: String,
    /// The command that mends it, or shows more.
    pub command: Option<String>,
}

/// How bad it is, the worst last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// A word that this version does not know, sent by a newer daemon.
    Unknown,
    Ok,
    /// Worth knowing, and nothing is wrong.
    Note,
    /// It serves, and will not for long, or not as well as it could.
    Warning,
    /// Something does not work.
    Problem,
}

impl Diagnosis {
    pub(crate) fn new(findings: Vec<Finding>) -> Self {
        let worst = findings.iter().map(|finding| finding.severity).max().unwrap_or(Severity::Ok);
        Self { worst, findings }
    }
}

impl From<v1::Finding> for Finding {
    fn from(finding: v1::Finding) -> Self {
        let severity = match finding.severity() {
            v1::Severity::Unspecified => Severity::Unknown,
            v1::Severity::Ok => Severity::Ok,
            v1::Severity::Note => Severity::Note,
            v1::Severity::Warning => Severity::Warning,
            v1::Severity::Problem => Severity::Problem,
        };
        Self { area: finding.area, severity, found: finding.found, command: text(finding.command) }
    }
}
