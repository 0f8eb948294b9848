//! `proxyctl strategy`: how accounts are chosen, shown or changed.

use anstyle::Style;
use proxy_proto::v1;

use super::Context;
use crate::cli::Strategy;
use crate::error::Error;
use crate::exit::Exit;
use crate::facts;
use crate::json::{Document, StrategySet, StrategyShown};
use crate::output;

pub(super) async fn run(wanted: Option<Strategy>, context: &mut Context<'_>) -> Result<Exit, Error> {
    match wanted {
        Some(wanted) => set(wanted, context).await,
        None => show(context).await,
    }
}

async fn show(context: &mut Context<'_>) -> Result<Exit, Error> {
    let shown = StrategyShown::from(context.connect().await?.strategy().await?);
    if context.output.is_json() {
        context.output.document(&Document::new(shown))?;
    } else {
        context.output.data(&told(&shown))?;
    }
    Ok(Exit::Ok)
}

async fn set(wanted: Strategy, context: &mut Context<'_>) -> Result<Exit, Error> {
    let wanted = v1::Strategy::from(wanted);
    let set = StrategySet::new(wanted, context.connect().await?.set_strategy(wanted).await?);
    if context.output.is_json() {
        context.output.document(&Document::new(set))?;
        return Ok(Exit::Ok);
    }
    let word = set.strategy.unwrap_or_default();
    let sentence = match set.before {
        Some(before) if before == word => format!("The strategy is {word}, as it was before.\n"),
        Some(before) => format!("The strategy is {word} now; it was {before} before.\n"),
        None => format!("The strategy is {word} now.\n"),
    };
    context.output.data(&sentence)?;
    context.output.talk(&format!(
        "It holds until the daemon starts again. To keep it, set pool.strategy = \"{word}\" in proxyd's configuration."
    ));
    Ok(Exit::Ok)
}

fn told(shown: &StrategyShown) -> String {
    let what = match shown.strategy {
        Some("quota") => "quota: more to the accounts with more quota left for the time until it begins anew",
        Some("round-robin") => "round-robin: as much to each account",
        Some("weighted") => "weighted: by the weights that are set on the accounts",
        Some("fill-first") => "fill-first: one account after the other",
        _ => "one that this proxyctl does not know",
    };
    let affinity = match (shown.strategy, shown.affinity) {
        (Some("fill-first"), _) => "makes no difference: all goes to the first account that is ready",
        (_, true) => "on: a conversation stays with an account as long as that one is ready",
        (_, false) => "off: a conversation may go to another account with each request",
    };
    let columns = facts::columns(output::width());
    let fact = |name, words| facts::fact(0, name, words, Style::new(), columns);
    format!("{}{}", fact("Strategy", what), fact("Affinity", affinity))
}

impl From<Strategy> for v1::Strategy {
    fn from(strategy: Strategy) -> Self {
        match strategy {
            Strategy::Quota => Self::Quota,
            Strategy::RoundRobin => Self::RoundRobin,
            Strategy::Weighted => Self::Weighted,
            Strategy::FillFirst => Self::FillFirst,
        }
    }
}
