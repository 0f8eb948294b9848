//! The choice by a board is the choice among all, and costs the same for any number of accounts.

use super::super::{Config, Pool, Reach, Signal, acquire};
use super::*;
use crate::account::{Document, FileName};
use crate::clock::ManualClock;
use crate::pool::quota::{Reading, WindowKind};

fn pool(accounts: usize) -> (Pool, ManualClock) {
    let manual = ManualClock::at(Timestamp::from_second(1_000_000).unwrap());
    let pool = Pool::new(Config::default(), manual.clock());
    let account = |n: usize| {
        let json = format!(r#"{{"access_token":"t","refresh_token":"r","account_uuid":"{n}"}}"#);
        let document = Document::parse(json.as_bytes()).unwrap();
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
    let steps = |accounts: usize| {
        let (pool, manual) = pool(accounts);
        let steps = || pool.choosing.lock().unwrap().all[0].steps;
        let serve = |requests: u64| {
            for n in 0..requests {
                let lease = pool.acquire(&asked(n % 50)).unwrap();
                lease.observe(&[reading(0.4, manual.now())], None);
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
    let (hundred, ten_thousand) = (steps(100), steps(10_000));
    assert!(hundred <= 6 * IN_TURN && ten_thousand <= 6 * IN_TURN, "{hundred} {ten_thousand}");
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
fn who_has_missed_too_much_looks_at_everybody() {
    let mut heard = Heard::default();
    for number in 0..MOST_HEARD as u64 + 5 {
        heard.push(number);
    }
    assert!(heard.since(4).is_none());
    assert_eq!(heard.since(5).unwrap().count(), MOST_HEARD);
    assert_eq!(heard.since(heard.end()).unwrap().count(), 0);
}
