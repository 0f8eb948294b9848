//! What the system allows this process.

use nix::sys::resource::{Resource, getrlimit};

use super::{Finding, Severity};

/// Fewer than this serve some hundred clients at most: what select(2) takes, and what a shell gives.
const FEW: u64 = 4096;

/// Open files, of which each request takes up to three.
pub(super) fn descriptors() -> Finding {
    let limit = getrlimit(Resource::RLIMIT_NOFILE).map_or(0, |(soft, _)| soft);
    judge(limit)
}

fn judge(limit: u64) -> Finding {
    let found = format!("{limit} open files at once");
    if limit >= FEW {
        return Finding::new("limits", Severity::Ok, found);
    }
    Finding::new(
        "limits",
        Severity::Note,
        format!("{found}: enough for about {} requests at a time", limit / 4),
    )
    .mended_by("systemctl edit proxyd # [Service] LimitNOFILE=16384")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_descriptors_are_told_with_what_they_are_enough_for() {
        assert_eq!(judge(16_384).severity, Severity::Ok);
        let few = judge(1024);
        assert_eq!((few.severity, few.found.contains("256 requests")), (Severity::Note, true));
        assert!(few.command.is_some());
    }
}
