//! Which account a person means.

use std::sync::Arc;

use tonic::Status;

use crate::account::Account;
use crate::pool::{Member, Snapshot};

/// The account a person means: by id, label, e-mail or file, or by the beginning of one of the first three. An exact name
/// beats the beginning of another. Ids and e-mail addresses are the same in capitals.
pub(super) fn find(snapshot: &Snapshot, wanted: &str) -> Result<Arc<Member>, Status> {
    let wanted = wanted.trim();
    if wanted.is_empty() {
        return Err(Status::invalid_argument("name an account: its id, label, e-mail or file"));
    }
    let matching = |is: fn(&Account, &str) -> bool| -> Vec<&Arc<Member>> {
        snapshot.members.iter().filter(|member| is(&member.account, wanted)).collect()
    };
    let exact = matching(is_named);
    let found = if exact.is_empty() { matching(begins) } else { exact };
    match found.as_slice() {
        [] => Err(Status::not_found(format!("there is no account {wanted:?}; see `proxyctl accounts list`"))),
        [one] => Ok(Arc::clone(one)),
        several => {
            let candidates: Vec<_> = several.iter().map(|member| candidate(&member.account)).collect();
            Err(Status::failed_precondition(format!(
                "{wanted:?} could be any of these, so name one by its id: {}",
                candidates.join(", ")
            )))
        }
    }
}

fn is_named(account: &Account, wanted: &str) -> bool {
    let email = account.identity.email.as_deref();
    let file = wanted.rsplit('/').next().unwrap_or(wanted);
    account.id.as_str().eq_ignore_ascii_case(wanted)
        || account.label.as_deref() == Some(wanted)
        || email.is_some_and(|email| email.eq_ignore_ascii_case(wanted))
        || account.file.as_str() == file
}

fn begins(account: &Account, wanted: &str) -> bool {
    let like = |text: &str| {
        text.as_bytes().get(..wanted.len()).is_some_and(|start| start.eq_ignore_ascii_case(wanted.as_bytes()))
    };
    like(account.id.as_str())
        || account.label.as_deref().is_some_and(|label| label.starts_with(wanted))
        || account.identity.email.as_deref().is_some_and(like)
}

/// An account by its id and what tells a person which it is.
fn candidate(account: &Account) -> String {
    let Account { id, label, identity, .. } = account;
    let known = [label, &identity.email, &identity.organization_name];
    let words: Vec<&str> = known.into_iter().flatten().map(String::as_str).collect();
    if words.is_empty() { id.to_string() } else { format!("{id} ({})", words.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::{Document, FileName};
    use crate::clock::Clock;
    use crate::pool::Pool;

    fn pool() -> Pool {
        let pool = Pool::new(crate::pool::Config::default(), Clock::system());
        for (name, json) in [
            (
                "claude-a.json",
                r#"{"access_token":"a","account_uuid":"u","organization_uuid":"1","email":"me@example.com","label":"work"}"#,
            ),
            (
                "claude-b.json",
                r#"{"access_token":"b","account_uuid":"u","organization_uuid":"2","email":"me@example.com","label":"home"}"#,
            ),
        ] {
            let document = Document::parse(json.as_bytes()).unwrap();
            pool.publish(document.to_account(FileName::parse(name).unwrap()).unwrap());
        }
        pool
    }

    #[test]
    fn an_account_is_found_by_each_of_its_names() {
        let snapshot = pool().snapshot();
        let work =
            snapshot.members.iter().find(|member| member.account.label.as_deref() == Some("work")).unwrap();
        let id = work.account.id.as_str();
        for name in
            [id, &id[..6], &id.to_uppercase(), "work", "wo", "claude-a.json", "/some/dir/claude-a.json"]
        {
            assert_eq!(find(&snapshot, name).unwrap().account.id, work.account.id, "{name}");
        }
    }

    #[test]
    fn an_ambiguous_name_lists_the_candidates() {
        let status = find(&pool().snapshot(), "ME@example.com").unwrap_err();
        assert_eq!(status.code(), tonic::Code::FailedPrecondition);
        assert!(
            pool()
                .snapshot()
                .members
                .iter()
                .all(|member| status.message().contains(member.account.id.as_str()))
        );
        assert!(status.message().contains("(work, me@example.com)"), "{}", status.message());
        assert_eq!(find(&pool().snapshot(), "me@").unwrap_err().code(), tonic::Code::FailedPrecondition);
    }

    #[test]
    fn an_exact_name_beats_the_beginning_of_another() {
        let pool = pool();
        let document =
            Document::parse(br#"{"access_token":"c","account_uuid":"c","label":"work2"}"#).unwrap();
        pool.publish(document.to_account(FileName::parse("claude-c.json").unwrap()).unwrap());
        assert_eq!(find(&pool.snapshot(), "work").unwrap().account.label.as_deref(), Some("work"));
        assert_eq!(find(&pool.snapshot(), "work2").unwrap().account.label.as_deref(), Some("work2"));
        assert_eq!(find(&pool.snapshot(), "wor").unwrap_err().code(), tonic::Code::FailedPrecondition);
    }

    #[test]
    fn an_unknown_name_is_not_found() {
        assert_eq!(find(&pool().snapshot(), "nobody").unwrap_err().code(), tonic::Code::NotFound);
        assert_eq!(find(&pool().snapshot(), " ").unwrap_err().code(), tonic::Code::InvalidArgument);
    }
}
