//! `proxyctl log-level`: how much the daemon logs, shown or changed for now.

use proxy_proto::v1::LogLevel;

use super::Context;
use crate::cli::Level;
use crate::error::Error;
use crate::exit::Exit;
use crate::json::{Document, LogLevelSet, LogLevelShown};

pub(super) async fn run(level: Option<Level>, context: &mut Context<'_>) -> Result<Exit, Error> {
    match level {
        None => show(context).await,
        Some(level) => set(level, context).await,
    }
}

async fn show(context: &mut Context<'_>) -> Result<Exit, Error> {
    let shown = LogLevelShown::from(context.connect().await?.log_level().await?);
    if context.output.is_json() {
        context.output.document(&Document::new(shown))?;
    } else {
        context.output.data(&format!("{}\n", shown.level.unwrap_or("off")))?;
    }
    Ok(Exit::Ok)
}

async fn set(level: Level, context: &mut Context<'_>) -> Result<Exit, Error> {
    let level = LogLevel::from(level);
    let set = LogLevelSet::new(level, context.connect().await?.set_log_level(level).await?);
    if context.output.is_json() {
        context.output.document(&Document::new(set))?;
        return Ok(Exit::Ok);
    }
    let word = set.level.unwrap_or_default();
    let before = set.before.unwrap_or("off");
    context.output.data(&format!("The log level is {word} now; it was {before} before.\n"))?;
    context.output.talk(&format!(
        "It holds until the next start or a reload with another log.level. To keep it, set log.level = \"{word}\" in proxyd's configuration."
    ));
    Ok(Exit::Ok)
}
