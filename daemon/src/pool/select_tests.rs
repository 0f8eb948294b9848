//! Who is next: tiers, guesses, named times, and each account's share.

use proptest::prelude::{Just, Strategy, any, prop, prop_assert, prop_assert_eq, prop_oneof, proptest};

use super::Strategy as Way;
use super::*;
use Standing::{Guessed, Named, Out, Ready};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn candidate(priority: i32, weight: u32, standing: Standing) -> Candidate {
    let tier = Tier { preferred: true, priority };
    Candidate { tier, weight, standing, pace: Some(1.0), load: 0, number: 0, limit: 0, credit: 0 }
}

/// Gives each a number and a limit of its own.
fn numbered(mut candidates: Vec<Candidate>) -> Vec<Candidate> {
    for (number, one) in (1..).zip(&mut candidates) {
        (one.number, one.limit) = (number, number);
    }
    candidates
}

fn key(n: u64) -> AffinityKey {
    AffinityKey::of("test", [n.to_be_bytes().as_slice()])
}

/// By weight and without a conversation.
fn weighted(candidates: &mut [Candidate]) -> Choice {
    // Each behind a limit of its own.
    for (number, one) in (1..).zip(candidates.iter_mut()) {
        one.limit = number;
    }
    select(candidates, Way::Weighted, None)
}

fn chosen(choice: Choice) -> usize {
    match choice {
        Choice::Use(index, _) => index,
        other => panic!("{other:?}"),
    }
}

/// All of one priority and weight.
fn equals(standings: &[Standing]) -> Vec<Candidate> {
    standings.iter().map(|standing| candidate(0, 1, *standing)).collect()
}

/// Who serves `count` requests in a row.
fn turns(candidates: &mut [Candidate], count: usize) -> Vec<usize> {
    (0..count).map(|_| chosen(weighted(candidates))).collect()
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
fn an_account_does_not_share_its_turns_with_one_that_is_out() {
    // The first two are behind one limit, and the second is disabled.
    let mut candidates = numbered(equals(&[Ready, Out, Ready]));
    candidates[1].limit = candidates[0].limit;
    let turns: Vec<_> = (0..6).map(|_| chosen(select(&mut candidates, Way::Quota, None))).collect();
    assert_eq!((served_by(&turns, 0), served_by(&turns, 2)), (3, 3));
}

#[test]
fn an_account_is_not_called_the_only_ready_one_where_others_have_nothing_left() {
    let mut candidates = numbered(equals(&[Ready, Ready]));
    candidates[1].pace = Some(0.0);
    for key in [None, Some(key(1)), Some(key(2))] {
        let Choice::Use(index, why) = select(&mut candidates, Way::Quota, key) else { panic!() };
        assert_eq!(index, 0);
        assert_ne!(why, Why::OnlyReady);
    }
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
    assert_eq!(weighted(&mut candidates), Choice::Use(2, Why::LeastDoubtful));
}

#[test]
fn a_guess_never_makes_the_pool_refuse() {
    assert_eq!(
        weighted(&mut equals(&[Guessed(at(9)), Named(at(1)), Guessed(at(5))])),
        Choice::Use(2, Why::LeastDoubtful)
    );
    let mut candidates = [candidate(-9, 1, Guessed(at(9))), candidate(9, 1, Named(at(1)))];
    assert_eq!(weighted(&mut candidates), Choice::Use(0, Why::LeastDoubtful));
}

#[test]
fn named_times_alone_make_it_wait_for_the_first_of_any_priority() {
    let mut candidates = [candidate(5, 1, Named(at(9))), candidate(0, 1, Out), candidate(0, 1, Named(at(5)))];
    assert_eq!(weighted(&mut candidates), Choice::Until(at(5)));
    assert_eq!(weighted(&mut equals(&[Out, Out])), Choice::Nobody);
    assert_eq!(weighted(&mut []), Choice::Nobody);
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
        let run: i64 = 840 * weights.iter().copied().map(i64::from).sum::<i64>();
        for standings in rounds {
            for (one, standing) in candidates.iter_mut().zip(standings) {
                one.standing = standing;
            }
            weighted(&mut candidates);
            prop_assert_eq!(candidates.iter().map(|one| one.credit).sum::<i64>(), 0);
            prop_assert!(candidates.iter().all(|one| one.credit.abs() <= 4 * run), "{:?}", candidates);
        }
    }

    #[test]
    fn it_refuses_only_when_upstream_or_a_person_said_so(mut candidates in candidates()) {
        let usable = candidates.iter().any(|one| matches!(one.standing, Ready | Guessed(_)));
        let before = candidates.clone();
        match weighted(&mut candidates) {
            Choice::Use(index, _) => {
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

fn equal(count: usize) -> Vec<Candidate> {
    numbered(equals(&vec![Ready; count]))
}

/// How many of `count` conversations each candidate gets, with nothing in flight.
fn conversations(candidates: &mut [Candidate], strategy: Way, count: u64) -> Vec<usize> {
    let mut got = vec![0; candidates.len()];
    for n in 0..count {
        got[chosen(select(candidates, strategy, Some(key(n))))] += 1;
    }
    got
}

#[test]
fn a_conversation_stays_where_it_is_and_each_gets_its_share_of_them() {
    let mut candidates = equal(4);
    for n in 0..100 {
        let choice = select(&mut candidates, Way::Quota, Some(key(n)));
        assert!(matches!(choice, Choice::Use(_, Why::Conversation)));
        assert!((0..3).all(|_| select(&mut candidates, Way::Quota, Some(key(n))) == choice));
    }
    let got = conversations(&mut candidates, Way::Quota, 4000);
    assert!(got.iter().all(|got| got.abs_diff(1000) < 150), "{got:?}");
}

#[test]
fn conversations_go_by_weight_pace_or_evenly_as_the_strategy_says() {
    let mut candidates = equal(2);
    (candidates[1].weight, candidates[1].pace) = (3, Some(4.0));
    for (strategy, expected) in
        [(Way::RoundRobin, 2000), (Way::Weighted, 3000), (Way::Quota, 3692), (Way::FillFirst, 4000)]
    {
        let got = conversations(&mut candidates, strategy, 4000)[1];
        assert!(got.abs_diff(expected) < 150, "{strategy:?}: {got}");
    }
}

#[test]
fn small_changes_of_the_pace_move_nothing_and_an_empty_window_gets_nothing() {
    let mut candidates = equal(3);
    let homes = |candidates: &mut [Candidate]| -> Vec<usize> {
        (0..200).map(|n| chosen(select(candidates, Way::Quota, Some(key(n))))).collect()
    };
    let before = homes(&mut candidates);
    for (one, pace) in candidates.iter_mut().zip([0.8, 1.3, 1.0]) {
        one.pace = Some(pace);
    }
    assert_eq!(homes(&mut candidates), before);
    candidates[0].pace = Some(0.0);
    let after = homes(&mut candidates);
    assert!(!after.contains(&0));
    assert!(before.iter().zip(&after).all(|(before, after)| before == after || *before == 0));
    // Where nobody has anything left, it is no reason to refuse.
    for one in &mut candidates {
        one.pace = Some(0.0);
    }
    assert_eq!(homes(&mut candidates), before);
}

#[test]
fn those_of_whom_nothing_is_known_are_taken_to_be_as_the_others() {
    let mut candidates = equal(4);
    for (one, pace) in candidates.iter_mut().zip([Some(0.4), None, Some(3.0), Some(0.6)]) {
        one.pace = pace;
    }
    assume_usual_pace(&mut candidates);
    assert_eq!(candidates[1].pace, Some(0.6));
    let mut candidates = equal(2);
    for one in &mut candidates {
        one.pace = None;
    }
    assume_usual_pace(&mut candidates);
    assert_eq!(candidates[0].pace, Some(1.0));
}

#[test]
fn a_burst_of_one_conversation_spreads_and_comes_back() {
    let mut candidates = equal(5);
    let home = chosen(select(&mut candidates, Way::Quota, Some(key(7))));
    for n in 0..50 {
        let index = chosen(select(&mut candidates, Way::Quota, Some(key(7))));
        assert!(n > 1 || index == home);
        candidates[index].load += 1;
    }
    let loads: Vec<_> = candidates.iter().map(|one| one.load).collect();
    // Each may carry a quarter more than its fifth.
    assert!(loads.iter().all(|load| *load <= 13) && loads.iter().sum::<u32>() == 50, "{loads:?}");
    for one in &mut candidates {
        one.load = 0;
    }
    assert_eq!(select(&mut candidates, Way::Quota, Some(key(7))), Choice::Use(home, Why::Conversation));
}

#[test]
fn without_a_conversation_the_most_quota_for_each_request_in_flight_decides() {
    let mut candidates = equal(3);
    for (one, pace) in candidates.iter_mut().zip([1.0, 4.0, 0.5]) {
        one.pace = Some(pace);
    }
    let mut got = [0; 3];
    for _ in 0..11 {
        let index = chosen(select(&mut candidates, Way::Quota, None));
        candidates[index].load += 1;
        got[index] += 1;
    }
    assert_eq!(got, [2, 8, 1]);
    candidates[1].standing = Named(at(9));
    for one in &mut candidates {
        one.load = 0;
    }
    assert_eq!(select(&mut candidates, Way::Quota, None), Choice::Use(0, Why::MostQuota));
}

#[test]
fn keys_of_one_organization_add_no_share() {
    let mut candidates = equal(3);
    candidates[1].limit = candidates[0].limit;
    for strategy in [Way::Quota, Way::RoundRobin, Way::Weighted] {
        let got = conversations(&mut candidates, strategy, 4000);
        assert!(got[2].abs_diff(2000) < 150 && got[0].abs_diff(1000) < 150, "{strategy:?}: {got:?}");
    }
    let mut turns = [0; 3];
    for _ in 0..8 {
        turns[chosen(select(&mut candidates, Way::RoundRobin, None))] += 1;
    }
    assert_eq!(turns, [2, 2, 4]);
    // What one key of it carries counts against the other, too.
    candidates[0].load = 3;
    assert_eq!(select(&mut candidates, Way::Quota, None), Choice::Use(2, Why::MostQuota));
}

#[test]
fn fill_first_takes_the_heaviest_then_the_first_as_long_as_it_is_ready() {
    let mut candidates = equal(3);
    candidates[1].weight = 2;
    for (index, then) in [(1, 0), (0, 2)] {
        for key in [None, Some(key(1)), Some(key(2))] {
            assert_eq!(chosen(select(&mut candidates, Way::FillFirst, key)), index);
        }
        candidates[index].standing = Named(at(9));
        assert_eq!(chosen(select(&mut candidates, Way::FillFirst, None)), then);
    }
}

fn way() -> impl Strategy<Value = Way> {
    prop_oneof![Just(Way::Quota), Just(Way::RoundRobin), Just(Way::Weighted), Just(Way::FillFirst)]
}

proptest! {
    #[test]
    fn whatever_the_strategy_the_choice_is_a_ready_one_of_the_highest_priority(
        candidates in candidates(), way in way(), number in any::<Option<u64>>(),
        paces in prop::collection::vec((0.0..16.0_f64, 0..50_u32), 8),
    ) {
        let mut candidates = numbered(candidates);
        for (one, (pace, load)) in candidates.iter_mut().zip(paces) {
            (one.pace, one.load) = (Some(pace), load);
        }
        let key = number.map(key);
        let best = candidates.iter().filter(|one| one.standing == Ready).map(|one| one.tier).max();
        if let Choice::Use(index, _) = select(&mut candidates, way, key) {
            let one = candidates[index];
            prop_assert!(best.is_none_or(|best| one.standing == Ready && one.tier == best));
        } else {
            prop_assert!(candidates.iter().all(|one| matches!(one.standing, Named(_) | Out)));
        }
    }
}
