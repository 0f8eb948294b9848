//! Logs and metrics. Where log lines go: the journal with structured fields when systemd started us, readable text on stderr
//! otherwise. What a line may say is decided where it is written: ids, states and reasons, never a token, a
//! prompt, a body or an e-mail.

pub mod metrics;

pub use metrics::Metrics;

use std::io::IsTerminal as _;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, Registry, fmt};

/// Where to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Output {
    Stderr,
    /// systemd's journal, with fields named `PROXYD_*`.
    Journal,
}

/// Starts logging, once per process.
pub fn init(level: LevelFilter, output: Output) {
    // Other crates' lines may hold headers and bodies at their lower levels.
    let filter = Targets::new().with_target("proxyd", level).with_default(LevelFilter::WARN.min(level));
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
