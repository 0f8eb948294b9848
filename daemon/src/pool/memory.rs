//! What is known about accounts that are not in the pool: those of the last run, until their files are read, and those
//! whose files went away. Editors write files anew, people move them, and a limit ends when upstream says so and not
//! when the file comes back.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use super::member::{Live, Member, Vitals};
use super::{Pool, Trouble};
use crate::account::Account;
use crate::clock::Moment;
use crate::id::AccountId;

/// Accounts that are remembered at once after they left.
const MOST_DEPARTED: usize = 1024;

/// What the pool knows beyond the accounts' files, to be kept over a restart.
#[derive(Clone, Default, PartialEq, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct Memory {
    /// By the accounts' ids.
    #[serde(deserialize_with = "those_that_can_be_read")]
    pub accounts: BTreeMap<String, Vitals>,
}

/// What cannot be read of one account (another version wrote it) is learned again, and keeps nothing from the others.
fn those_that_can_be_read<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, Vitals>, D::Error> {
    let all = BTreeMap::<String, &RawValue>::deserialize(deserializer)?;
    let read = |(id, vitals): (String, &RawValue)| Some((id, serde_json::from_str(vitals.get()).ok()?));
    Ok(all.into_iter().filter_map(read).collect())
}

/// Oldest first.
#[derive(Debug, Default)]
pub(super) struct Departed(Vec<(AccountId, Arc<Live>)>);

impl Departed {
    /// Remembers an account that leaves.
    pub(super) fn keep(&mut self, member: &Member) {
        self.add(member.account.id.clone(), Arc::clone(&member.live));
    }

    /// An account that comes, with what is known about it. Its upkeep begins anew.
    pub(super) fn back(&mut self, account: Account, now: Moment) -> Member {
        let known = self.0.iter().position(|(id, _)| *id == account.id);
        let live = known.map(|index| self.0.remove(index).1).unwrap_or_default();
        let member = Member { account, seen: now, live };
        member.set_trouble(Trouble::default());
        member
    }

    fn add(&mut self, id: AccountId, live: Arc<Live>) {
        self.0.retain(|(known, _)| *known != id);
        if self.0.len() >= MOST_DEPARTED {
            self.0.remove(0);
        }
        self.0.push((id, live));
    }
}

impl Member {
    /// The account after a change of its file.
    pub(super) fn with(&self, account: Account, now: Moment) -> Self {
        if self.account.differs_beyond_tokens(&account) {
            self.vitals().health.changed();
        }
        let access = |account: &Account| account.oauth().map(|tokens| tokens.access.clone());
        let seen = if access(&account) == access(&self.account) { self.seen } else { now };
        Self { account, seen, live: Arc::clone(&self.live) }
    }
}

impl Pool {
    /// What is to be known after the next start.
    pub fn memory(&self) -> Memory {
        let departed: Vec<_> =
            self.lock().0.iter().map(|(id, live)| (id.to_string(), Arc::clone(live))).collect();
        let snapshot = self.snapshot();
        let members = snapshot.members.iter();
        let present = members.map(|member| (member.account.id.to_string(), Arc::clone(&member.live)));
        Memory {
            accounts: departed.into_iter().chain(present).map(|(id, live)| (id, live.known())).collect(),
        }
    }

    /// Takes over what the last run knew. Called once, before the accounts come.
    pub fn remember(&self, memory: Memory) {
        let mut departed = self.lock();
        for (id, vitals) in memory.accounts {
            if let Some(id) = AccountId::parse(&id) {
                departed.add(id, Arc::new(Live::remembered(vitals)));
            }
        }
    }

    /// Tells one state of what is worth remembering from another.
    pub fn revision(&self) -> u64 {
        self.shared.revision.load(Ordering::Acquire)
    }

    /// Resolves once there is more worth remembering than there was at this revision. One may wait: a second one would take the
    /// first one's place.
    pub async fn changed_since(&self, revision: u64) {
        std::future::poll_fn(|context| {
            self.shared.keeper.register(context.waker());
            if self.revision() == revision { Poll::Pending } else { Poll::Ready(()) }
        })
        .await;
    }
}
