//! Keeps the service manager's line about the accounts true: how many can be used, are cooling, or need a login. Told when
//! it changes, and to nobody where nobody listens.

use std::sync::Arc;
use std::time::Duration;

use tracing::Instrument as _;

use crate::account::Settings;
use crate::clock::{Clock, Timestamp};
use crate::pool::{Member, Pool, Snapshot, State};
use crate::systemd;
use crate::tasks::Tasks;

/// Between two looks while time, or an answer, may change a state without an event.
const LOOK: Duration = Duration::from_mins(1);
/// A time that has come is not waited for in vain: it is over a moment later.
const MOMENT: Duration = Duration::from_millis(50);

/// The component that tells; clones share everything.
#[derive(Clone, Debug)]
pub struct Announcer {
    pub pool: Arc<Pool>,
    pub clock: Clock,
    pub tasks: Tasks,
}

impl Announcer {
    /// The state of the accounts in one line.
    pub fn line(&self) -> String {
        line(&self.pool.snapshot(), self.clock.now())
    }

    /// Says that all is up, and from then on what changes.
    pub fn start(&self) {
        // Before the first line, so that no change falls in between.
        let mut events = self.pool.events().subscribe();
        let mut told = self.line();
        systemd::ready(&told);
        if !systemd::is_heard() {
            return;
        }
        let this = self.clone();
        let telling = async move {
            loop {
                let pause = pause(&this.pool.snapshot(), this.clock.now());
                tokio::select! {
                    // What is told of a stop stands until the end.
                    biased;
                    () = this.tasks.stopping() => return,
                    news = events.next() => if news.is_none() { return },
                    () = sleep(pause) => {}
                }
                let line = this.line();
                if line != told {
                    systemd::status(&line);
                    told = line;
                }
            }
        };
        self.tasks.spawn_vital("announcer", telling.instrument(tracing::info_span!("announcer")));
    }
}

async fn sleep(pause: Option<Duration>) {
    match pause {
        Some(pause) => tokio::time::sleep(pause).await,
        None => std::future::pending().await,
    }
}

/// Such as "3 accounts usable, 1 cooling, 1 needs a login". One that serves on while it needs a login is both.
fn line(snapshot: &Snapshot, now: Timestamp) -> String {
    let count = |is: &dyn Fn(&Member) -> bool| snapshot.members.iter().filter(|member| is(member)).count();
    let usable = count(&|member| member.is_usable(now));
    let cooling = count(&|member| matches!(member.state(now), State::Cooling { in_part: false, .. }));
    let login = count(&|member| matches!(member.state(now), State::NeedsLogin(_)));
    let usable = format!("{usable} {} usable", if usable == 1 { "account" } else { "accounts" });
    let cooling = (cooling > 0).then(|| format!("{cooling} cooling"));
    let login = match login {
        0 => None,
        1 => Some("1 needs a login".to_owned()),
        _ => Some(format!("{login} need a login")),
    };
    [Some(usable), cooling, login].into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// Until the next look, where one is needed though nothing is told: a cooldown ends, a reserve is reached, or a token that
/// nothing renews ends.
fn pause(snapshot: &Snapshot, now: Timestamp) -> Option<Duration> {
    let pauses = snapshot.members.iter().filter_map(|member| {
        let account = &member.account;
        match member.state(now) {
            State::Cooling { until, .. } => {
                Some(Duration::try_from(until.duration_since(now)).unwrap_or_default() + MOMENT)
            }
            _ if account.settings.reserve > Settings::default().reserve => Some(LOOK),
            _ => account.oauth().is_some_and(|tokens| tokens.refresh.is_none()).then_some(LOOK),
        }
    });
    pauses.min().map(|pause| pause.min(LOOK))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::{Document, FileName};
    use crate::pool::{Asked, Config, Reach, Signal};

    const NOW: &str = "2026-06-01T00:00:00Z";
    const RENEWED: &str = r#","refresh_token":"r""#;

    fn publish(pool: &Pool, name: &str, more: &str) {
        let json = format!(r#"{{"access_token":"t","account_uuid":"{name}"{more}}}"#);
        let document = Document::parse(json.as_bytes()).unwrap();
        let file = FileName::parse(&format!("claude-{name}.json")).unwrap();
        pool.publish(document.to_account(file).unwrap());
    }

    #[test]
    fn the_line_counts_who_can_be_used_who_is_cooling_and_who_needs_a_login() {
        let now: Timestamp = NOW.parse().unwrap();
        let clock = crate::clock::ManualClock::at(now).clock();
        let pool = Pool::new(Config::default(), clock);
        assert_eq!(line(&pool.snapshot(), now), "0 accounts usable");
        publish(&pool, "a", RENEWED);
        assert_eq!(line(&pool.snapshot(), now), "1 account usable");
        assert_eq!(pause(&pool.snapshot(), now), None, "nothing is looked at while nothing can change");
        let until = now + crate::clock::SignedDuration::from_secs(5);
        let limited = Signal::RateLimited { until: Some(until), reach: Reach::Account };
        pool.acquire(&Asked::messages("m")).unwrap().settle(&limited);
        publish(&pool, "b", RENEWED);
        publish(&pool, "c", RENEWED);
        publish(&pool, "d", r#","disabled":true"#);
        assert_eq!(line(&pool.snapshot(), now), "2 accounts usable, 1 cooling");
        assert_eq!(pause(&pool.snapshot(), now), Some(Duration::from_secs(5) + MOMENT));
        // A token that ended, and that nothing renews.
        for (name, words) in [("e", "1 needs a login"), ("f", "2 need a login")] {
            publish(&pool, name, r#","expired":"2026-05-01T00:00:00Z""#);
            assert_eq!(line(&pool.snapshot(), now), format!("2 accounts usable, 1 cooling, {words}"));
        }
    }
}
