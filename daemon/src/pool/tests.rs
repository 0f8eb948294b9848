//! The pool as its users see it.

use super::*;
use crate::account::{Credential, Document, OAuth};
use crate::clock::{ManualClock, SignedDuration};
use crate::secret::AccessToken;

fn account(name: &str) -> Account {
    let json = format!(r#"{{"access_token":"a","refresh_token":"r","account_uuid":"{name}"}}"#);
    let file = FileName::parse(&format!("claude-{name}.json")).unwrap();
    Document::parse(json.as_bytes()).unwrap().to_account(file).unwrap()
}

fn pool(names: &[&str]) -> (Pool, ManualClock) {
    let manual = ManualClock::at(Timestamp::UNIX_EPOCH);
    let pool = Pool::new(manual.clock());
    for name in names {
        pool.publish(account(name));
    }
    (pool, manual)
}

#[test]
fn requests_rotate_over_all_accounts() {
    let (pool, _) = pool(&["a", "b", "c"]);
    let mut seen: Vec<_> = (0..3).map(|_| pool.acquire("m", &[]).unwrap().account().id.clone()).collect();
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 3);
}

#[test]
fn a_request_never_gets_an_account_it_tried() {
    let (pool, _) = pool(&["a", "b"]);
    let first = pool.acquire("m", &[]).unwrap().account().id.clone();
    let second = pool.acquire("m", std::slice::from_ref(&first)).unwrap().account().id.clone();
    assert_ne!(first, second);
    assert_eq!(pool.acquire("m", &[first, second]).unwrap_err(), NoAccount::Exhausted);
}

#[test]
fn the_reason_for_nobody_is_told() {
    let (pool, manual) = pool(&[]);
    assert_eq!(pool.acquire("m", &[]).unwrap_err(), NoAccount::Empty);
    pool.publish(Account { disabled: true, ..account("a") });
    assert_eq!(
        pool.acquire("m", &[]).unwrap_err(),
        NoAccount::AllOut { disabled: 1, needs_login: 0, invalid: 0 }
    );
    pool.publish(account("a"));
    let until = Timestamp::from_second(60).unwrap();
    pool.acquire("m", &[]).unwrap().settle(&Signal::RateLimited { until: Some(until) });
    assert_eq!(pool.acquire("m", &[]).unwrap_err(), NoAccount::Cooling { until });
    manual.advance(SignedDuration::from_secs(60));
    assert!(pool.acquire("m", &[]).is_ok());
}

#[test]
fn health_survives_a_change_of_the_file() {
    let (pool, _) = pool(&["a"]);
    let until = Timestamp::from_second(60).unwrap();
    pool.acquire("m", &[]).unwrap().settle(&Signal::RateLimited { until: Some(until) });
    pool.publish(Account { label: Some("work".into()), ..account("a") });
    assert_eq!(pool.acquire("m", &[]).unwrap_err(), NoAccount::Cooling { until });
}

#[test]
fn leases_are_counted_while_they_live() {
    let (pool, _) = pool(&["a"]);
    let member = pool.get(&account("a").id).unwrap();
    let lease = pool.acquire("m", &[]).unwrap();
    let renewed = lease.renewed(Arc::clone(&member));
    assert_eq!(member.in_flight(), 2);
    drop((lease, renewed));
    assert_eq!(member.in_flight(), 0);
}

#[test]
fn a_stale_view_of_the_directory_changes_nothing() {
    let (pool, _) = pool(&["a"]);
    let seen = pool.snapshot();
    pool.publish(account("b"));
    assert_eq!(pool.reconcile(&seen, vec![account("a")], vec![]), Err(StaleView));
    assert_eq!(pool.snapshot().members.len(), 2);
}

#[test]
fn a_reconcile_tells_what_changed() {
    let (pool, _) = pool(&["a", "b"]);
    let changed = Account { label: Some("x".into()), ..account("b") };
    let broken = InvalidFile { file: FileName::parse("x.json").unwrap(), reason: "broken".into() };
    let changes =
        pool.reconcile(&pool.snapshot(), vec![changed.clone(), account("c")], vec![broken.clone()]).unwrap();
    let expected = Changes {
        added: vec![account("c").id],
        changed: vec![changed.id.clone()],
        removed: vec![account("a").id],
        invalid: vec![broken.clone()],
    };
    assert_eq!(changes, expected);
    let again = pool.reconcile(&pool.snapshot(), vec![changed, account("c")], vec![broken]).unwrap();
    assert_eq!(again, Changes::default());
}

#[test]
fn a_token_that_ended_and_cannot_be_renewed_needs_a_login() {
    let (pool, manual) = pool(&[]);
    let tokens = OAuth {
        access: AccessToken::new("a"),
        refresh: None,
        expires_at: Some(Timestamp::from_second(10).unwrap()),
    };
    pool.publish(Account { credential: Credential::OAuth(tokens), ..account("a") });
    assert!(pool.acquire("m", &[]).is_ok());
    manual.advance(SignedDuration::from_secs(10));
    assert_eq!(
        pool.acquire("m", &[]).unwrap_err(),
        NoAccount::AllOut { disabled: 0, needs_login: 1, invalid: 0 }
    );
}

#[test]
fn one_that_left_the_pool_is_not_put_back_by_its_refresh() {
    let (pool, _) = pool(&["a"]);
    pool.remove(&account("a").id);
    pool.replace(account("a"));
    assert_eq!(pool.snapshot().members.len(), 0);
}
