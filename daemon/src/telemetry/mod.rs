//! Logs and metrics. Where log lines go: the journal with structured fields when systemd started us, readable text on stderr
//! otherwise. What a line may say is decided where it is written: ids, states and reasons, never a token, a
//! prompt, a body or an e-mail.

pub mod metrics;

pub use metrics::Metrics;

use std::io::IsTerminal as _;
use std::sync::OnceLock;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, Registry, fmt, reload};

/// Where to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Output {
    Stderr,
    /// systemd's journal, with fields named `PROXYD_*`.
    Journal,
}

/// Of the filter in use. A process has one logger, so it has one level.
static HANDLE: OnceLock<reload::Handle<Targets, Registry>> = OnceLock::new();

/// Logs this much from now on. Without [`init`] nothing is logged at all.
pub fn set_level(level: LevelFilter) {
    if let Some(handle) = HANDLE.get() {
        // It fails where the logger is gone, and then there is nothing to set.
        let _gone = handle.modify(|filter| *filter = targets(level));
    }
}

fn targets(level: LevelFilter) -> Targets {
    // Other crates' lines may hold headers and bodies at their lower levels.
    Targets::new().with_target("proxyd", level).with_default(LevelFilter::WARN.min(level))
}

/// Starts logging, once per process.
pub fn init(level: LevelFilter, output: Output) {
    let (filter, handle) = reload::Layer::new(targets(level));
    let _once = HANDLE.set(handle);
    let journal = match output {
        Output::Journal => {
            tracing_journald::layer().ok().map(|layer| layer.with_field_prefix(Some("PROXYD".to_owned())))
        }
        Output::Stderr => None,
    };
    if let Some(journal) = journal {
        Registry::default().with(journal.with_filter(filter)).init();
        return;
    }
    // Colours only for a person: in a file they are noise.
    let colours = std::io::stderr().is_terminal();
    let text = fmt::layer().with_writer(std::io::stderr).with_ansi(colours).with_target(false);
    Registry::default().with(text.with_filter(filter)).init();
}
