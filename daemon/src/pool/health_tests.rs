//! What each answer does to an account, as a table, and what holds for every sequence of answers.

use proptest::prelude::*;

use super::*;
use Endpoint::{Batches, Files, Messages};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn limited(until: i64, reach: Reach) -> Signal {
    Signal::RateLimited { until: Some(at(until)), reach }
}

fn throttled() -> Signal {
    Signal::RateLimited { until: None, reach: Reach::Model }
}

fn refused() -> Signal {
    Signal::Refused { status: 403, words: "not allowed".to_owned() }
}

/// After these answers to requests for model `m` at second 0.
fn health(signals: &[Signal]) -> Health {
    let mut health = Health::default();
    for signal in signals {
        health.apply(signal, "m", Messages, at(0));
    }
    health
}

#[test]
fn each_answer_does_what_the_table_says() {
    use Standing::{Guessed, Named, Ready};
    // The signal; then what it does to the same model, another model, and another endpoint.
    let cases = [
        (Signal::Served, [Ready; 3]),
        (Signal::ClientFault, [Ready; 3]),
        (limited(100, Reach::Account), [Named(at(100)); 3]),
        (limited(100, Reach::Model), [Named(at(100)), Guessed(at(100)), Ready]),
        (throttled(), [Guessed(at(1)), Ready, Ready]),
        (Signal::SpendLimit, [Named(at(86_400)); 3]),
        (Signal::Overloaded, [Guessed(at(1)), Ready, Ready]),
        (Signal::Unreachable, [Guessed(at(1)); 3]),
        (refused(), [Guessed(at(30)); 3]),
        (Signal::NoSuchModel, [Guessed(at(600)), Ready, Ready]),
    ];
    for (signal, expected) in cases {
        let health = health(std::slice::from_ref(&signal));
        let standings = [("m", Messages), ("other", Messages), ("m", Files)]
            .map(|(model, endpoint)| health.standing(model, endpoint, at(0)));
        assert_eq!(standings, expected, "{signal:?}");
    }
}

#[test]
fn a_limit_that_was_told_while_the_clock_was_ahead_is_forgotten_when_it_is_put_right() {
    let ahead = 10 * 365 * 86_400;
    for (reach, signal) in [
        (Reach::Account, limited(ahead + 30, Reach::Account)),
        (Reach::Model, limited(ahead + 30, Reach::Model)),
        (Reach::Account, Signal::SpendLimit),
    ] {
        let mut health = Health::default();
        health.apply(&signal, "m", Messages, at(ahead));
        assert!(matches!(health.standing("m", Messages, at(ahead)), Standing::Named(_)));
        assert!(matches!(health.standing("m", Messages, at(ahead - 20)), Standing::Named(_)));
        assert_eq!(health.standing("m", Messages, at(0)), Standing::Ready);
        // What is told now counts, although it ends sooner.
        health.apply(&limited(60, reach), "m", Messages, at(0));
        assert_eq!(health.standing("m", Messages, at(1)), Standing::Named(at(60)));
        assert_eq!(health.standing("m", Messages, at(60)), Standing::Ready);
    }
    let mut health = Health::default();
    health.apply(&refused(), "m", Messages, at(ahead));
    assert_eq!(health.standing("m", Messages, at(0)), Standing::Ready, "nor does a guess last for ten years");
}

#[test]
fn a_limit_is_remembered_however_many_models_are_made_up() {
    let mut health = Health::default();
    for n in 0..100 {
        health.apply(&Signal::NoSuchModel, &format!("made-up-{n}"), Messages, at(0));
    }
    health.apply(&limited(100, Reach::Model), "m", Messages, at(0));
    assert_eq!(health.standing("m", Messages, at(1)), Standing::Named(at(100)));
    assert!(health.scopes.len() <= MOST_SCOPES);
    for n in 0..100 {
        health.apply(&limited(200, Reach::Model), &format!("other-{n}"), Messages, at(0));
    }
    assert_eq!(health.standing("m", Messages, at(1)), Standing::Named(at(100)), "the first ones stay");
    assert!(health.scopes.len() <= MOST_SCOPES);
}

#[test]
fn a_limit_is_not_shortened_by_success_or_by_a_sooner_one() {
    let health = health(&[limited(100, Reach::Model), limited(50, Reach::Model), Signal::Served]);
    assert_eq!(health.standing("m", Messages, at(99)), Standing::Named(at(100)));
    assert_eq!(health.standing("m", Messages, at(100)), Standing::Ready);
}

#[test]
fn doubts_grow_are_capped_and_are_forgotten_on_success() {
    for (signal, first, most) in [
        (throttled(), 1, 60),
        (Signal::Overloaded, 1, 30),
        (Signal::Unreachable, 1, 30),
        (refused(), 30, 600),
    ] {
        let mut health = Health::default();
        let mut wait = || {
            health.apply(&signal, "m", Messages, at(0));
            match health.standing("m", Messages, at(0)) {
                Standing::Guessed(until) => until.as_second(),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!([wait(), wait(), wait()], [first, first * 2, first * 4], "{signal:?}");
        assert_eq!((0..100).map(|_| wait()).last(), Some(most), "{signal:?}");
        health.apply(&Signal::Served, "m", Messages, at(0));
        assert_eq!(health.standing("m", Messages, at(0)), Standing::Ready, "{signal:?}");
    }
}

#[test]
fn success_with_one_model_says_nothing_of_another() {
    let mut health = health(&[Signal::NoSuchModel, Signal::Unreachable]);
    health.apply(&Signal::Served, "other", Messages, at(1));
    assert_eq!(health.standing("m", Messages, at(1)), Standing::Guessed(at(600)));
    assert_eq!(health.standing("other", Messages, at(1)), Standing::Ready);
}

#[test]
fn a_change_by_a_person_lifts_what_only_that_can_mend() {
    let mut health = health(&[Signal::SpendLimit, refused()]);
    health.changed();
    assert_eq!(health.standing("m", Messages, at(0)), Standing::Ready);
    health.apply(&limited(100, Reach::Account), "m", Messages, at(0));
    health.changed();
    assert_eq!(health.standing("m", Messages, at(0)), Standing::Named(at(100)));
}

#[test]
fn what_it_says_to_a_person_is_whole_and_short() {
    let long = Signal::Refused { status: 403, words: "é".repeat(1000) };
    let health = health(&[limited(100, Reach::Model), long]);
    let told: Vec<_> =
        health.limits(at(0)).map(|limit| (limit.scope.map(ToString::to_string), limit.until)).collect();
    assert_eq!(told, [(Some("m".to_owned()), at(100))]);
    let words = health.doubts(at(0)).next().unwrap().cause.to_string();
    assert!(words.starts_with("upstream refuses it (403): é") && words.chars().count() < 250, "{words}");
    let scope = Scope { model: String::new(), endpoint: Batches };
    assert_eq!(scope.to_string(), "batches");
}

#[test]
fn made_up_model_names_take_no_memory_without_bound() {
    let mut health = Health::default();
    for n in 0..1000 {
        health.apply(&limited(100, Reach::Model), &format!("m{n}"), Messages, at(0));
    }
    assert_eq!(health.scopes.len(), MOST_SCOPES);
    health.apply(&limited(300, Reach::Model), &"m".repeat(LONGEST_MODEL + 1), Messages, at(200));
    health.apply(&limited(300, Reach::Model), "late", Messages, at(200));
    assert_eq!(health.scopes.len(), 1);
}

fn any_signal() -> impl Strategy<Value = Signal> {
    prop_oneof![
        Just(Signal::Served),
        Just(Signal::ClientFault),
        (0..5000_i64).prop_map(|until| limited(until, Reach::Model)),
        (0..5000_i64).prop_map(|until| limited(until, Reach::Account)),
        Just(throttled()),
        Just(Signal::SpendLimit),
        Just(Signal::Overloaded),
        Just(Signal::Unreachable),
        Just(refused()),
        Just(Signal::NoSuchModel),
    ]
}

proptest! {
    #[test]
    fn only_what_upstream_said_makes_an_account_unusable(
        signals in proptest::collection::vec((any_signal(), "[ab]", 0..100_i64), 0..30),
    ) {
        let (mut health, mut now) = (Health::default(), 0);
        let mut said = 0;
        for (signal, model, passed) in &signals {
            now += passed;
            health.apply(signal, model, Messages, at(now));
            match signal {
                Signal::RateLimited { until: Some(until), .. } => said = said.max(until.as_second()),
                Signal::SpendLimit => said = said.max(now + 86_400),
                _ => {}
            }
        }
        for model in ["a", "b", "c"] {
            if let Standing::Named(until) = health.standing(model, Messages, at(now)) {
                prop_assert!(until.as_second() <= said);
            }
            prop_assert_eq!(health.standing(model, Messages, at(said.max(now + 3600))), Standing::Ready);
        }
    }

    #[test]
    fn it_comes_back_from_disk_as_it_was(signals in proptest::collection::vec(any_signal(), 0..10)) {
        let health = health(&signals);
        let text = serde_json::to_string(&health).unwrap();
        prop_assert_eq!(serde_json::from_str::<Health>(&text).unwrap(), health);
    }
}
