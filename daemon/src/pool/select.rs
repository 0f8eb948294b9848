//! Who is next. Pure: standings in, an index out.

use crate::clock::Timestamp;

/// Where one account stands for one request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Standing {
    Ready,
    /// We guess that it is in trouble until then: it comes after the ready ones.
    Guessed(Timestamp),
    /// Upstream said not to use it before then.
    Named(Timestamp),
    /// Disabled, waiting for a login, or tried already.
    Out,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Choice {
    Use(usize),
    /// Nobody before this time.
    Until(Timestamp),
    Nobody,
}

/// The first ready account at or after `cursor` (modulo `len`), else the guessed one that is due back first,
/// else when the first named one is.
pub(super) fn select(standings: impl Iterator<Item = Standing> + Clone, len: usize, cursor: usize) -> Choice {
    if len == 0 {
        return Choice::Nobody;
    }
    let start = cursor % len;
    let mut guessed: Option<(Timestamp, usize)> = None;
    let mut named: Option<Timestamp> = None;
    let turned = standings.clone().enumerate().skip(start).chain(standings.enumerate().take(start));
    for (index, standing) in turned {
        match standing {
            Standing::Ready => return Choice::Use(index),
            Standing::Guessed(until) if guessed.is_none_or(|(best, _)| until < best) => {
                guessed = Some((until, index));
            }
            Standing::Named(until) => named = Some(named.map_or(until, |best| best.min(until))),
            Standing::Guessed(_) | Standing::Out => {}
        }
    }
    match (guessed, named) {
        (Some((_, index)), _) => Choice::Use(index),
        (None, Some(until)) => Choice::Until(until),
        (None, None) => Choice::Nobody,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Standing::{Guessed, Named, Out, Ready};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn choose(standings: &[Standing], cursor: usize) -> Choice {
        select(standings.iter().copied(), standings.len(), cursor)
    }

    #[test]
    fn ready_accounts_take_turns_and_the_others_are_passed_over() {
        let standings = [Ready, Out, Ready, Guessed(at(1)), Ready];
        let turns: Vec<_> = [0, 1, 2, 3, 4, 5].into_iter().map(|cursor| choose(&standings, cursor)).collect();
        assert_eq!(turns, [0, 2, 2, 4, 4, 0].map(Choice::Use));
    }

    #[test]
    fn a_guess_never_makes_the_pool_refuse() {
        assert_eq!(choose(&[Guessed(at(9)), Named(at(1)), Guessed(at(5))], 0), Choice::Use(2));
    }

    #[test]
    fn named_times_alone_make_it_wait_for_the_first() {
        assert_eq!(choose(&[Named(at(9)), Out, Named(at(5))], 1), Choice::Until(at(5)));
        assert_eq!(choose(&[Out, Out], 1), Choice::Nobody);
        assert_eq!(choose(&[], 7), Choice::Nobody);
    }
}
