//! What the pool should hold, given what the directory holds. Pure.

use crate::account::{Account, Credential, FileName};
use crate::pool::{InvalidFile, Snapshot};
use crate::store::Scan;

/// Stands for all of them.
const ANY_CREDENTIAL: &str = "proxyd.api-key.*";

/// The accounts to serve and the files not to use.
pub(super) fn desired(scan: Scan, current: &Snapshot) -> (Vec<Account>, Vec<InvalidFile>) {
    let mut accounts = Vec::new();
    let mut invalid = Vec::new();
    if let Some(error) = scan.unread_credentials {
        // What they hold is not known, so they hold what they did.
        let known = current.members.iter().map(|member| &member.account);
        accounts.extend(known.filter(|account| account.file.is_credential()).cloned());
        let reason = format!(
            "the credentials cannot be read: {error}; their accounts go on with what they said before"
        );
        invalid.extend(FileName::of_credential(ANY_CREDENTIAL).map(|file| InvalidFile { file, reason }));
    }
    for (file, finding) in scan.files {
        match finding {
            Ok(loaded) => accounts.push(loaded.account),
            Err(unusable) => {
                let mut reason = unusable.to_string();
                let last_good = current.members.iter().find(|member| member.account.file == file);
                if let Some(member) = last_good.filter(|_| unusable.is_broken_content()) {
                    reason.push_str("; the account goes on with what the file said before");
                    accounts.push(member.account.clone());
                }
                invalid.push(InvalidFile { file, reason });
            }
        }
    }
    let doubles = keep_one_each(&mut accounts, current);
    invalid.extend(doubles);
    invalid.sort_by(|a, b| a.file.cmp(&b.file));
    (accounts, invalid)
}

/// Of several files that hold one identity one is used: that with the tokens issued last, since the others
/// hold spent ones, and of equal ones that which is in use already. A key that is a credential, too, is its file's: that has
/// what a person set.
fn keep_one_each(accounts: &mut Vec<Account>, current: &Snapshot) -> Vec<InvalidFile> {
    let in_use = |account: &Account| {
        current.get(&account.id).is_some_and(|member| member.account.file == account.file)
    };
    accounts.sort_by(|a, b| {
        let best_first = b.last_refresh.cmp(&a.last_refresh).then(in_use(b).cmp(&in_use(a)));
        let files_first = a.file.is_credential().cmp(&b.file.is_credential());
        a.id.cmp(&b.id).then(files_first).then(best_first).then(b.file.cmp(&a.file))
    });
    let mut doubles = Vec::new();
    accounts.dedup_by(|next, used| {
        let double = next.id == used.id;
        if double {
            let reason =
                format!("another file of account {} is used: see `proxyctl accounts show {0}`", used.id);
            doubles.push(InvalidFile { file: next.file.clone(), reason });
        }
        double
    });
    doubles
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
    use crate::account::{Document, DocumentError};
    use crate::clock::Clock;
    use crate::pool::Pool;
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
        Scan { files: [(name(), finding)].into(), ..Scan::default() }
    }

    fn pool_with(account: Account) -> Pool {
        let pool = Pool::new(crate::pool::Config::default(), Clock::system());
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
    fn of_two_files_of_one_account_the_newer_is_used_and_of_equal_ones_the_one_in_use() {
        let two = |first: &str, second: &str| Scan {
            files: [("claude-x.json", first), ("claude-y.json", second)]
                .map(|(file, issued)| {
                    let file = FileName::parse(file).unwrap();
                    let mut loaded = loaded("a", issued);
                    loaded.account.file = file.clone();
                    (file, Ok(loaded))
                })
                .into(),
            ..Scan::default()
        };
        let (old, new) = ("2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z");
        let pool = pool_with(loaded("a", old).account);
        let (accounts, invalid) = desired(two(old, new), &pool.snapshot());
        assert_eq!((accounts[0].file.as_str(), accounts.len()), ("claude-y.json", 1));
        assert_eq!(invalid[0].file.as_str(), "claude-x.json");
        assert!(invalid[0].reason.contains(accounts[0].id.as_str()), "{}", invalid[0].reason);
        let (accounts, invalid) = desired(two(old, old), &pool.snapshot());
        assert_eq!((accounts[0].file.as_str(), invalid[0].file.as_str()), ("claude-x.json", "claude-y.json"));
    }

    fn credential(name: &str, label: &str) -> (FileName, Loaded) {
        let file = FileName::of_credential(name).unwrap();
        let json = format!(r#"{{"type":"claude","api_key":"sk-ant-api03-FAKE","label":"{label}"}}"#);
        let document = Document::parse(json.as_bytes()).unwrap();
        let account = document.to_account(file.clone()).unwrap();
        (file, Loaded { account, document })
    }

    #[test]
    fn a_key_that_has_a_file_is_that_files_account() {
        let (file, loaded) = credential("proxyd.api-key.work", "work");
        let mut own = loaded.clone();
        own.account.file = name();
        let pool = pool_with(loaded.account.clone());
        let both = Scan { files: [(file.clone(), Ok(loaded)), (name(), Ok(own))].into(), ..Scan::default() };
        let (accounts, invalid) = desired(both, &pool.snapshot());
        assert_eq!((accounts.len(), &accounts[0].file), (1, &name()));
        assert_eq!((invalid.len(), &invalid[0].file), (1, &file));
    }

    #[test]
    fn a_key_that_is_none_any_more_goes_and_what_cannot_be_looked_at_stays() {
        let (file, loaded) = credential("proxyd.api-key.work", "work");
        let pool = pool_with(loaded.account);
        let bad = Err(Unusable::Credential { problem: "is not text".to_owned() });
        let (accounts, invalid) =
            desired(Scan { files: [(file, bad)].into(), ..Scan::default() }, &pool.snapshot());
        assert_eq!((accounts.len(), invalid[0].reason.as_str()), (0, "the credential is not text"));
        let unread = Scan { unread_credentials: Some(std::io::Error::other("gone")), ..Scan::default() };
        let (accounts, invalid) = desired(unread, &pool.snapshot());
        assert_eq!((accounts.len(), invalid.len()), (1, 1));
    }
}
