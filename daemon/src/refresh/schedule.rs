//! When a token is due. Pure: time is an argument, and the jitter comes from the account's id.

use sha2::{Digest, Sha256};

use crate::account::Account;
use crate::clock::{Moment, SignedDuration, Timestamp, after};
use crate::id::AccountId;
use crate::store::MOST_TRIES;

/// A token that ends sooner than this is not sent any more: it might end on the way.
const STALE_WITHIN: SignedDuration = SignedDuration::from_secs(30);
/// The share of a token's life after which it is due, in percent.
const DUE_AFTER_PERCENT: i64 = 70;
/// Before the access token's end a refresh token that may be spent is tried for the last time.
const LAST_TRY_LEAD: SignedDuration = SignedDuration::from_mins(2);
/// Waits between failed tries double from the first up to the longest.
const FIRST_RETRY_SECONDS: i64 = 5;
const LONGEST_RETRY_SECONDS: i64 = 300;
/// No issuer is believed to name a longer wait than this.
const LONGEST_NAMED: SignedDuration = SignedDuration::from_hours(24);

/// When tokens are refreshed.
#[derive(Clone, Debug)]
pub struct Policy {
    /// No later than this before the token's end, where its life is longer.
    pub lead: SignedDuration,
}

/// The time by which the account's access token is judged: the wall clock's, or what it was when the token was first
/// seen and how long that is ago, whichever is later. A wall clock that was set back makes no token live longer.
///
/// A token that says it was issued in the future was issued by a clock that is set back since: its life is counted
/// from then.
pub(super) fn judged_at(account: &Account, seen: Moment, now: Moment) -> Timestamp {
    let end = account.oauth().and_then(|tokens| tokens.expires_at);
    let issued = account.last_refresh.filter(|issued| end.is_some_and(|end| *issued < end));
    let start = issued.map_or(seen.wall, |issued| issued.max(seen.wall));
    after(start, now.boot.since(seen.boot)).max(now.wall)
}

/// When the account's token is due; `None` for one that cannot be refreshed. `tries` are the calls with its refresh
/// token of which nothing is known.
pub(super) fn due_at(account: &Account, policy: &Policy, tries: usize) -> Option<Timestamp> {
    account.renewable()?;
    if tries >= MOST_TRIES {
        // It is not asked any more, which is to be said at once.
        return Some(Timestamp::MIN);
    }
    let tokens = account.oauth()?;
    // A file that does not say when its token ends: find out by a refresh, but once.
    let Some(end) = tokens.expires_at else { return account.last_refresh.or(Some(Timestamp::MIN)) };
    if tries > 0 {
        // If the refresh token is spent, asking with it again ends the access token, too: let that serve first.
        return Some(after(end, -LAST_TRY_LEAD));
    }
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
pub(super) fn is_stale(account: &Account, judged_at: Timestamp) -> bool {
    let end = account.oauth().and_then(|tokens| tokens.expires_at);
    end.is_some_and(|end| after(judged_at, STALE_WITHIN) >= end)
}

/// How long to wait after `strikes` failures in a row: doubling, with jitter, and no less than the issuer named.
pub(super) fn retry_wait(strikes: u32, named: Option<SignedDuration>, id: &AccountId) -> SignedDuration {
    let seconds = FIRST_RETRY_SECONDS.saturating_mul(1 << strikes.min(16)).min(LONGEST_RETRY_SECONDS);
    let wait = SignedDuration::from_secs(seconds);
    let guessed = wait + share_of(wait / 4, id);
    named.map_or(guessed, |named| guessed.max(named.min(LONGEST_NAMED)))
}

/// A share of `whole` that is always the same for one account.
fn share_of(whole: SignedDuration, id: &AccountId) -> SignedDuration {
    let [byte, ..] = <[u8; 32]>::from(Sha256::digest(id.as_str()));
    whole.checked_mul(i32::from(byte)).map_or(SignedDuration::ZERO, |part| part / 256)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert, proptest};

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
        let due = due_at(&account(Some(0), Some(28_800)), &POLICY, 0).unwrap().as_second();
        assert!((28_800 * 65 / 100..=28_800 * 70 / 100).contains(&due), "{due}");
    }

    #[test]
    fn never_later_than_the_lead_unless_the_whole_life_is_shorter() {
        let hour = due_at(&account(Some(0), Some(3600)), &POLICY, 0).unwrap().as_second();
        assert!(hour <= 1800, "{hour}");
        let short = due_at(&account(Some(0), Some(600)), &POLICY, 0).unwrap().as_second();
        assert!((390..=420).contains(&short), "{short}");
    }

    #[test]
    fn an_unknown_birth_counts_back_from_the_end_and_an_unknown_end_is_due_at_once() {
        assert_eq!(due_at(&account(None, Some(7200)), &POLICY, 0).unwrap().as_second(), 7200 - 1800);
        assert_eq!(due_at(&account(None, None), &POLICY, 0), Some(Timestamp::MIN));
    }

    #[test]
    fn what_cannot_be_renewed_is_never_due() {
        let mut account = account(Some(0), Some(100));
        account.needs_login = Some(crate::account::NeedsLogin {
            since: Timestamp::UNIX_EPOCH,
            reason: String::new(),
            serving: false,
        });
        assert_eq!(due_at(&account, &POLICY, 0), None);
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
        let seconds = |named: i64| Some(SignedDuration::from_secs(named));
        let wait = |strikes, named| retry_wait(strikes, named, &id).as_secs();
        assert!((5..=6).contains(&wait(0, None)) && (10..=12).contains(&wait(1, None)));
        assert!((300..=375).contains(&wait(60, None)));
        assert_eq!(wait(0, seconds(1000)), 1000);
        assert_eq!(wait(0, seconds(i64::MAX)), 24 * 3600);
        assert!((5..=6).contains(&wait(0, seconds(-1000))));
    }

    #[test]
    fn a_token_that_may_be_spent_is_tried_when_the_access_token_has_served_and_never_a_third_time() {
        let account = account(Some(0), Some(28_800));
        assert_eq!(due_at(&account, &POLICY, 1).unwrap().as_second(), 28_800 - 120);
        assert_eq!(due_at(&account, &POLICY, 2), Some(Timestamp::MIN));
    }

    /// Both clocks, so many seconds after the start; the wall clock is set by so many.
    fn moment(passed: i64, set_by: i64) -> Moment {
        let manual = crate::clock::ManualClock::at(Timestamp::from_second(1_000_000 + set_by).unwrap());
        manual.advance(SignedDuration::from_secs(passed));
        manual.moment()
    }

    #[test]
    fn a_token_is_judged_by_the_clock_that_says_earlier_that_it_ends() {
        let start = 1_000_000;
        let account = account(Some(start), Some(start + 28_800));
        let judged = |now| judged_at(&account, moment(0, 0), now).as_second() - start;
        // As time goes, suspend or not.
        assert_eq!(judged(moment(600, 0)), 600);
        // Set back: as old as it is. Set forward: as old as the wall clock says. And back again.
        assert_eq!(judged(moment(600, -172_800)), 600);
        assert_eq!(judged(moment(600, 172_800)), 173_400);
        assert_eq!(judged(moment(700, 0)), 700);
    }

    #[test]
    fn a_token_that_was_issued_by_a_clock_that_is_set_back_since_lives_no_longer_for_it() {
        let start = 1_000_000;
        let account = account(Some(start + 172_800), Some(start + 172_800 + 28_800));
        let judged = judged_at(&account, moment(0, 0), moment(600, 0)).as_second();
        assert_eq!(judged, start + 172_800 + 600);
        // What was issued after its own end says nothing.
        let senseless = self::account(Some(start + 172_800), Some(start + 28_800));
        assert_eq!(judged_at(&senseless, moment(0, 0), moment(600, 0)).as_second(), start + 600);
    }

    proptest! {
        #[test]
        fn a_token_is_due_within_its_life_before_its_last_third_and_before_the_lead(
            issued in -1_000_000..1_000_000_000_i64, life in 60..400 * 86_400_i64, lead in 60..86_400_i64,
        ) {
            let policy = Policy { lead: SignedDuration::from_secs(lead) };
            let end = issued + life;
            let due = due_at(&account(Some(issued), Some(end)), &policy, 0).unwrap().as_second();
            prop_assert!(due >= issued && due <= issued + life * 7 / 10 + 1, "{due}");
            prop_assert!(lead >= life || due <= end - lead);
            prop_assert!(!is_stale(&account(Some(issued), Some(end)), Timestamp::from_second(due).unwrap()) || life < 120);
        }

        #[test]
        fn nonsense_in_a_file_is_due_or_not_and_never_a_panic(issued in any::<Option<i32>>(), end in any::<Option<i32>>(), tries in 0..4_usize) {
            let [issued, end] = [issued, end].map(|second| second.map(i64::from));
            let account = account(issued, end);
            let due = due_at(&account, &POLICY, tries);
            prop_assert!(due.is_some());
            prop_assert!(tries < MOST_TRIES || due == Some(Timestamp::MIN));
            let _stale = is_stale(&account, Timestamp::MAX);
        }

        #[test]
        fn a_retry_waits_at_least_its_first_time_and_never_for_days(strikes in any::<u32>(), named in any::<Option<i64>>()) {
            let id = AccountId::derive("x", &[]);
            let named = named.map(SignedDuration::from_secs);
            let wait = retry_wait(strikes, named, &id);
            prop_assert!(wait >= SignedDuration::from_secs(FIRST_RETRY_SECONDS) && wait <= LONGEST_NAMED);
            prop_assert!(named.is_none_or(|named| wait >= named.min(LONGEST_NAMED)));
        }
    }
}
