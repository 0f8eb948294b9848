//! How often a source may present keys that are none. Whoever has a good one is never held back: keys are checked first, and only
//! refusals are counted. Guessing is hopeless anyway; this keeps it from filling the log.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Wrong keys that a source may present at once, and again after each of these spans.
const BURST: u32 = 10;
const EACH: Duration = Duration::from_secs(6);
/// Sources that are remembered. Beyond that all new ones count as one.
const MOST_SOURCES: usize = 4096;

/// Where a connection comes from.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Source {
    /// A user of this machine.
    User(u32),
    Address(IpAddr),
    /// A process of this machine that the kernel does not tell of, or one of too many.
    Other,
}

/// Clones share what they know.
#[derive(Clone, Debug, Default)]
pub(super) struct Throttle(Arc<Mutex<HashMap<Source, Instant>>>);

impl Source {
    /// The hosts of one IPv6 network are one source: each has more addresses than can be remembered.
    pub(super) fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(ip) => Self::Address(ip.into()),
            IpAddr::V6(ip) => {
                let [a, b, c, d, ..] = ip.segments();
                Self::Address(std::net::Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into())
            }
        }
    }
}

impl Throttle {
    /// Counts one more wrong key. An error is how long the source is to wait before the next one.
    pub(super) fn wrong(&self, source: Source, now: Instant) -> Result<(), Duration> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let source = if known.contains_key(&source) || known.len() < MOST_SOURCES {
            source
        } else {
            known.retain(|_, paid| *paid > now);
            if known.len() < MOST_SOURCES { source } else { Source::Other }
        };
        // Until when what was presented so far is paid for, at one a span.
        let paid = known.entry(source).or_insert(now);
        let next = (*paid).max(now) + EACH;
        match next.checked_duration_since(now + EACH * BURST).filter(|wait| !wait.is_zero()) {
            None => {
                *paid = next;
                Ok(())
            }
            Some(wait) => Err(wait),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_held_back_after_a_burst_for_as_long_as_it_is_told() {
        let (throttle, start) = (Throttle::default(), Instant::now());
        let source = Source::User(1);
        for _ in 0..BURST {
            assert_eq!(throttle.wrong(source, start), Ok(()));
        }
        assert_eq!(throttle.wrong(source, start), Err(EACH));
        assert!(throttle.wrong(source, start + EACH - Duration::from_millis(1)).is_err());
        assert_eq!(throttle.wrong(source, start + EACH), Ok(()));
        assert!(throttle.wrong(source, start + EACH).is_err());
        assert_eq!(throttle.wrong(Source::User(2), start), Ok(()));
    }

    #[test]
    fn so_many_sources_that_they_are_not_remembered_are_one() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        let address = |n: u32| Source::of(IpAddr::from(n.to_be_bytes()));
        let most = u32::try_from(MOST_SOURCES).unwrap();
        for n in 0..most {
            assert_eq!(throttle.wrong(address(n), now), Ok(()));
        }
        let refused = (most..=most + BURST).filter(|n| throttle.wrong(address(*n), now).is_err()).count();
        assert_eq!(refused, 1);
        // Who is known is judged alone, and after a while there is room again.
        assert_eq!(throttle.wrong(address(0), now), Ok(()));
        let later = now + EACH * 2 * BURST;
        assert_eq!(throttle.wrong(address(most), later), Ok(()));
        assert_eq!(throttle.0.lock().unwrap().len(), 1);
    }

    #[test]
    fn an_ipv6_network_is_one_source() {
        let of = |text: &str| Source::of(text.parse().unwrap());
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:3:4:5:6"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
    }
}
