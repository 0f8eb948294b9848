//! Says in time what would otherwise be found out too late: that a token nobody can renew ends soon. Once a day and
//! account, in the log and to whoever watches.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tracing::Instrument as _;

use crate::clock::{Clock, SignedDuration, Timestamp, after};
use crate::events::Kind;
use crate::id::AccountId;
use crate::pool::{Member, Pool};
use crate::tasks::Tasks;

/// Between two looks: an account that comes meanwhile is told about at its own time.
const LOOK: Duration = Duration::from_mins(1);
/// Between two notices about one account.
const AGAIN: SignedDuration = SignedDuration::from_hours(24);

/// The notice component; clones share everything.
#[derive(Clone, Debug)]
pub struct Notices {
    pool: Arc<Pool>,
    clock: Clock,
    tasks: Tasks,
    told: Arc<Mutex<Told>>,
}

impl Notices {
    pub fn new(pool: Arc<Pool>, clock: Clock, tasks: Tasks) -> Self {
        Self { pool, clock, tasks, told: Arc::default() }
    }

    /// Looks from now on, at once for the first time.
    pub fn start(&self) {
        let this = self.clone();
        let looking = async move {
            while !this.tasks.is_stopping() {
                this.look();
                tokio::select! {
                    () = tokio::time::sleep(LOOK) => {}
                    () = this.tasks.stopping() => {}
                }
            }
        };
        self.tasks.spawn_vital("notices", looking.instrument(tracing::info_span!("notices")));
    }

    /// Looks now: an account came, or the clock was moved.
    pub fn look(&self) {
        let now = self.clock.now();
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        for (member, end) in told.due(&self.pool.snapshot().members, now) {
            tracing::warn!(
                account.id = %member.account.id,
                ends_at = %format_args!("{end:.0}"),
                "a token that cannot be renewed ends soon: put a new one in its place"
            );
            self.pool
                .events()
                .tell(|| member.event(Kind::EndsSoon, format!("its token ends at {end:.0}"), now));
        }
    }
}

/// Who was told about when.
#[derive(Debug, Default)]
struct Told(HashMap<AccountId, Timestamp>);

impl Told {
    /// The accounts to tell about now, with the end of their tokens. Switched off ones end in silence.
    fn due<'a>(&mut self, members: &'a [Arc<Member>], now: Timestamp) -> Vec<(&'a Arc<Member>, Timestamp)> {
        let ending = members.iter().filter(|member| !member.account.disabled);
        let ending: Vec<_> =
            ending.filter_map(|member| Some((member, member.account.ends_soon(now)?))).collect();
        self.0.retain(|id, _| ending.iter().any(|(member, _)| member.account.id == *id));
        let due = ending.into_iter().filter(|(member, _)| {
            let last = self.0.get(&member.account.id);
            // A clock that was set back does not silence it.
            last.is_none_or(|last| now >= after(*last, AGAIN) || now < *last)
        });
        let due: Vec<_> = due.collect();
        self.0.extend(due.iter().map(|(member, _)| (member.account.id.clone(), now)));
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::{Document, FileName};

    #[test]
    fn each_ending_token_is_told_about_once_a_day() {
        let pool = Pool::new(crate::pool::Config::default(), Clock::system());
        for (name, json) in [
            ("claude-a.json", r#"{"access_token":"a","account_uuid":"a","expired":"2026-06-10T00:00:00Z"}"#),
            (
                "claude-b.json",
                r#"{"access_token":"b","account_uuid":"b","expired":"2026-06-10T00:00:00Z","disabled":true}"#,
            ),
            ("claude-c.json", r#"{"access_token":"c","account_uuid":"c","expired":"2027-06-10T00:00:00Z"}"#),
        ] {
            let document = Document::parse(json.as_bytes()).unwrap();
            pool.publish(document.to_account(FileName::parse(name).unwrap()).unwrap());
        }
        let mut told = Told::default();
        let mut at = |time: &str| {
            let snapshot = pool.snapshot();
            let due = told.due(&snapshot.members, time.parse().unwrap());
            due.iter().map(|(member, _)| member.account.file.to_string()).collect::<Vec<_>>()
        };
        let none = Vec::<String>::new();
        assert_eq!(at("2026-05-01T00:00:00Z"), none);
        assert_eq!(at("2026-06-01T00:00:00Z"), ["claude-a.json"]);
        assert_eq!(at("2026-06-01T23:59:00Z"), none);
        assert_eq!(at("2026-06-02T00:00:00Z"), ["claude-a.json"]);
        assert_eq!(at("2026-06-01T12:00:00Z"), ["claude-a.json"], "the clock was set back");
        assert_eq!(at("2026-06-10T00:00:00Z"), none, "it has ended");
    }
}
