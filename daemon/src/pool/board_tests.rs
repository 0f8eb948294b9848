//! The choice by a board is the choice among all, and costs the same for any number of accounts.

use super::super::{Config, Pool, Reach, Signal, acquire};
use super::*;
use crate::account::{Document, FileName};
use crate::clock::ManualClock;
use crate::pool::quota::{Reading, WindowKind};

fn pool(accounts: usize) -> (Pool, ManualClock) {
    pool_of(accounts, |n| format!(r#"{{"access_token":"t","refresh_token":"r","account_uuid":"{n}"}}"#))
}

/// Of API keys.
fn keys(accounts: usize) -> (Pool, ManualClock) {
    pool_of(accounts, |n| format!(r#"{{"type":"claude","api_key":"sk-ant-api03-FAKE-{n}"}}"#))
}

fn pool_of(accounts: usize, file: impl Fn(usize) -> String) -> (Pool, ManualClock) {
    let manual = ManualClock::at(Timestamp::from_second(1_000_000).unwrap());
    let pool = Pool::new(Config::default(), manual.clock());
    let account = |n: usize| {
        let document = Document::parse(file(n).as_bytes()).unwrap();
        document.to_account(FileName::parse(&format!("claude-{n}.json")).unwrap()).unwrap()
    };
    let seen = pool.snapshot();
    pool.reconcile(&seen, (0..accounts).map(account).collect(), Vec::new()).unwrap();
    (pool, manual)
}

fn asked(conversation: u64) -> Asked<'static> {
    let affinity = AffinityKey::of("test", [conversation.to_be_bytes().as_slice()]);
    Asked { affinity: Some(affinity), ..Asked::messages("m") }
}

/// Whom the choice among all of them, looked at now, would take.
fn among_all(pool: &Pool, asked: &Asked<'_>, now: Timestamp) -> AccountId {
    let snapshot = pool.snapshot();
    let wanted = Wanted::read(asked.model, &snapshot.settings());
    let serving = snapshot.serving(&wanted, asked.accounts);
    let mut candidates = acquire::candidates(&serving, asked, now);
    match select::select(&mut candidates, Strategy::Quota, asked.affinity) {
        Choice::Use(index, _) => serving[index].0.account.id.clone(),
        other => panic!("{other:?}"),
    }
}

fn reading(used: f64, now: Timestamp) -> Reading {
    let resets_at = Some(after(now, SignedDuration::from_hours(2)));
    Reading { name: "5h".to_owned(), kind: WindowKind::Plan, used, resets_at }
}

#[test]
fn a_conversation_goes_where_it_would_go_if_everybody_were_looked_at() {
    for accounts in [1, 2, 10, 70, 300] {
        let (pool, manual) = pool(accounts);
        let mut open = Vec::new();
        for n in 0..600_u64 {
            // Conversations come back, some while they are served, and what is heard of the accounts differs.
            let asked = asked(n % 97);
            let expected = among_all(&pool, &asked, manual.now());
            let lease = pool.acquire(&asked).unwrap();
            assert_eq!(lease.account().id, expected, "{accounts} accounts, request {n}");
            match n % 11 {
                0 => lease.observe(&[reading(0.9, manual.now())], None),
                3 => lease.observe(&[reading(0.1, manual.now())], None),
                5 if accounts > 1 => lease.settle(&Signal::Overloaded),
                7 if accounts > 9 => {
                    let until = Some(after(manual.now(), SignedDuration::from_secs(20)));
                    lease.settle(&Signal::RateLimited { until, reach: Reach::Account });
                }
                _ => lease.settle(&Signal::Served),
            }
            if n % 2 == 0 {
                open.push(lease);
            }
            if open.len() > 40 {
                open.drain(..20);
            }
            manual.advance(SignedDuration::from_millis(700));
        }
    }
}

#[test]
fn a_request_takes_as_many_steps_among_ten_thousand_accounts_as_among_a_hundred() {
    let steps = |(pool, manual): (Pool, ManualClock), kind: WindowKind| {
        let steps = || pool.choosing.lock().unwrap().all[0].steps;
        let serve = |requests: u64| {
            for n in 0..requests {
                let lease = pool.acquire(&asked(n % 50)).unwrap();
                lease.observe(&[Reading { kind, ..reading(0.4, manual.now()) }], Some("one organization"));
                lease.settle(&Signal::Served);
                manual.advance(SignedDuration::from_millis(1));
            }
        };
        // The first answer of each account tells what is usual.
        serve(60);
        let before = steps();
        serve(10_000);
        (steps() - before) / 10_000
    };
    for accounts in [100, 10_000] {
        let logins = steps(pool(accounts), WindowKind::Plan);
        // What one of them is told is so for all of them.
        let keys = steps(keys(accounts), WindowKind::Bucket);
        assert!(logins <= IN_TURN && keys <= IN_TURN, "{accounts}: {logins} {keys}");
    }
}

#[test]
fn accounts_are_looked_at_in_turn_and_not_with_each_choice() {
    let (pool, manual) = pool(10);
    let choose = || {
        let steps = || pool.choosing.lock().unwrap().all.first().map_or(0, |board| board.steps);
        let before = steps();
        drop(pool.acquire(&asked(1)).unwrap());
        steps() - before
    };
    assert!(choose() >= 10);
    assert_eq!((choose(), choose()), (0, 0));
    manual.advance(TURN);
    assert_eq!((choose(), choose()), (10, 0));
    // Nobody is forgotten until a clock that was put back is where it was.
    manual.set_by(-SignedDuration::from_millis(500));
    assert_eq!((choose(), choose()), (10, 0));
}

#[test]
fn keys_of_one_organization_know_at_once_what_one_of_them_was_told() {
    let (pool, manual) = keys(3);
    let bucket = |used: f64| Reading {
        kind: WindowKind::Bucket,
        name: "tokens".to_owned(),
        ..reading(used, manual.now())
    };
    let used = |place: usize| {
        let known = pool.snapshot().members[place].known();
        known.quota.windows().iter().map(|window| window.used).collect::<Vec<_>>()
    };
    let lease = |place: usize| {
        let accounts = [pool.snapshot().members[place].account.id.clone()];
        pool.acquire(&Asked { accounts: &accounts, ..Asked::messages("m") }).unwrap()
    };
    // Nobody knows yet whose the keys are.
    lease(0).observe(&[bucket(0.5)], Some("a"));
    assert_eq!((used(0), used(1)), (vec![0.5], vec![]));
    lease(1).observe(&[], Some("a"));
    assert_eq!(used(1), [0.5]);
    lease(1).observe(&[bucket(0.6)], Some("a"));
    lease(2).observe(&[bucket(0.1)], Some("b"));
    assert_eq!((used(0), used(1), used(2)), (vec![0.6], vec![0.6], vec![0.1]));
    lease(0).observe(&[bucket(0.7)], Some("a"));
    assert_eq!((used(0), used(1), used(2)), (vec![0.7], vec![0.7], vec![0.1]));
    // It is known after a restart, each bucket once.
    let next = Pool::new(Config::default(), manual.clock());
    next.remember(pool.memory());
    for member in &pool.snapshot().members {
        next.publish(member.account.clone());
    }
    let known = next.snapshot().members.iter().map(|member| member.known().quota).collect::<Vec<_>>();
    assert_eq!(known, pool.snapshot().members.iter().map(|member| member.known().quota).collect::<Vec<_>>());
    // One that becomes another organization's takes nothing along.
    lease(1).observe(&[bucket(0.2)], Some("b"));
    assert_eq!((used(0), used(1), used(2)), (vec![0.7], vec![0.2], vec![0.2]));
    lease(0).observe(&[bucket(0.8)], Some("a"));
    assert_eq!((used(0), used(1), used(2)), (vec![0.8], vec![0.2], vec![0.2]));
}

#[test]
fn who_is_back_is_chosen_again_at_once_though_nothing_is_heard() {
    let (pool, manual) = pool(200);
    let owner = pool.acquire(&asked(7)).unwrap();
    let id = owner.account().id.clone();
    let until = after(manual.now(), SignedDuration::from_secs(60));
    owner.settle(&Signal::RateLimited { until: Some(until), reach: Reach::Account });
    drop(owner);
    assert_ne!(pool.acquire(&asked(7)).unwrap().account().id, id);
    manual.advance(SignedDuration::from_secs(60));
    assert_eq!(pool.acquire(&asked(7)).unwrap().account().id, id);
}

#[test]
fn what_a_key_was_told_before_anybody_said_whose_it_is_goes_along() {
    let (pool, manual) = keys(1);
    let bucket = |name: &str, used: f64| {
        let (name, kind) = (name.to_owned(), WindowKind::Bucket);
        Reading { name, kind, ..reading(used, manual.now()) }
    };
    let lease = pool.acquire(&asked(0)).unwrap();
    lease.observe(&[bucket("tokens", 0.5), bucket("requests", 0.3)], None);
    lease.observe(&[bucket("tokens", 0.6)], Some("a"));
    let known = pool.snapshot().members[0].known();
    let mut used: Vec<_> = known.quota.windows().iter().map(|window| window.used).collect();
    used.sort_by(f64::total_cmp);
    assert_eq!(used, [0.3, 0.6]);
}
