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
/// hold spent ones, and of equal ones that which is in use already.
fn keep_one_each(accounts: &mut Vec<Account>, current: &Snapshot) -> Vec<InvalidFile> {
    let in_use = |account: &Account| {
        current.get(&account.id).is_some_and(|member| member.account.file == account.file)
    };
    accounts.sort_by(|a, b| {
        let best_first = b.last_refresh.cmp(&a.last_refresh).then(in_use(b).cmp(&in_use(a)));
        a.id.cmp(&b.id).then(best_first).then(b.file.cmp(&a.file))
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
    use crate::account::{Document, DocumentError, FileName};
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
        Scan { files: [(name(), finding)].into() }
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
}
