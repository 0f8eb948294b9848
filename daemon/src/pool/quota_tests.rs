//! What is left, and which window binds, as tables.

use proptest::prelude::*;

use super::*;

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn plan(name: &str, used: f64, resets_at: i64) -> Reading {
    Reading { name: name.to_owned(), kind: WindowKind::Plan, used, resets_at: Some(at(resets_at)) }
}

fn bucket(name: &str, used: f64, resets_at: i64) -> Reading {
    Reading { kind: WindowKind::Bucket, ..plan(name, used, resets_at) }
}

/// Seen at second 0 with an answer to model `m`.
fn quota(readings: &[Reading]) -> Quota {
    let mut quota = Quota::default();
    quota.observe(readings, "m", at(0));
    quota
}

fn near(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-9
}

#[test]
fn the_pace_is_what_is_left_over_the_time_that_is_left() {
    for (reading, now, left, pace) in [
        // On pace, behind it, ahead of it.
        (plan("5h", 0.5, 5 * HOUR / 2), 0, 0.5, 1.0),
        (plan("5h", 0.75, 5 * HOUR / 2), 0, 0.25, 0.5),
        (plan("7d", 0.5, DAY), 0, 0.5, 3.5),
        // Nothing left, more than all used, begun anew.
        (plan("5h", 1.0, HOUR), 0, 0.0, 0.0),
        (plan("5h", 1.2, HOUR), 0, 0.0, 0.0),
        (plan("5h", 1.0, HOUR), HOUR, 1.0, 1.0),
        // The last minute does not make it worth everything.
        (plan("5h", 0.9, 1), 0, 0.1, 5.0),
        (plan("5h", 0.0, 1), 0, 1.0, 16.0),
        // A bucket fills while one looks.
        (bucket("tokens", 1.0, 60), 0, 0.0, 0.0),
        (bucket("tokens", 1.0, 60), 30, 0.5, 0.5),
        (bucket("tokens", 0.5, 60), 60, 1.0, 1.0),
    ] {
        let quota = quota(std::slice::from_ref(&reading));
        let binding = quota.binding("m", at(now)).unwrap();
        assert!(near(binding.left, left) && near(binding.pace, pace), "{reading:?} at {now}: {binding:?}");
    }
}

#[test]
fn the_window_with_the_least_pace_binds() {
    let quota = quota(&[plan("5h", 0.1, 4 * HOUR), plan("7d", 0.9, 6 * DAY), plan("7d_opus", 1.0, 6 * DAY)]);
    assert_eq!(quota.binding("claude-haiku-4-5", at(0)).unwrap().window.name, "7d");
    assert_eq!(quota.binding("claude-opus-5", at(0)).unwrap().window.name, "7d_opus");
    assert_eq!(quota.binding("CLAUDE-OPUS-5", at(0)).unwrap().window.name, "7d_opus");
    assert!(Quota::default().binding("m", at(0)).is_none());
}

#[test]
fn a_window_of_unknown_length_is_told_and_decides_nothing() {
    let quota = quota(&[plan("overage", 1.0, DAY)]);
    assert_eq!(quota.windows().len(), 1);
    assert!(quota.binding("m", at(0)).is_none() && quota.reserved_until("m", 0.5, at(0)).is_none());
}

#[test]
fn a_bucket_is_one_models_own() {
    let mut quota = quota(&[bucket("tokens", 0.9, 60)]);
    quota.observe(&[bucket("tokens", 0.2, 60)], "other", at(0));
    let left = |model| quota.binding(model, at(0)).map(|binding| binding.left);
    assert!(near(left("m").unwrap(), 0.1) && near(left("other").unwrap(), 0.8));
    assert_eq!(left("third"), None);
}

#[test]
fn a_later_answer_takes_the_place_of_an_earlier_one() {
    let mut quota = quota(&[plan("5h", 0.9, HOUR)]);
    quota.observe(&[plan("5h", 0.1, 6 * HOUR)], "other", at(2 * HOUR));
    assert_eq!(quota.windows().len(), 1);
    assert!(near(quota.windows()[0].used, 0.1));
}

#[test]
fn a_reserve_is_kept_until_its_window_begins_anew() {
    let quota = quota(&[plan("5h", 0.8, HOUR), plan("7d", 0.85, 3 * DAY), bucket("tokens", 1.0, 60)]);
    let until = |reserve, now| quota.reserved_until("m", reserve, at(now)).map(|(until, _)| until);
    assert_eq!(until(0.0, 0), None);
    assert_eq!(until(0.1, 0), None);
    assert_eq!(until(0.15, 0), Some(at(3 * DAY)));
    assert_eq!(until(0.25, HOUR), Some(at(3 * DAY)));
    assert_eq!(until(0.25, 3 * DAY), None);
}

#[test]
fn names_tell_length_and_models() {
    for (name, hours, of) in [
        ("5h", Some(5), None),
        ("7d", Some(168), None),
        ("7d_opus", Some(168), Some("opus")),
        ("7d-sonnet", Some(168), Some("sonnet")),
        ("7d_", Some(168), None),
        ("0h", None, None),
        ("99999999999999999999d", None, None),
        ("h", None, None),
        ("5", None, None),
        ("", None, None),
        ("overage_opus", None, None),
        ("5µ", None, None),
    ] {
        assert_eq!(length(name).map(|length| length.as_hours()), hours, "{name}");
        assert_eq!(family(name), of, "{name}");
    }
}

#[test]
fn windows_that_are_made_up_take_no_memory_without_bound() {
    let mut quota = Quota::default();
    for n in 0..1000 {
        quota.observe(&[bucket("tokens", 0.0, 60)], &format!("m{n}"), at(n));
    }
    assert_eq!(quota.windows().len(), MOST_WINDOWS);
    assert!(quota.binding("m999", at(0)).is_some());
}

proptest! {
    #[test]
    fn every_reading_gives_a_share_and_a_pace(
        name in "[0-9]{0,3}[hdx]?(_opus)?", used in proptest::num::f64::ANY, end in -DAY..8 * DAY, now in -DAY..8 * DAY,
        is_bucket in any::<bool>(),
    ) {
        let reading = if is_bucket { bucket(&name, used, end) } else { plan(&name, used, end) };
        let quota = quota(&[reading]);
        let window = &quota.windows()[0];
        prop_assert!((0.0..=1.0).contains(&window.left(at(now))));
        prop_assert!((0.0..=HIGHEST_PACE).contains(&window.pace(at(now))));
    }

    #[test]
    fn what_ends_sooner_with_as_much_left_is_preferred(used in 0.0..0.99_f64, soon in 1..7 * DAY, later in 1..7 * DAY) {
        prop_assume!(soon < later);
        let pace = |end| quota(&[plan("7d", used, end)]).windows()[0].pace(at(0));
        prop_assert!(pace(soon) >= pace(later));
    }
}
