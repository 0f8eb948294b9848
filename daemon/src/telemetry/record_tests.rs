//! Lines as values: what they keep, and how they are written.

use std::io::{Read as _, Seek as _};
use std::sync::Arc;

use tracing_subscriber::Registry;
use tracing_subscriber::layer::SubscriberExt as _;

use super::*;
use crate::clock::ManualClock;
use crate::telemetry::packed::LONGEST_TEXT;
use crate::telemetry::recorder::{Recorder, Threshold};
use crate::telemetry::ring::Ring;
use crate::telemetry::writer::Sink;

/// What `work` logs.
fn recorded(work: impl FnOnce()) -> Vec<Arc<Record>> {
    let ring = Arc::new(Ring::default());
    let threshold = Arc::new(Threshold::new(tracing::level_filters::LevelFilter::TRACE));
    let manual = ManualClock::at("2026-11-27T10:20:30.123456Z".parse().unwrap());
    let recorder = Recorder { threshold, ring: Arc::clone(&ring), clock: manual.clock() };
    tracing::subscriber::with_default(Registry::default().with(recorder), work);
    ring.kept().lines
}

/// As the thread writes it, in readable text.
fn as_text(records: &[Arc<Record>]) -> String {
    let mut file = tempfile::tempfile().unwrap();
    let mut sink = Sink::text_to(file.try_clone().unwrap(), false);
    for record in records {
        assert!(sink.write_here(record));
    }
    let mut text = String::new();
    file.rewind().unwrap();
    file.read_to_string(&mut text).unwrap();
    text
}

fn every_kind() {
    let outer = tracing::info_span!("outer", account.id = %"acc", of = "outer");
    let _outer = outer.enter();
    let inner = tracing::info_span!("inner", of = "inner");
    let _inner = inner.enter();
    tracing::info!(
        float = 1.5,
        signed = -3_i64,
        unsigned = u64::MAX,
        long = i128::MIN,
        longer = u128::MAX,
        truth = true,
        text = "a \"word\"",
        shown = %"as it is",
        debug = ?Some(1),
        none = None::<u32>,
        some = Some("there"),
        "said {}", "so"
    );
}

#[test]
fn every_kind_of_value_is_replayed_with_its_time_and_its_spans() {
    let text = as_text(&recorded(every_kind));
    assert_eq!(
        text,
        "2026-11-27T10:20:30.123456Z  INFO outer{account.id=acc of=\"outer\"}:inner{of=\"inner\"}: said so float=1.5 signed=-3 \
         unsigned=18446744073709551615 long=-170141183460469231731687303715884105728 \
         longer=340282366920938463463374607431768211455 truth=true text=\"a \\\"word\\\"\" shown=as it is debug=Some(1) \
         some=\"there\"\n"
    );
}

#[test]
fn a_line_is_one_flat_json_object_in_which_the_innermost_field_of_a_name_stands() {
    let records = recorded(every_kind);
    let line = records[0].to_json();
    let start = r#"{"time":"2026-11-27T10:20:30.123Z","level":"info","target":"proxyd::telemetry::record::tests","message":"said so","#;
    assert!(line.starts_with(start), "{line}");
    let object: serde_json::Value = serde_json::from_str(&line).unwrap();
    for (name, value) in [
        ("float", serde_json::json!(1.5)),
        ("signed", (-3).into()),
        ("unsigned", u64::MAX.into()),
        ("long", i128::MIN.to_string().into()),
        ("truth", true.into()),
        ("text", "a \"word\"".into()),
        ("shown", "as it is".into()),
        ("account.id", "acc".into()),
        ("of", "inner".into()),
    ] {
        assert_eq!(object[name], value, "{name}");
    }
    assert_eq!(line.matches("\"of\":").count(), 1);
    assert!(records[0].fields().contains(&("of", "inner".to_owned())));
}

#[test]
fn what_is_told_from_outside_is_bounded_and_makes_no_line_of_its_own() {
    let long = "x".repeat(100_000);
    let records = recorded(|| {
        tracing::info!(text = long, "long");
        tracing::info!(shown = %"a\nb\u{1b}[31m\r", "two\nlines");
    });
    let fields = records[0].fields();
    assert_eq!(fields[0].1.len(), LONGEST_TEXT + '…'.len_utf8());
    assert!(records[0].size() < 2 * LONGEST_TEXT);
    let text = as_text(&records[1..]);
    assert_eq!(text.matches('\n').count(), 1, "{text}");
    assert!(text.contains(r"two\nlines shown=a\nb\u{1b}[31m\r"), "{text}");
}

#[test]
fn as_many_fields_as_an_event_can_have_are_kept() {
    macro_rules! many {
        ($($name:ident)*) => { tracing::info!($($name = 1,)* "many") };
    }
    let records = recorded(|| {
        many!(a b c d e f g h i j k l m n o p q r s t u v w x y z aa bb cc dd ee);
    });
    assert_eq!(records[0].fields().len(), MOST_FIELDS - 1);
    assert!(as_text(&records).contains("dd=1 ee=1\n"));
}

#[test]
fn a_span_that_is_told_more_later_tells_it() {
    let records = recorded(|| {
        let span = tracing::info_span!("work", found = tracing::field::Empty, kind = "a");
        span.record("found", 7);
        span.record("kind", "b");
        span.in_scope(|| tracing::info!("done"));
    });
    let mut fields = records[0].fields();
    fields.sort();
    assert_eq!(fields, [("found", "7".to_owned()), ("kind", "b".to_owned())]);
}

#[test]
fn who_goes_on_writing_when_all_is_full_spoils_no_other_field() {
    struct Stubborn;
    impl std::fmt::Debug for Stubborn {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            for _ in 0..100_000 {
                let _full = f.write_str("xy");
            }
            Ok(())
        }
    }
    let records = recorded(|| tracing::info!(long = ?Stubborn, after = 7, "told"));
    let fields = records[0].fields();
    assert_eq!(fields[0].1.len(), LONGEST_TEXT + '…'.len_utf8());
    assert_eq!((fields[1].0, fields[1].1.as_str(), records[0].message().as_str()), ("after", "7", "told"));
}
