//! What `strategy` prints.

use proxy_proto::v1;
use serde::Serialize;

/// `strategy`: how accounts are chosen.
#[derive(Debug, Serialize)]
pub struct StrategyShown {
    /// As the configuration calls it: `quota`, `round-robin`, `weighted` or `fill-first`.
    pub strategy: Option<&'static str>,
    /// Whether a conversation stays with an account.
    pub affinity: bool,
}

/// `strategy NAME`: holds until the daemon is started again.
#[derive(Debug, Serialize)]
pub struct StrategySet {
    /// The one from now on.
    pub strategy: Option<&'static str>,
    /// The one until now.
    pub before: Option<&'static str>,
}

impl From<v1::GetStatusResponse> for StrategyShown {
    fn from(status: v1::GetStatusResponse) -> Self {
        Self { strategy: word(status.strategy), affinity: status.affinity }
    }
}

impl StrategySet {
    pub(crate) fn new(now: v1::Strategy, reply: v1::SetStrategyResponse) -> Self {
        Self { strategy: word(now.into()), before: word(reply.before) }
    }
}

/// The word of a strategy; `None` where the daemon told none.
pub(super) fn word(number: i32) -> Option<&'static str> {
    let word = match v1::Strategy::try_from(number) {
        Ok(v1::Strategy::Unspecified) => return None,
        Ok(v1::Strategy::Quota) => "quota",
        Ok(v1::Strategy::RoundRobin) => "round-robin",
        Ok(v1::Strategy::Weighted) => "weighted",
        Ok(v1::Strategy::FillFirst) => "fill-first",
        Err(_) => "unknown",
    };
    Some(word)
}
