//! Keys that requests wait for, with real waits that are short and a wall clock that is set by hand where it matters.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use super::*;
use crate::clock::{ManualClock, SignedDuration};

fn key(rules: Rules, clock: Clock) -> Arc<Key> {
    let entry = Entry {
        name: "ci".to_owned(),
        hash: KeyHash([7; 32]),
        created_at: Timestamp::UNIX_EPOCH,
        expires_at: None,
        last_used_at: None,
        rules,
        rest: Rest::default(),
    };
    Arc::new(Key::new(entry, clock))
}

fn manual() -> ManualClock {
    ManualClock::at("2026-11-27T10:00:00Z".parse().unwrap())
}

const LONG: SignedDuration = SignedDuration::from_mins(10);

#[tokio::test]
async fn without_waiting_a_limit_refuses_with_its_time() {
    let manual = manual();
    let key = key(Rules { rpm: Some(1), ..Rules::default() }, manual.clock());
    let permit = key.admit().await.unwrap();
    let limited = key.admit().await.unwrap_err();
    let expected =
        Limited { limit: Limit::Requests(1), retry_at: Some("2026-11-27T10:01:00Z".parse().unwrap()) };
    assert_eq!(limited, expected);
    assert_eq!(limited.to_string(), "this key's limit of 1 request per minute is reached");
    // Whatever the wall clock is set to, the time is a minute away.
    manual.set_by(SignedDuration::from_hours(5));
    assert_eq!(key.admit().await.unwrap_err().retry_at, Some("2026-11-27T15:01:00Z".parse().unwrap()));
    manual.advance(SignedDuration::from_mins(1));
    drop(permit);
    let counts = key.counts();
    assert_eq!((counts.requests, counts.refused, counts.running), (1, 2, 0));
    assert!(key.admit().await.is_ok());
    assert_eq!(key.last_used_at(), Some("2026-11-27T15:01:00Z".parse().unwrap()));
}

#[tokio::test]
async fn a_place_is_free_again_when_its_permit_is_dropped() {
    let key = key(Rules { concurrency: Some(1), ..Rules::default() }, Clock::system());
    let permit = key.admit().await.unwrap();
    let limited = key.admit().await.unwrap_err();
    assert_eq!(limited, Limited { limit: Limit::Concurrency(1), retry_at: None });
    drop(permit);
    assert!(key.admit().await.is_ok());
}

#[tokio::test]
async fn tokens_are_charged_after_the_fact() {
    let manual = manual();
    let key = key(Rules { tpm: Some(60), ..Rules::default() }, manual.clock());
    key.admit().await.unwrap().charge(120);
    assert_eq!(
        key.admit().await.unwrap_err(),
        Limited { limit: Limit::Tokens(60), retry_at: Some("2026-11-27T10:01:01Z".parse().unwrap()) }
    );
    manual.advance(SignedDuration::from_secs(61));
    assert!(key.admit().await.is_ok());
    assert_eq!(key.counts().tokens, 120);
}

/// Polls once: whether it is done.
fn is_ready<F: Future>(future: std::pin::Pin<&mut F>) -> bool {
    matches!(future.poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(_))
}

#[tokio::test]
async fn places_go_to_those_who_wait_in_their_order() {
    let key = key(Rules { concurrency: Some(1), wait: LONG, ..Rules::default() }, Clock::system());
    let permit = key.admit().await.unwrap();
    let (mut first, mut second, mut third) =
        (pin!(key.admit()), pin!(key.admit()), pin!(Box::pin(key.admit())));
    for waits in [first.as_mut(), second.as_mut()] {
        assert!(!is_ready(waits));
    }
    assert!(!is_ready(third.as_mut()));
    assert_eq!(key.counts().waiting, 3);
    drop(permit);
    assert!(!is_ready(third.as_mut()) && !is_ready(second.as_mut()), "the first has not been asked yet");
    let permit = first.await.unwrap();
    assert!(!is_ready(third.as_mut()) && !is_ready(second.as_mut()));
    drop(permit);
    let permit = second.await.unwrap();
    // Whoever leaves the line makes room for those behind.
    let mut fourth = pin!(key.admit());
    assert!(!is_ready(fourth.as_mut()));
    third.set(Box::pin(key.admit()));
    assert_eq!(key.counts().waiting, 1);
    drop(permit);
    fourth.await.unwrap();
}

#[tokio::test]
async fn who_waits_is_admitted_when_the_time_has_come() {
    // Fifty milliseconds each, once a minute's worth is used up.
    let key = key(Rules { rpm: Some(1_200), wait: LONG, ..Rules::default() }, Clock::system());
    for _ in 0..1_200 {
        key.admit().await.unwrap();
    }
    let before = Clock::system().moment().boot;
    let (one, two) = tokio::join!(key.admit(), key.admit());
    assert!(one.is_ok() && two.is_ok());
    assert!(Clock::system().moment().boot.since(before) >= SignedDuration::from_millis(50));
    assert_eq!(key.counts().requests, 1_202);
}

#[tokio::test]
async fn a_wait_ends_when_it_has_lasted_too_long() {
    let wait = SignedDuration::from_millis(20);
    let key = key(Rules { concurrency: Some(1), wait, ..Rules::default() }, Clock::system());
    let permit = key.admit().await.unwrap();
    let limited = key.admit().await.unwrap_err();
    assert_eq!(limited, Limited { limit: Limit::Concurrency(1), retry_at: None });
    assert_eq!((key.counts().waiting, key.counts().refused), (0, 1));
    drop(permit);
}

#[tokio::test]
async fn a_charge_that_makes_it_too_late_ends_the_wait() {
    let manual = manual();
    let rules = Rules { tpm: Some(60), concurrency: Some(1), wait: LONG, ..Rules::default() };
    let key = key(rules, manual.clock());
    let permit = key.admit().await.unwrap();
    let mut waits = pin!(key.admit());
    assert!(!is_ready(waits.as_mut()));
    permit.charge(60 + 601);
    drop(permit);
    assert_eq!(waits.await.unwrap_err().limit, Limit::Tokens(60));
}

#[tokio::test]
async fn revoked_keys_let_nobody_in_who_waits_and_let_finish_what_runs() {
    let key = key(Rules { concurrency: Some(1), wait: LONG, ..Rules::default() }, Clock::system());
    let permit = key.admit().await.unwrap();
    let (mut first, mut second) = (pin!(key.admit()), pin!(key.admit()));
    assert!(!is_ready(first.as_mut()) && !is_ready(second.as_mut()));
    key.revoke();
    let ended = Limited { limit: Limit::Ended, retry_at: None };
    assert_eq!((first.await.unwrap_err(), second.await.unwrap_err()), (ended, ended));
    assert_eq!(key.admit().await.unwrap_err(), ended);
    permit.charge(5);
    drop(permit);
    assert_eq!(key.counts().running, 0);
}
