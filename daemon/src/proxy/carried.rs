//! What a request has to do with state that lives with one account: whose it carries, and what its answer may tell.

use http::Method;

use super::headers::ANTHROPIC_BETA;
use super::{Exchange, Inner};
use crate::owners::{Kind, Referred, Teaches, Witness};
use crate::pool::{Endpoint, Lease, Owner};
use crate::translate::models::capabilities;
use crate::wire::messages::Peek;

/// Betas whose answers name containers and the files made in them.
const CODE_BETAS: [&str; 3] = ["code-execution-", "files-api-", "skills-"];
/// The beta of threads.
const THREAD_BETA: &str = "message-threads-";

/// One request's part in it.
#[derive(Clone, Debug, Default)]
pub(super) struct Carried {
    pub(super) owner: Option<Owner>,
    teaches: Teaches,
    /// A field of the body may name state.
    names_state: bool,
}

impl Carried {
    /// Before anything but its fields was looked at.
    pub(super) fn by_fields(peek: &Peek<'_>) -> Self {
        Self { names_state: peek.names_state, ..Self::default() }
    }
}

impl Inner {
    /// `exchange`, with what it carries.
    pub(super) fn with_carried(&self, exchange: Exchange) -> Exchange {
        if exchange.caller.credential.is_some() {
            // It goes to no account of the pool, whatever it refers to.
            return exchange;
        }
        let referred = self.referred(&exchange);
        let teaches = teaches(&exchange, &referred);
        let carried = Carried { owner: referred.owner, teaches, ..exchange.carried };
        Exchange { carried, ..exchange }
    }

    fn referred(&self, exchange: &Exchange) -> Referred {
        let names_state = exchange.carried.names_state;
        let (path, body) = (exchange.call.path.as_str(), exchange.call.body.start());
        match exchange.endpoint {
            // A file that is sent refers to nothing, whatever it says.
            Endpoint::Files => self.owners.referred(path, std::iter::empty(), false),
            Endpoint::Batches => self.owners.referred(path, body, false),
            Endpoint::Messages | Endpoint::CountTokens => self.owners.referred("", body, names_state),
            Endpoint::Models => Referred::default(),
        }
    }

    /// Who learns from the answer that came by `lease`, if it has anything to tell. Only success does.
    pub(super) fn witness(&self, exchange: &Exchange, lease: &Lease) -> Option<Witness> {
        let mut teaches = exchange.carried.teaches.clone();
        if exchange.endpoint == Endpoint::Messages && capabilities(lease.model()).thinking_bound_to_account {
            teaches = teaches.and(Kind::Thought);
        }
        (!teaches.nothing()).then(|| Witness::new(&self.owners, &lease.account().id, teaches))
    }
}

fn teaches(exchange: &Exchange, referred: &Referred) -> Teaches {
    let path = exchange.call.path.path();
    match exchange.endpoint {
        Endpoint::CountTokens | Endpoint::Models => Teaches::default(),
        // What is deleted is nobody's any more.
        Endpoint::Files | Endpoint::Batches if exchange.call.method == Method::DELETE => Teaches::default(),
        // The bytes of somebody's file, whatever they say.
        Endpoint::Files if path.ends_with("/content") => Teaches::default(),
        Endpoint::Files => Teaches::listing(Kind::File),
        Endpoint::Batches if path.ends_with("/results") => Teaches::mentioning([Kind::File, Kind::Container]),
        Endpoint::Batches => Teaches::listing(Kind::Batch),
        Endpoint::Messages => {
            let runs_code = referred.runs_code || CODE_BETAS.iter().any(|beta| has_beta(exchange, beta));
            let code = [Kind::File, Kind::Container].into_iter().filter(|_| runs_code);
            let threads = referred.threads || has_beta(exchange, THREAD_BETA);
            Teaches::mentioning(code.chain(threads.then_some(Kind::Message)))
        }
    }
}

/// Whether the client asks for a beta of that family, of whatever date.
fn has_beta(exchange: &Exchange, family: &str) -> bool {
    let lines = exchange.call.headers.get_all(ANTHROPIC_BETA).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).any(|beta| beta.trim().starts_with(family))
}
