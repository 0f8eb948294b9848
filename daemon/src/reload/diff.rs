//! What the pool should hold, given what the directory holds. Pure.

use crate::account::{Account, Credential};
use crate::pool::{InvalidFile, Snapshot};
use crate::store::Scan;

/// The accounts to serve and the files not to use.
pub(super) fn desired(scan: Scan, current: &Snapshot) -> (Vec<Account>, Vec<InvalidFile>) {
    let mut accounts = Vec::new();
    let mut invalid = Vec::new();
    for (file, finding) in scan.files {
        match finding {
            Ok(loaded) => accounts.push(keep_unsaved(loaded.account, current)),
            Err(unusable) => {
                let (mut reason, mut for_log) = (unusable.to_string(), unusable.for_log());
                let last_good = current.members.iter().find(|member| member.account.file == file);
                if let Some(member) = last_good.filter(|_| unusable.is_broken_content()) {
                    for text in [&mut reason, &mut for_log] {
                        text.push_str("; the account goes on with what the file said before");
                    }
                    accounts.push(member.account.clone());
                }
                invalid.push(InvalidFile { file, reason, for_log });
            }
        }
    }
    // A file that was renamed while it was broken elsewhere could stand twice.
    accounts.sort_by(|a, b| a.id.cmp(&b.id).then(b.last_refresh.cmp(&a.last_refresh)));
    accounts.dedup_by(|a, b| a.id == b.id);
    (accounts, invalid)
}

/// A token that is in memory only is newer than what the file says.
fn keep_unsaved(account: Account, current: &Snapshot) -> Account {
    match current.get(&account.id) {
        Some(member) if member.trouble().unsaved && member.account.last_refresh > account.last_refresh => {
            Account {
                credential: member.account.credential.clone(),
                last_refresh: member.account.last_refresh,
                needs_login: None,
                ..account
            }
        }
        _ => account,
    }
}

pub(super) fn kind(account: &Account) -> &'static str {
    match account.credential {
        Credential::OAuth(_) => "oauth",
        Credential::ApiKey(_) => "api_key",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::{Document, DocumentError, FileName};
    use crate::clock::Clock;
    use crate::pool::{Pool, Trouble};
    use crate::store::{Finding, Loaded, Unusable};

    fn loaded(access: &str, issued: &str) -> Loaded {
        let json = format!(
            r#"{{"access_token":"{access}","refresh_token":"r","account_uuid":"u","last_refresh":"{issued}"}}"#
        );
        let document = Document::parse(json.as_bytes()).unwrap();
        let account = document.to_account(name()).unwrap();
        Loaded { account, document }
    }

    fn name() -> FileName {
        FileName::parse("claude-x.json").unwrap()
    }

    fn scan(finding: Finding) -> Scan {
        Scan { files: [(name(), finding)].into() }
    }

    fn pool_with(account: Account) -> Pool {
        let pool = Pool::new(Clock::system());
        pool.publish(account);
        pool
    }

    #[test]
    fn a_broken_file_keeps_its_last_good_account_and_is_shown() {
        let pool = pool_with(loaded("a", "2026-01-01T00:00:00Z").account);
        let broken = scan(Err(Unusable::Broken(DocumentError::NotAnObject)));
        let (accounts, invalid) = desired(broken, &pool.snapshot());
        assert_eq!(accounts.len(), 1);
        assert_eq!(
            invalid[0].reason,
            "not a JSON object; the account goes on with what the file said before"
        );
    }

    #[test]
    fn a_file_opened_to_others_takes_its_account_out() {
        let pool = pool_with(loaded("a", "2026-01-01T00:00:00Z").account);
        let (accounts, invalid) =
            desired(scan(Err(Unusable::OpenToOthers { mode: 0o644 })), &pool.snapshot());
        assert_eq!((accounts.len(), invalid.len()), (0, 1));
    }

    #[test]
    fn a_token_in_memory_only_is_not_overwritten_by_the_older_file() {
        let newer = loaded("new", "2026-02-01T00:00:00Z").account;
        let pool = pool_with(newer.clone());
        let older = || scan(Ok(loaded("old", "2026-01-01T00:00:00Z")));
        let (accounts, _) = desired(older(), &pool.snapshot());
        assert_eq!(accounts[0].oauth().unwrap().access.expose(), "old");
        pool.get(&newer.id).unwrap().set_trouble(Trouble { unsaved: true, last_error: None });
        let (accounts, _) = desired(older(), &pool.snapshot());
        assert_eq!(accounts[0].oauth().unwrap().access.expose(), "new");
    }
}
