//! What would become of a request right now, account by account, for a person who wonders.

use super::acquire::candidates;
use super::route::Wanted;
use super::select::{self, Choice, Why};
use super::{Asked, Pool};
use crate::id::AccountId;

/// One account's prospects of a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outlook {
    /// It would be chosen.
    Chosen(Why),
    /// Another one would be, although this one is as ready.
    Passed,
    /// It comes after others, or is out.
    Behind(String),
    /// It does not serve the model.
    NotServing,
}

impl Pool {
    /// The outlook of each account for a request that belongs to no conversation. Nobody's turn is used up.
    pub fn outlook(&self, asked: &Asked<'_>) -> Vec<(AccountId, Outlook)> {
        let (now, snapshot) = (self.shared.clock.now(), self.snapshot());
        let wanted = Wanted::read(asked.model, &snapshot.settings());
        let serving = snapshot.serving(&wanted, asked.accounts);
        let mut candidates = candidates(&serving, asked, now);
        for (candidate, (member, _)) in candidates.iter_mut().zip(&serving) {
            candidate.credit = member.live.credit.load(std::sync::atomic::Ordering::Relaxed);
        }
        let choice = select::select(&mut candidates, self.strategy(), asked.affinity);
        let outlook = |index: usize| match (choice, serving.get(index)) {
            (Choice::Use(chosen, why), _) if chosen == index => Outlook::Chosen(why),
            (_, Some((member, upstream))) => {
                member.why_not(upstream, asked.endpoint, now).map_or(Outlook::Passed, Outlook::Behind)
            }
            (_, None) => Outlook::NotServing,
        };
        let of = |id: &AccountId| serving.iter().position(|(member, _)| member.account.id == *id);
        let members = snapshot.members.iter().map(|member| &member.account.id);
        members.map(|id| (id.clone(), of(id).map_or(Outlook::NotServing, outlook))).collect()
    }
}
