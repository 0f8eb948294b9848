//! Of whom something was heard, for the boards to look at.

use std::collections::VecDeque;

/// What was heard is kept for so many answers. Who has missed more looks at everybody.
const MOST_HEARD: usize = 1024;

/// The numbers of the accounts of whom something was heard, in order.
#[derive(Debug, Default)]
pub(super) struct Heard {
    /// Those that are not kept any more.
    before: u64,
    numbers: VecDeque<u64>,
}

impl Heard {
    pub(super) fn push(&mut self, number: u64) {
        if self.numbers.len() >= MOST_HEARD {
            self.numbers.pop_front();
            self.before += 1;
        }
        self.numbers.push_back(number);
    }

    pub(super) fn end(&self) -> u64 {
        self.before + self.numbers.len() as u64
    }

    /// What came after the first `seen`, if all of that is known still.
    pub(super) fn since(&self, seen: u64) -> Option<impl Iterator<Item = u64>> {
        let skip = usize::try_from(seen.checked_sub(self.before)?).ok()?;
        Some(self.numbers.iter().skip(skip).copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_missed_too_much_looks_at_everybody() {
        let mut heard = Heard::default();
        for number in 0..MOST_HEARD as u64 + 5 {
            heard.push(number);
        }
        assert!(heard.since(4).is_none());
        assert_eq!(heard.since(5).unwrap().count(), MOST_HEARD);
        assert_eq!(heard.since(heard.end()).unwrap().count(), 0);
    }
}
