//! When a token is due. Pure: time is an argument, and the jitter comes from the account's id.

use sha2::{Digest, Sha256};

use crate::account::Account;
use crate::clock::{SignedDuration, Timestamp, after};
use crate::id::AccountId;

/// A token that ends sooner than this is not sent any more: it might end on the way.
const STALE_WITHIN: SignedDuration = SignedDuration::from_secs(30);
/// The share of a token's life after which it is due, in percent.
const DUE_AFTER_PERCENT: i64 = 70;
/// Waits between failed tries double from the first up to the longest.
const FIRST_RETRY_SECONDS: i64 = 5;
const LONGEST_RETRY_SECONDS: i64 = 300;

/// When tokens are refreshed.
#[derive(Clone, Debug)]
pub struct Policy {
    /// No later than this before the token's end, where its life is longer.
    pub lead: SignedDuration,
}

/// When the account's token is due; `None` for one that cannot be refreshed.
pub(super) fn due_at(account: &Account, policy: &Policy) -> Option<Timestamp> {
    account.renewable()?;
    let tokens = account.oauth()?;
    // A file that does not say when its token ends: find out by a refresh, but once.
    let Some(end) = tokens.expires_at else { return account.last_refresh.or(Some(Timestamp::MIN)) };
    let by_lead = after(end, -policy.lead);
    let Some(issued) = account.last_refresh.filter(|issued| *issued < end) else { return Some(by_lead) };
    let life = end.duration_since(issued);
    let by_share = after(
        issued,
        life.checked_mul(i32::try_from(DUE_AFTER_PERCENT).unwrap_or(70)).map_or(life, |part| part / 100),
    );
    let due = if by_lead > issued { by_share.min(by_lead) } else { by_share };
    // Accounts that logged in together are not refreshed together.
    let spread = life / 20;
    Some(after(due, -share_of(spread, &account.id)))
}

/// Whether the token must not be used any more.
pub(super) fn is_stale(account: &Account, now: Timestamp) -> bool {
    let end = account.oauth().and_then(|tokens| tokens.expires_at);
    end.is_some_and(|end| after(now, STALE_WITHIN) >= end)
}

/// When to try again after `strikes` failures in a row: doubling, with jitter, and never before a time the
/// issuer named.
pub(super) fn retry_at(now: Timestamp, strikes: u32, named: Option<Timestamp>, id: &AccountId) -> Timestamp {
    let seconds = FIRST_RETRY_SECONDS.saturating_mul(1 << strikes.min(16)).min(LONGEST_RETRY_SECONDS);
    let wait = SignedDuration::from_secs(seconds);
    let guessed = after(now, wait + share_of(wait / 4, id));
    named.map_or(guessed, |named| guessed.max(named))
}

/// A share of `whole` that is always the same for one account.
fn share_of(whole: SignedDuration, id: &AccountId) -> SignedDuration {
    let [byte, ..] = <[u8; 32]>::from(Sha256::digest(id.as_str()));
    whole.checked_mul(i32::from(byte)).map_or(SignedDuration::ZERO, |part| part / 256)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::{Document, FileName};

    const POLICY: Policy = Policy { lead: SignedDuration::from_mins(30) };

    fn account(issued: Option<i64>, end: Option<i64>) -> Account {
        let mut document = serde_json::json!({"access_token":"a","refresh_token":"r","account_uuid":"u"});
        let time = |at: i64| Timestamp::from_second(at).unwrap().to_string();
        if let Some(at) = issued {
            document["last_refresh"] = time(at).into();
        }
        if let Some(at) = end {
            document["expired"] = time(at).into();
        }
        let document = Document::parse(document.to_string().as_bytes()).unwrap();
        document.to_account(FileName::parse("claude-x.json").unwrap()).unwrap()
    }

    #[test]
    fn due_at_seventy_percent_of_life_less_a_spread() {
        let due = due_at(&account(Some(0), Some(28_800)), &POLICY).unwrap().as_second();
        assert!((28_800 * 65 / 100..=28_800 * 70 / 100).contains(&due), "{due}");
    }

    #[test]
    fn never_later_than_the_lead_unless_the_whole_life_is_shorter() {
        let hour = due_at(&account(Some(0), Some(3600)), &POLICY).unwrap().as_second();
        assert!(hour <= 1800, "{hour}");
        let short = due_at(&account(Some(0), Some(600)), &POLICY).unwrap().as_second();
        assert!((390..=420).contains(&short), "{short}");
    }

    #[test]
    fn an_unknown_birth_counts_back_from_the_end_and_an_unknown_end_is_due_at_once() {
        assert_eq!(due_at(&account(None, Some(7200)), &POLICY).unwrap().as_second(), 7200 - 1800);
        assert_eq!(due_at(&account(None, None), &POLICY), Some(Timestamp::MIN));
    }

    #[test]
    fn what_cannot_be_renewed_is_never_due() {
        let mut account = account(Some(0), Some(100));
        account.needs_login =
            Some(crate::account::NeedsLogin { since: Timestamp::UNIX_EPOCH, reason: String::new() });
        assert_eq!(due_at(&account, &POLICY), None);
    }

    #[test]
    fn stale_shortly_before_the_end() {
        let account = account(Some(0), Some(100));
        assert!(!is_stale(&account, Timestamp::from_second(69).unwrap()));
        assert!(is_stale(&account, Timestamp::from_second(70).unwrap()));
    }

    #[test]
    fn retries_wait_longer_each_time_up_to_a_limit_and_as_long_as_was_named() {
        let id = AccountId::derive("x", &[]);
        let wait = |strikes, named| retry_at(Timestamp::UNIX_EPOCH, strikes, named, &id).as_second();
        assert!((5..=6).contains(&wait(0, None)) && (10..=12).contains(&wait(1, None)));
        assert!((300..=375).contains(&wait(60, None)));
        assert_eq!(wait(0, Timestamp::from_second(1000).ok()), 1000);
    }
}
