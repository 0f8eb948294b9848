//! Handing out leases: who may serve a request ([`super::route`]), whose turn it is ([`super::select`]), and why
//! nobody can.

use std::fmt;
use std::sync::{Arc, PoisonError};

use super::asked::may_use;
use super::route::{Serving, Wanted};
use super::select::{self, Candidate, Choice, Standing, Why};
use super::{Asked, Bond, Lease, Member, Owner, Pool, Snapshot, State, Strategy};
use crate::clock::Timestamp;
use crate::id::AccountId;

/// Why there is no account for a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NoAccount {
    /// The pool is empty.
    Empty,
    /// Every account that serves the model is disabled, waits for a login, or has a setting that cannot be used.
    /// `others` do not serve it, and `withheld` are not for who asks.
    AllOut { disabled: usize, needs_login: usize, invalid: usize, others: usize, withheld: usize },
    /// Every account that the name is for excludes the model.
    Excluded { model: String },
    /// No account that who asks may use serves the model, though another one does, or none of them is there.
    Withheld { model: String },
    /// Every account that could serve is to be left alone: the first may be used again at `until`. `accounts` says why, in
    /// words, for each.
    Cooling { until: Timestamp, accounts: Vec<String> },
    /// The account that alone knows what the request is about is disabled, waits for a login, or cannot be used.
    OwnerOut { account: String, why: String },
    /// The account that alone knows what the request is about is not for who asks.
    OwnerWithheld,
    /// Every account that could serve has been tried by this request.
    Exhausted,
}

/// Accounts that a refusal tells of: a client shows it on a screen.
const MOST_TOLD: usize = 10;

/// A member that serves the request, and the model's name for it.
pub(super) type Candidacy<'a> = (&'a Arc<Member>, &'a str);

impl Pool {
    /// Chooses an account for a request: the owner of the state it carries, else see [`route`] for who may serve
    /// it and [`select`] for whose turn it is. A request about no model (empty) prefers the accounts that go to
    /// the provider itself.
    ///
    /// [`route`]: super::route
    pub fn acquire(&self, asked: &Asked<'_>) -> Result<Lease, NoAccount> {
        let now = self.shared.clock.now();
        let snapshot = self.shared.current.load();
        if let Some(owner) = asked.owner {
            let wanted = Wanted::read(asked.model, &snapshot.settings());
            let serving = snapshot.serving(&wanted, asked.accounts);
            if let Some(result) = self.owner(owner, &serving, asked, now) {
                return result;
            }
        }
        match self.choose(&snapshot, asked, now) {
            Some((member, upstream, why)) => {
                Ok(Lease::new(member, upstream, asked.endpoint, why, Arc::clone(&self.shared)))
            }
            None => self.last_look(&snapshot, asked, now),
        }
    }

    /// Looks at everybody once more before a request is refused, and says why nobody serves it.
    fn last_look(&self, snapshot: &Snapshot, asked: &Asked<'_>, now: Timestamp) -> Result<Lease, NoAccount> {
        let wanted = Wanted::read(asked.model, &snapshot.settings());
        let serving = snapshot.serving(&wanted, asked.accounts);
        let choice = select::select(&mut candidates(&serving, asked, now), Strategy::FillFirst, None);
        if let Choice::Use(index, why) = choice
            && let Some(candidacy) = serving.get(index)
        {
            return Ok(self.lease(*candidacy, asked, why));
        }
        match choice {
            _ if !asked.tried.is_empty() => Err(NoAccount::Exhausted),
            Choice::Until(until) => Err(NoAccount::Cooling { until, accounts: told(&serving, asked, now) }),
            Choice::Use(..) | Choice::Nobody => Err(snapshot.why_nobody(&wanted, &serving, asked, now)),
        }
    }

    /// When the first account that could serve the request may be used again, where none may be now. Nobody's turn is used
    /// up.
    pub fn soonest_return(&self, asked: &Asked<'_>) -> Option<NoAccount> {
        let asked = &Asked { tried: &[], ..*asked };
        let (now, snapshot) = (self.shared.clock.now(), self.shared.current.load());
        let wanted = Wanted::read(asked.model, &snapshot.settings());
        let serving = snapshot.serving(&wanted, asked.accounts);
        if let Some(result) = asked.owner.and_then(|owner| self.owner(owner, &serving, asked, now)) {
            return result.err().filter(|nobody| matches!(nobody, NoAccount::Cooling { .. }));
        }
        match select::select(&mut candidates(&serving, asked, now), Strategy::FillFirst, None) {
            Choice::Until(until) => Some(NoAccount::Cooling { until, accounts: told(&serving, asked, now) }),
            Choice::Use(..) | Choice::Nobody => None,
        }
    }

    /// The owner of what a request carries, or why it cannot be had; `None` where any account is as good: the owner is
    /// gone, or has been tried and is not the only one that can serve.
    fn owner(
        &self,
        owner: &Owner,
        serving: &[Candidacy<'_>],
        asked: &Asked<'_>,
        now: Timestamp,
    ) -> Option<Result<Lease, NoAccount>> {
        if owner.bond == Bond::Only && !asked.may_use(&owner.account) && self.get(&owner.account).is_some() {
            return Some(Err(NoAccount::OwnerWithheld));
        }
        let candidacy = serving.iter().find(|(member, _)| member.account.id == owner.account)?;
        let (member, upstream) = candidacy;
        match member.standing(upstream, asked.endpoint, now) {
            // What the owner said is the answer: any other would say that there is no such thing.
            _ if asked.tried.contains(&owner.account) => {
                (owner.bond == Bond::Only).then_some(Err(NoAccount::Exhausted))
            }
            Standing::Ready | Standing::Guessed(_) => Some(Ok(self.lease(*candidacy, asked, Why::Owner))),
            Standing::Named(until) if owner.bond == Bond::Only => {
                Some(Err(NoAccount::Cooling { until, accounts: told(&[*candidacy], asked, now) }))
            }
            // Any other account would say that there is no such thing.
            Standing::Out if owner.bond == Bond::Only => Some(Err(NoAccount::OwnerOut {
                account: member.account.called_in_public().to_owned(),
                why: member.why_not(upstream, asked.endpoint, now).unwrap_or_default(),
            })),
            Standing::Named(_) | Standing::Out => None,
        }
    }

    fn lease(&self, (member, upstream): Candidacy<'_>, asked: &Asked<'_>, why: Why) -> Lease {
        Lease::new(Arc::clone(member), upstream, asked.endpoint, why, Arc::clone(&self.shared))
    }

    /// The name under which `model` is asked for upstream, where one of `accounts` (none named are all) serves it:
    /// that of the highest priority. Accounts may differ in it; the lease of each says its own.
    pub fn upstream_name(&self, model: &str, accounts: &[AccountId]) -> Option<String> {
        let snapshot = self.shared.current.load();
        let wanted = Wanted::read(model, &snapshot.settings());
        let serving = snapshot.serving(&wanted, accounts).into_iter();
        let named =
            serving.map(|(member, upstream)| (std::cmp::Reverse(member.account.settings.priority), upstream));
        named.min_by_key(|(priority, _)| *priority).map(|(_, upstream)| upstream.to_owned())
    }

    /// Who is chosen, under which name it is asked for the model, and why.
    fn choose(
        &self,
        snapshot: &Arc<Snapshot>,
        asked: &Asked<'_>,
        now: Timestamp,
    ) -> Option<(Arc<Member>, Arc<str>, Why)> {
        let key = asked.affinity.filter(|_| self.has_affinity());
        let strategy = self.strategy();
        let mut boards = self.choosing.lock().unwrap_or_else(PoisonError::into_inner);
        let board = boards.of(snapshot, asked, now);
        board.look(&self.shared.heard, now);
        match board.choose(asked, strategy, key, &self.shared.in_flight) {
            Choice::Use(index, why) => {
                let (member, upstream) = board.serving(index)?;
                Some((Arc::clone(member), Arc::clone(upstream), why))
            }
            Choice::Until(_) | Choice::Nobody => None,
        }
    }
}

/// The members that serve a request, as the choice sees them.
pub(super) fn candidates(serving: &[Candidacy<'_>], asked: &Asked<'_>, now: Timestamp) -> Vec<Candidate> {
    let candidate = |(member, upstream): &Candidacy<'_>| {
        let mut candidate = member.candidate(upstream, asked.model, asked.endpoint, now);
        if asked.tried.contains(&member.account.id) {
            candidate.standing = Standing::Out;
        }
        candidate
    };
    let mut candidates: Vec<Candidate> = serving.iter().map(candidate).collect();
    select::assume_usual_pace(&mut candidates);
    candidates
}

/// Why nobody serves a request now, account by account.
fn told(serving: &[Candidacy<'_>], asked: &Asked<'_>, now: Timestamp) -> Vec<String> {
    let words = serving.iter().filter_map(|(member, upstream)| {
        let why = member.why_not(upstream, asked.endpoint, now)?;
        Some(format!("{} {why}", member.account.called_in_public()))
    });
    let mut words: Vec<_> = words.take(MOST_TOLD + 1).collect();
    if words.len() > MOST_TOLD {
        words.truncate(MOST_TOLD);
        words.push(format!("and {} more", serving.len() - MOST_TOLD));
    }
    words
}

impl Snapshot {
    /// The members that a request is for, of `accounts` (none named are all), each with the model's name for it. What a
    /// name means does not depend on who asks: an account that may not serve owns its prefix and its aliases, too.
    pub(super) fn serving<'a>(&'a self, wanted: &Wanted<'a>, accounts: &[AccountId]) -> Vec<Candidacy<'a>> {
        let serves = |member: &'a Arc<Member>| match wanted.by(&member.account.settings) {
            Serving::As(upstream) => Some((member, upstream)),
            Serving::Excluded | Serving::Not => None,
        };
        let allowed = self.members.iter().filter(|member| may_use(accounts, &member.account.id));
        allowed.filter_map(serves).collect()
    }

    fn why_nobody(
        &self,
        wanted: &Wanted<'_>,
        serving: &[Candidacy<'_>],
        asked: &Asked<'_>,
        now: Timestamp,
    ) -> NoAccount {
        let count = |wanted: fn(&State) -> bool| {
            serving.iter().filter(|(member, _)| wanted(&member.state(now))).count()
        };
        let may_use = |member: &&Arc<Member>| asked.may_use(&member.account.id);
        let allowed = self.members.iter().filter(may_use).count();
        let model = || asked.model.to_owned();
        match (self.members.len(), serving.len()) {
            (0, _) => NoAccount::Empty,
            (_, 0) if allowed == 0 || !self.serving(wanted, &[]).is_empty() => {
                NoAccount::Withheld { model: model() }
            }
            // A prefix or an alias has an owner, so the name is for somebody.
            (_, 0) => NoAccount::Excluded { model: model() },
            (all, some) => NoAccount::AllOut {
                disabled: count(|state| matches!(state, State::Disabled)),
                needs_login: count(|state| matches!(state, State::NeedsLogin(_))),
                invalid: count(|state| matches!(state, State::Invalid { .. })),
                others: allowed - some,
                withheld: all - allowed,
            },
        }
    }
}

impl fmt::Display for NoAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("there is no Claude account yet: run `proxyctl login claude`"),
            Self::AllOut { disabled, needs_login, invalid, others, withheld } => {
                f.write_str("no account is usable: ")?;
                let parts = [
                    (needs_login, "need a new login (`proxyctl login claude`)"),
                    (disabled, "are disabled (`proxyctl accounts enable ACCOUNT`)"),
                    (invalid, "have a setting that cannot be used (`proxyctl accounts list`)"),
                    (others, "do not serve this model (`proxyctl accounts list --wide`)"),
                    (withheld, "are not for this client key (`proxyctl keys list`)"),
                ];
                let parts = parts.iter().filter(|(count, _)| **count > 0);
                let parts: Vec<String> = parts.map(|(count, what)| format!("{count} {what}")).collect();
                f.write_str(&parts.join(", "))
            }
            Self::Excluded { model } => write!(
                f,
                "model: {model} is not served here: every account that it could go to excludes it in its setting \
                 `excluded_models`"
            ),
            Self::Cooling { until, accounts } => write!(
                f,
                "no account may be used for this before {until:.0}: {} (see `proxyctl accounts list --explain`)",
                accounts.join("; ")
            ),
            Self::OwnerOut { account, why } => write!(
                f,
                "what the request is about lives with the account {account}, which cannot be used: {why} (see `proxyctl accounts list`)"
            ),
            Self::Withheld { model } if model.is_empty() => f.write_str(
                "none of the accounts that this client key may use is in the pool (see `proxyctl keys list` and \
                 `proxyctl accounts list`)",
            ),
            Self::Withheld { model } => write!(
                f,
                "model: none of the accounts that this client key may use serves {model} (see `proxyctl keys list` and \
                 `proxyctl accounts list --wide`)"
            ),
            Self::OwnerWithheld => f.write_str(
                "what the request is about lives with an account that this client key may not use (see `proxyctl keys list`)",
            ),
            Self::Exhausted => f.write_str("every usable account has been tried"),
        }
    }
}
