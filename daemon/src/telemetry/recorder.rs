//! The layer that takes lines from those who write them. It decides by one number whether a line is wanted, makes a record of
//! it, and waits for nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id};
use tracing::subscriber::Interest;
use tracing::{Event, Metadata, Subscriber, span};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context as Subscribed;
use tracing_subscriber::registry::{LookupSpan, Scope};

use super::record::{Context, Record};
use super::ring::Ring;
use crate::clock::Clock;

/// From the least to the most.
const LEVELS: [LevelFilter; 6] = [
    LevelFilter::OFF,
    LevelFilter::ERROR,
    LevelFilter::WARN,
    LevelFilter::INFO,
    LevelFilter::DEBUG,
    LevelFilter::TRACE,
];

/// How much is logged: a place in [`LEVELS`].
#[derive(Debug)]
pub(super) struct Threshold(AtomicUsize);

impl Threshold {
    pub(super) fn new(level: LevelFilter) -> Self {
        let threshold = Self(AtomicUsize::default());
        threshold.set(level);
        threshold
    }

    pub(super) fn set(&self, level: LevelFilter) {
        let place = LEVELS.iter().position(|known| *known == level).unwrap_or_default();
        self.0.store(place, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> LevelFilter {
        LEVELS.get(self.0.load(Ordering::Relaxed)).copied().unwrap_or(LevelFilter::OFF)
    }

    fn wants(&self, metadata: &Metadata<'_>) -> bool {
        // Other crates' lines may hold headers and bodies at their lower levels.
        let ours = metadata.target().split("::").next() == Some("proxyd");
        let level = if ours { self.get() } else { self.get().min(LevelFilter::WARN) };
        *metadata.level() <= level
    }
}

/// Puts each line into the ring.
#[derive(Debug)]
pub(super) struct Recorder {
    pub(super) threshold: Arc<Threshold>,
    pub(super) ring: Arc<Ring>,
    pub(super) clock: Clock,
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Recorder {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.threshold.wants(metadata) { Interest::always() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Subscribed<'_, S>) -> bool {
        self.threshold.wants(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.threshold.get())
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, subscribed: Subscribed<'_, S>) {
        if let Some(span) = subscribed.span(id) {
            span.extensions_mut().insert(Context::new(attributes));
        }
    }

    fn on_record(&self, id: &Id, more: &span::Record<'_>, subscribed: Subscribed<'_, S>) {
        if let Some(span) = subscribed.span(id)
            && let Some(context) = span.extensions_mut().get_mut::<Context>()
        {
            context.add(more);
        }
    }

    fn on_event(&self, event: &Event<'_>, subscribed: Subscribed<'_, S>) {
        let around = subscribed.event_scope(event).into_iter().flat_map(Scope::from_root);
        let spans = around.filter_map(|span| span.extensions().get::<Context>().cloned()).collect();
        self.ring.push(Record::new(self.clock.now(), event, spans));
    }
}
