//! What it means when daemon and client are not of the same release.

use std::cmp::Ordering;

use crate::text;

const OWN: &str = env!("CARGO_PKG_VERSION");

/// A daemon that does not speak this program's revision of the control API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Difference {
    pub(crate) what: String,
    pub(crate) hint: &'static str,
}

/// `None` where both speak the same revision.
pub(crate) fn difference(version: &str, revision: u32) -> Option<Difference> {
    compare(version, revision, proxy_proto::REVISION)
}

fn compare(version: &str, theirs: u32, ours: u32) -> Option<Difference> {
    let (word, hint) = match theirs.cmp(&ours) {
        Ordering::Equal => return None,
        Ordering::Less => ("older", "restart the daemon after the update"),
        Ordering::Greater => ("newer", "update proxyctl to the daemon's release"),
    };
    let version = text::clean(version);
    let what = format!(
        "proxyd {version} (control API revision {theirs}) is {word} than proxyctl {OWN} (revision {ours})"
    );
    Some(Difference { what, hint })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_older_of_the_two_is_named_with_what_to_do() {
        assert_eq!(compare("9.9.9", 3, 3), None);
        let older = compare("0.0.9", 2, 3).unwrap();
        assert!(older.what.starts_with("proxyd 0.0.9 (control API revision 2) is older than proxyctl "));
        assert!(older.what.ends_with(" (revision 3)") && older.hint.contains("restart the daemon"));
        let newer = compare("9.9.9", 4, 3).unwrap();
        assert!(newer.what.contains(" is newer than proxyctl ") && newer.hint.contains("update proxyctl"));
    }
}
