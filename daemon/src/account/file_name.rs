//! The name of an account's file inside the auth directory, or of the credential that stands for one.

use std::fmt;
use std::sync::Arc;

use crate::clock::Timestamp;
use crate::id::AccountId;

const SUFFIX: &str = ".json";
const CREDENTIAL: &str = "proxyd.api-key";

/// One plain component that ends in `.json` and is not hidden. May hold an e-mail, so a log shows
/// [`FileName::masked`].
///
/// An API key of the service manager's has the name of its credential here, which no file of the directory can have.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileName(Arc<str>);

/// Why a name is not that of an account's file.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "not the name of an account file: it must be one component that ends in .json and does not start with a dot"
)]
pub struct FileNameError;

impl FileName {
    /// The name of a new account's file: `claude-<id>-<UTC time>.json`.
    pub fn for_account(id: &AccountId, at: Timestamp) -> Self {
        Self(format!("claude-{id}-{}.json", at.strftime("%Y%m%dT%H%M%SZ")).into())
    }

    pub fn parse(name: &str) -> Result<Self, FileNameError> {
        let plain = !name.contains(['/', '\0', '\n']) && !name.starts_with('.');
        let stem = name.strip_suffix(SUFFIX).ok_or(FileNameError)?;
        if plain && !stem.is_empty() { Ok(Self(name.into())) } else { Err(FileNameError) }
    }

    /// The name of a credential that holds an API key; `None` for every other name.
    pub fn of_credential(name: &str) -> Option<Self> {
        let label = name.strip_prefix(CREDENTIAL)?;
        let is_one = label.is_empty() || label.strip_prefix('.').is_some_and(|label| !label.is_empty());
        (is_one && !name.ends_with(SUFFIX)).then(|| Self(name.into()))
    }

    /// The service manager has it, and nobody here can write it.
    pub fn is_credential(&self) -> bool {
        !self.0.ends_with(SUFFIX)
    }

    /// What its credential's name calls it.
    pub fn credential_label(&self) -> Option<&str> {
        self.0.strip_prefix(CREDENTIAL)?.strip_prefix('.')
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the name alone says that this is a Claude account.
    pub fn says_claude(&self) -> bool {
        self.0.starts_with("claude-")
    }

    /// The name as a log may show it: what stands before an `@` gone.
    pub fn masked(&self) -> Masked<'_> {
        Masked(self)
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FileName({})", self.masked())
    }
}

/// Shows a file's name without the e-mail it may hold.
#[derive(Debug)]
pub struct Masked<'a>(&'a FileName);

impl fmt::Display for Masked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.0.as_str();
        if !name.contains('@') {
            return f.write_str(name);
        }
        f.write_str(if self.0.says_claude() { "claude-****.json" } else { "****.json" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_json_names_are_taken() {
        for good in ["claude-a.json", "x.json", "claude-me@example.com.json"] {
            assert!(FileName::parse(good).is_ok(), "{good}");
        }
        for bad in ["", ".json", ".x.json", "a/b.json", "../x.json", "x.txt", "x.json.tmp"] {
            assert_eq!(FileName::parse(bad), Err(FileNameError), "{bad}");
        }
    }

    #[test]
    fn a_credentials_name_is_never_that_of_a_file() {
        let credential = |name| FileName::of_credential(name);
        for (name, label) in [
            ("proxyd.api-key", None),
            ("proxyd.api-key.work", Some("work")),
            ("proxyd.api-key.a.b", Some("a.b")),
        ] {
            let found = credential(name).unwrap();
            assert!(found.is_credential() && FileName::parse(name).is_err(), "{name}");
            assert_eq!((found.as_str(), found.credential_label()), (name, label));
        }
        for none in
            ["proxyd.api-key.", "proxyd.api-keys", "proxyd.seal-key", "api-key", "proxyd.api-key.json"]
        {
            assert_eq!(credential(none), None, "{none}");
        }
        assert!(!FileName::parse("claude-a.json").unwrap().is_credential());
    }

    #[test]
    fn an_email_never_reaches_a_log() {
        let name = FileName::parse("claude-someone@example.com.json").unwrap();
        assert_eq!(name.masked().to_string(), "claude-****.json");
        assert!(!format!("{name:?}").contains("someone"));
    }

    #[test]
    fn a_new_account_is_named_by_id_and_time() {
        let id = AccountId::derive("oauth", &["a", "b"]);
        let name = FileName::for_account(&id, Timestamp::UNIX_EPOCH);
        assert_eq!(name.as_str(), format!("claude-{id}-19700101T000000Z.json"));
        assert!(FileName::parse(name.as_str()).is_ok());
    }
}
