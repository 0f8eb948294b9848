//! The ring of lines: what is kept, dropped and told.

use std::thread;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::Registry;
use tracing_subscriber::layer::SubscriberExt as _;

use super::*;
use crate::clock::Clock;
use crate::telemetry::recorder::{Recorder, Threshold};

/// Long enough for a busy machine; a test that needs it has failed.
const LONG: Duration = Duration::from_secs(30);

fn log(ring: &Arc<Ring>, threshold: &Arc<Threshold>, work: impl FnOnce()) {
    let (ring, threshold) = (Arc::clone(ring), Arc::clone(threshold));
    let recorder = Recorder { threshold, ring, clock: Clock::system() };
    tracing::subscriber::with_default(Registry::default().with(recorder), work);
}

fn ring_of(lines: usize, text: &str) -> Arc<Ring> {
    let ring = Arc::default();
    let work = || (0..lines).for_each(|number| tracing::info!(number, text, "line"));
    log(&ring, &Arc::new(Threshold::new(LevelFilter::INFO)), work);
    ring
}

fn number(record: &Record) -> usize {
    record.fields().iter().find(|(name, _)| *name == "number").unwrap().1.parse().unwrap()
}

#[test]
fn the_oldest_lines_go_and_a_reader_is_told_how_many() {
    let ring = ring_of(MOST_LINES + 10, "");
    assert_eq!(ring.dropped(), 10);
    let (kept, late) = (ring.kept(), ring.since(3));
    assert_eq!((kept.missed, kept.lines.len(), number(&kept.lines[0])), (0, MOST_LINES, 10));
    assert_eq!((late.missed, late.lines.len()), (7, MOST_LINES));
    let now = ring.since(late.next);
    assert_eq!((now.missed, now.lines.len(), now.next), (0, 0, late.next));
    assert_eq!(number(&ring.take()), 10, "the writer goes on with the oldest");
}

#[test]
fn long_lines_take_no_more_memory_than_there_is_for_them() {
    let text = "x".repeat(4000);
    let ring = ring_of(2000, &text);
    let kept = ring.kept().lines;
    assert!(kept.len() * text.len() <= MOST_BYTES && kept.len() > 500, "{}", kept.len());
    assert_eq!(ring.dropped(), 2000 - kept.len() as u64);
}

#[test]
fn a_line_in_hand_is_not_dropped_and_one_that_failed_is() {
    let ring = ring_of(1, "");
    let _line = ring.take();
    ring.done(false);
    assert_eq!(ring.dropped(), 1);
    ring.flush(LONG);
}

#[test]
fn a_flush_waits_for_the_writer_and_not_for_ever() {
    let ring = ring_of(3, "");
    ring.flush(Duration::from_millis(1));
    let writer = thread::spawn({
        let ring = Arc::clone(&ring);
        move || (0..3).for_each(|_| drop((ring.take(), ring.done(true))))
    });
    ring.flush(LONG);
    assert_eq!(ring.dropped(), 0);
    writer.join().unwrap();
    assert!(ring.since(3).lines.is_empty());
}

#[test]
fn the_level_counts_from_the_next_line_on_and_other_crates_stay_bounded() {
    let (ring, threshold) = (Arc::new(Ring::default()), Arc::new(Threshold::new(LevelFilter::WARN)));
    let set = |level| {
        threshold.set(level);
        tracing::callsite::rebuild_interest_cache();
    };
    let lines = || {
        tracing::debug!("ours");
        tracing::debug!(target: "hyper::client", "theirs");
        tracing::debug!(target: "proxydish", "theirs");
        tracing::warn!(target: "hyper::client", "theirs");
    };
    log(&ring, &threshold, || {
        lines();
        set(LevelFilter::TRACE);
        lines();
        set(LevelFilter::OFF);
        lines();
    });
    let kept: Vec<_> = ring.kept().lines.iter().map(|line| (line.level(), line.message())).collect();
    let theirs = || (tracing::Level::WARN, "theirs".to_owned());
    assert_eq!(kept, [theirs(), (tracing::Level::DEBUG, "ours".to_owned()), theirs()]);
}
