//! Who is next: tiers, guesses, named times, and each account's share.

use proptest::prelude::*;

use super::*;
use Standing::{Guessed, Named, Out, Ready};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn candidate(priority: i32, weight: u32, standing: Standing) -> Candidate {
    Candidate { tier: Tier { preferred: true, priority }, weight, standing, credit: 0 }
}

/// All of one priority and weight.
fn equals(standings: &[Standing]) -> Vec<Candidate> {
    standings.iter().map(|standing| candidate(0, 1, *standing)).collect()
}

/// Who serves `count` requests in a row.
fn turns(candidates: &mut [Candidate], count: usize) -> Vec<usize> {
    let next = |_| match select(candidates) {
        Choice::Use(index) => index,
        other => panic!("{other:?}"),
    };
    (0..count).map(next).collect()
}

fn served_by(turns: &[usize], index: usize) -> usize {
    turns.iter().filter(|turn| **turn == index).count()
}

#[test]
fn ready_accounts_take_turns_and_the_others_are_passed_over() {
    let mut candidates = equals(&[Ready, Out, Ready, Guessed(at(1)), Ready]);
    assert_eq!(turns(&mut candidates, 6), [0, 2, 4, 0, 2, 4]);
}

#[test]
fn heavier_accounts_serve_more_often_and_are_spread_over_the_run() {
    let mut candidates = [candidate(0, 3, Ready), candidate(0, 1, Ready)];
    assert_eq!(turns(&mut candidates, 8), [0, 0, 1, 0, 0, 0, 1, 0]);
}

#[test]
fn a_lower_priority_serves_only_when_no_higher_one_is_ready() {
    let mut candidates = [candidate(0, 100, Ready), candidate(5, 1, Ready), candidate(-1, 1, Ready)];
    assert_eq!(turns(&mut candidates, 3), [1, 1, 1]);
    candidates[1].standing = Out;
    assert_eq!(turns(&mut candidates, 3), [0, 0, 0]);
    candidates[0].standing = Named(at(9));
    assert_eq!(turns(&mut candidates, 1), [2]);
}

#[test]
fn a_ready_spare_comes_before_a_guessed_first_choice() {
    let mut candidates = [candidate(5, 1, Guessed(at(1))), candidate(0, 1, Ready)];
    assert_eq!(turns(&mut candidates, 2), [1, 1]);
}

#[test]
fn of_guessed_ones_the_priority_decides_and_then_who_is_due_back_first() {
    let mut candidates =
        [candidate(0, 1, Guessed(at(1))), candidate(5, 1, Guessed(at(9))), candidate(5, 1, Guessed(at(4)))];
    assert_eq!(select(&mut candidates), Choice::Use(2));
}

#[test]
fn a_guess_never_makes_the_pool_refuse() {
    assert_eq!(select(&mut equals(&[Guessed(at(9)), Named(at(1)), Guessed(at(5))])), Choice::Use(2));
    let mut candidates = [candidate(-9, 1, Guessed(at(9))), candidate(9, 1, Named(at(1)))];
    assert_eq!(select(&mut candidates), Choice::Use(0));
}

#[test]
fn named_times_alone_make_it_wait_for_the_first_of_any_priority() {
    let mut candidates = [candidate(5, 1, Named(at(9))), candidate(0, 1, Out), candidate(0, 1, Named(at(5)))];
    assert_eq!(select(&mut candidates), Choice::Until(at(5)));
    assert_eq!(select(&mut equals(&[Out, Out])), Choice::Nobody);
    assert_eq!(select(&mut []), Choice::Nobody);
}

#[test]
fn what_is_preferred_comes_before_any_priority() {
    let mut candidates = [candidate(9, 1, Ready), candidate(0, 1, Ready)];
    candidates[0].tier.preferred = false;
    assert_eq!(turns(&mut candidates, 2), [1, 1]);
}

#[test]
fn one_that_was_away_does_not_catch_up() {
    let mut candidates = equals(&[Ready, Named(at(9))]);
    turns(&mut candidates, 100);
    candidates[1].standing = Ready;
    assert_eq!(served_by(&turns(&mut candidates, 10), 1), 5);
}

fn weights() -> impl Strategy<Value = Vec<u32>> {
    prop::collection::vec(1_u32..=100, 1..8)
}

fn standing() -> impl Strategy<Value = Standing> {
    prop_oneof![
        Just(Ready),
        (0_i64..100).prop_map(|second| Guessed(at(second))),
        (0_i64..100).prop_map(|second| Named(at(second))),
        Just(Out),
    ]
}

fn candidates() -> impl Strategy<Value = Vec<Candidate>> {
    let one =
        (-2_i32..=2, 1_u32..=100, standing()).prop_map(|(tier, weight, at)| candidate(tier, weight, at));
    prop::collection::vec(one, 0..8)
}

proptest! {
    #[test]
    fn each_gets_its_share_of_every_run(weights in weights(), runs in 1_usize..3) {
        let mut candidates: Vec<_> = weights.iter().map(|weight| candidate(0, *weight, Ready)).collect();
        let run: usize = weights.iter().map(|weight| *weight as usize).sum();
        for _ in 0..runs {
            let turns = turns(&mut candidates, run);
            for (index, weight) in weights.iter().enumerate() {
                prop_assert_eq!(served_by(&turns, index), *weight as usize);
            }
        }
    }

    #[test]
    fn nobody_is_ever_a_whole_request_ahead_of_its_share(weights in weights(), requests in 1_usize..400) {
        let mut candidates: Vec<_> = weights.iter().map(|weight| candidate(0, *weight, Ready)).collect();
        let run: f64 = weights.iter().copied().map(f64::from).sum();
        let turns = turns(&mut candidates, requests);
        for (index, weight) in weights.iter().enumerate() {
            let fair = f64::from(u32::try_from(requests).unwrap()) * f64::from(*weight) / run;
            let served = f64::from(u32::try_from(served_by(&turns, index)).unwrap());
            prop_assert!(served < fair + 1.0, "{served} of {fair}");
        }
    }

    #[test]
    fn credits_stay_bounded_whoever_comes_and_goes(
        rounds in prop::collection::vec(prop::collection::vec(standing(), 4), 1..300),
        weights in prop::collection::vec(1_u32..=100, 4),
    ) {
        let mut candidates: Vec<_> = weights.iter().map(|weight| candidate(0, *weight, Ready)).collect();
        let run: i64 = weights.iter().copied().map(i64::from).sum();
        for standings in rounds {
            for (one, standing) in candidates.iter_mut().zip(standings) {
                one.standing = standing;
            }
            select(&mut candidates);
            prop_assert_eq!(candidates.iter().map(|one| one.credit).sum::<i64>(), 0);
            prop_assert!(candidates.iter().all(|one| one.credit.abs() <= 4 * run), "{:?}", candidates);
        }
    }

    #[test]
    fn it_refuses_only_when_upstream_or_a_person_said_so(mut candidates in candidates()) {
        let usable = candidates.iter().any(|one| matches!(one.standing, Ready | Guessed(_)));
        let before = candidates.clone();
        match select(&mut candidates) {
            Choice::Use(index) => {
                let chosen = before[index];
                prop_assert!(matches!(chosen.standing, Ready | Guessed(_)));
                let rivals = before.iter().filter(|one| one.standing == Ready);
                prop_assert!(rivals.clone().next().is_none() || chosen.standing == Ready);
                prop_assert!(chosen.standing != Ready || rivals.clone().all(|one| one.tier <= chosen.tier));
            }
            Choice::Until(_) | Choice::Nobody => prop_assert!(!usable),
        }
    }
}
