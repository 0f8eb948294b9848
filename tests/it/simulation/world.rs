//! The accounts, their windows, the people, and a week of it.

use proxyd::account::{Account, Document, FileName};
use proxyd::clock::{ManualClock, SignedDuration, Timestamp};
use proxyd::pool::quota::{Reading, WindowKind};
use proxyd::pool::{AffinityKey, Asked, Config, NoAccount, Pool, Reach, Signal, Strategy};

const MODEL: &str = "claude-opus-5";
const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// A prompt cache lives for as long.
const CACHE: i64 = 5 * MINUTE;
const END: i64 = 7 * DAY;

/// What a week came to, as shares of all requests, and of all quota.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outcome {
    pub(super) refused: f64,
    pub(super) unused: f64,
    pub(super) warm: f64,
    /// Calls upstream that were answered with 429.
    pub(super) in_vain: f64,
}

/// SplitMix64: small, and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    fn between(&mut self, least: i64, most: i64) -> i64 {
        least + i64::try_from(self.next() % u64::try_from(most - least + 1).unwrap()).unwrap()
    }
}

/// One window of an account's plan, on the provider's side.
struct Window {
    name: &'static str,
    length: i64,
    /// In units of cost.
    holds: f64,
    used: f64,
    /// `None` while it has not begun.
    ends: Option<i64>,
}

impl Window {
    /// Begins anew what is over, and says what was left of it.
    fn pass(&mut self, now: i64) -> Option<f64> {
        let ends = self.ends.filter(|ends| *ends <= now)?;
        let left = self.holds - self.used;
        self.used = 0.0;
        // The week goes on by itself, the five hours begin with the next request.
        self.ends = (self.length > DAY).then_some(ends + self.length);
        Some(left)
    }

    fn reading(&self, now: i64) -> Reading {
        let resets_at = Some(at(self.ends.unwrap_or(now + self.length)));
        Reading {
            name: self.name.to_owned(),
            kind: WindowKind::Plan,
            used: self.used / self.holds,
            resets_at,
        }
    }
}

/// One account on the provider's side.
struct Plan {
    windows: [Window; 2],
}

impl Plan {
    /// Of `size`: what a person with a small plan has is 1. Its week begins at `phase`, and was used evenly so far.
    fn new(size: f64, phase: i64) -> Self {
        let window = |name, length, holds: f64, used: f64, ends| Window {
            name,
            length,
            holds: holds * size,
            used: used * holds * size,
            ends,
        };
        #[expect(clippy::cast_precision_loss, reason = "a week has few seconds")]
        let used = 1.0 - phase as f64 / END as f64;
        Self {
            windows: [
                window("5h", 5 * HOUR, 12.0, 0.0, None),
                window("7d", 7 * DAY, 100.0, used, Some(phase)),
            ],
        }
    }

    /// Answers a request of this cost: the readings, and the time until which it is limited instead.
    fn ask(&mut self, cost: f64, now: i64) -> (Vec<Reading>, Option<i64>) {
        for window in &mut self.windows {
            window.ends.get_or_insert(now + window.length);
        }
        let full = self.windows.iter().filter(|window| window.used >= window.holds);
        let limited = full.filter_map(|window| window.ends).max();
        if limited.is_none() {
            self.windows.iter_mut().for_each(|window| window.used += cost);
        }
        (self.windows.iter().map(|window| window.reading(now)).collect(), limited)
    }
}

/// A conversation that goes on for some hours, pauses, and goes on.
struct Conversation {
    key: AffinityKey,
    next: i64,
    /// Until when the person is at it.
    until: i64,
    /// Whose cache holds it, and since when.
    cached: Option<(usize, i64)>,
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// What the accounts' plans hold, in small ones.
const SIZES: [u32; 10] = [1, 1, 1, 1, 1, 5, 5, 5, 20, 20];

/// With the weights that a person who knows the plans would set, where weights count.
fn accounts(strategy: Strategy) -> Vec<Account> {
    let account = |(n, size): (usize, &u32)| {
        let weight = if strategy == Strategy::Weighted { *size } else { 1 };
        let text = format!(
            r#"{{"access_token":"sk-ant-oat01-FAKE{n}","account_uuid":"account-{n}","organization_uuid":"o","weight":{weight}}}"#
        );
        let file = FileName::parse(&format!("claude-{n}.json")).unwrap();
        Document::parse(text.as_bytes()).unwrap().to_account(file).unwrap()
    };
    SIZES.iter().enumerate().map(account).collect()
}

/// A week with this strategy.
pub(super) fn week(strategy: Strategy, affinity: bool) -> Outcome {
    let clock = ManualClock::at(at(0));
    let pool = Pool::new(Config { strategy, affinity, ..Config::default() }, clock.clock());
    let accounts = accounts(strategy);
    accounts.iter().cloned().for_each(|account| pool.publish(account));
    let mut random = Random(7);
    let mut plans: Vec<Plan> =
        SIZES.iter().map(|size| Plan::new(f64::from(*size), random.between(HOUR, 7 * DAY))).collect();
    let mut conversations: Vec<Conversation> = (0..100_u32)
        .map(|n| {
            let next = random.between(0, DAY);
            let until = next + random.between(HOUR, 2 * HOUR);
            Conversation {
                key: AffinityKey::of("simulated", [n.to_be_bytes().as_slice()]),
                next,
                until,
                cached: None,
            }
        })
        .collect();
    let (mut requests, mut refused, mut warm, mut calls, mut in_vain) = (0_u32, 0_u32, 0_u32, 0_u32, 0_u32);
    let (mut left, mut whole) = (0.0, 0.0);
    loop {
        let conversation = conversations.iter_mut().min_by_key(|one| one.next).unwrap();
        let now = conversation.next;
        if now >= END {
            break;
        }
        clock.advance(SignedDuration::from_secs(now - clock.now().as_second()));
        for window in plans.iter_mut().flat_map(|plan| &mut plan.windows) {
            let unused = window.pass(now).filter(|_| window.length > DAY);
            if let Some(unused) = unused {
                left += unused.max(0.0);
                whole += window.holds;
            }
        }
        requests += 1;
        let mut tried = Vec::new();
        loop {
            let asked = Asked { affinity: Some(conversation.key), tried: &tried, ..Asked::messages(MODEL) };
            let lease = match pool.acquire(&asked) {
                Ok(lease) => lease,
                Err(NoAccount::Cooling { .. } | NoAccount::Exhausted) => {
                    refused += 1;
                    break;
                }
                Err(other) => panic!("{other:?}"),
            };
            let account = accounts.iter().position(|account| account.id == lease.account().id).unwrap();
            let is_warm =
                conversation.cached.is_some_and(|(home, last)| home == account && now - last <= CACHE);
            // What a cache holds costs a tenth of what it does without.
            let (readings, limited) = plans[account].ask(if is_warm { 0.19 } else { 1.0 }, now);
            calls += 1;
            lease.observe(&readings, None);
            if let Some(until) = limited {
                in_vain += 1;
                lease.settle(&Signal::RateLimited { until: Some(at(until)), reach: Reach::Account });
                tried.push(lease.account().id.clone());
                continue;
            }
            lease.settle(&Signal::Served);
            // The first request of a sitting finds no cache anywhere.
            warm += u32::from(is_warm);
            conversation.cached = Some((account, now));
            break;
        }
        conversation.next += random.between(2 * MINUTE, 5 * MINUTE);
        if conversation.next > conversation.until {
            conversation.next += random.between(4 * HOUR, 20 * HOUR);
            conversation.until = conversation.next + random.between(HOUR, 2 * HOUR);
        }
    }
    let share = |part: u32, all: u32| f64::from(part) / f64::from(all);
    Outcome {
        refused: share(refused, requests),
        unused: left / whole,
        warm: share(warm, requests - refused),
        in_vain: share(in_vain, calls),
    }
}
