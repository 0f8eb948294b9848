//! Which account a conversation belongs to, without remembering it. Pure.
//!
//! Prompt caches live with the account that filled them, so the requests of a conversation should go to one. Rendezvous
//! hashing gives each account a draw for each conversation, and the highest draw wins: the same accounts give the
//! same winner, also after a restart, and where one leaves or its share changes only the conversations it wins or
//! loses move. An account with twice the share wins twice the conversations.

use sha2::{Digest, Sha256};

/// What holds a conversation's requests together: a hash of what its client calls it, or of how it begins.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct AffinityKey(u64);

impl AffinityKey {
    /// Of these parts, in this order; `kind` keeps one sort of key from being taken for another.
    pub fn of<'a>(kind: &str, parts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut hash = Sha256::new();
        hash.update(kind.as_bytes());
        for part in parts {
            // The length keeps ("ab", "c") from being ("a", "bc").
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        let first: [u8; 8] = *hash.finalize().first_chunk().unwrap_or(&[0; 8]);
        Self(u64::from_be_bytes(first))
    }

    /// Of how a conversation begins.
    pub fn of_gist(gist: &Gist) -> Self {
        Self(mix(gist.state ^ mix(gist.word ^ gist.length.rotate_left(32))))
    }

    /// As the number of an account.
    pub(super) fn number(self) -> u64 {
        self.0
    }

    /// The account's draw for this conversation. The highest wins; each wins as often as its share of all shares.
    pub fn draw(self, account: u64, share: f64) -> f64 {
        // Uniform in (0, 1), and never its ends: the logarithm of either is of no use.
        #[expect(clippy::cast_precision_loss, reason = "53 bits are what the float holds")]
        let uniform = (self.luck(account) as f64 + 0.5) / (1_u64 << 53) as f64;
        share / -uniform.ln()
    }

    /// What decides between accounts with one share: their draws are in the order of this, which takes no logarithm.
    pub(super) fn luck(self, account: u64) -> u64 {
        mix(self.0 ^ account) >> 11
    }
}

/// A text that comes in pieces, as a number: a few instructions for eight bytes of it, where a cryptographic hash takes hundreds. It
/// keeps texts apart that differ by chance. Who makes two that do not only has them answered by one account.
#[derive(Clone, Debug)]
pub struct Gist {
    state: u64,
    /// The last bytes, less than eight.
    word: u64,
    length: u64,
}

impl Gist {
    pub const fn new() -> Self {
        Self { state: 0x9e37_79b9_7f4a_7c15, word: 0, length: 0 }
    }

    pub fn push(&mut self, mut bytes: &[u8]) {
        while let Some((byte, rest)) = bytes.split_first().filter(|_| !self.length.is_multiple_of(8)) {
            self.byte(*byte);
            bytes = rest;
        }
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.take(u64::from_le_bytes(*word));
        }
        self.length += 8 * words.len() as u64;
        for byte in rest {
            self.byte(*byte);
        }
    }

    fn byte(&mut self, byte: u8) {
        self.word = self.word << 8 | u64::from(byte);
        self.length += 1;
        if self.length.is_multiple_of(8) {
            let word = std::mem::take(&mut self.word);
            self.take(word.swap_bytes());
        }
    }

    fn take(&mut self, word: u64) {
        self.state = mix(self.state ^ word).wrapping_add(0x9e37_79b9_7f4a_7c15);
    }
}

impl Default for Gist {
    fn default() -> Self {
        Self::new()
    }
}

/// The finalizer of SplitMix64: each bit of the input changes half of those of the output.
fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: u64) -> AffinityKey {
        AffinityKey::of("test", [n.to_be_bytes().as_slice()])
    }

    fn account(n: u64) -> u64 {
        key(n ^ 0xffff_0000).0
    }

    /// How many of 10,000 conversations each account wins.
    fn won(shares: &[f64]) -> Vec<usize> {
        let mut won = vec![0; shares.len()];
        for n in 0..10_000 {
            won[winner(key(n), shares)] += 1;
        }
        won
    }

    fn winner(key: AffinityKey, shares: &[f64]) -> usize {
        let draw = |index: usize| key.draw(account(index as u64), shares[index]);
        (0..shares.len()).max_by(|a, b| draw(*a).total_cmp(&draw(*b))).unwrap()
    }

    #[test]
    fn each_account_wins_its_share() {
        let near = |won: usize, expected: usize| won.abs_diff(expected) < 300;
        assert!(won(&[1.0; 4]).into_iter().all(|won| near(won, 2500)));
        let uneven = won(&[1.0, 3.0, 4.0, 0.0]);
        assert!(near(uneven[0], 1250) && near(uneven[1], 3750) && near(uneven[2], 5000) && uneven[3] == 0);
    }

    #[test]
    fn only_the_conversations_of_an_account_that_leaves_move() {
        for n in 0..2000 {
            let before = winner(key(n), &[1.0; 5]);
            let after = winner(key(n), &[1.0, 1.0, 0.0, 1.0, 1.0]);
            assert!(before == 2 || before == after);
        }
    }

    #[test]
    fn a_gist_is_of_the_text_and_not_of_its_pieces() {
        let of = |pieces: &[&[u8]]| {
            let mut gist = Gist::new();
            for piece in pieces {
                gist.push(piece);
            }
            AffinityKey::of_gist(&gist)
        };
        let text = b"What is said at the beginning, and a little more than that.";
        for first in 0..=text.len() {
            for second in first..=text.len() {
                assert_eq!(of(&[text]), of(&[&text[..first], &text[first..second], &text[second..]]));
            }
            let mut other = *text;
            if let Some(byte) = other.get_mut(first) {
                *byte ^= 1;
                assert_ne!(of(&[text]), of(&[&other]));
            }
            assert_eq!(of(&[text]) == of(&[&text[..first]]), first == text.len());
        }
        assert_ne!(of(&[b"\0"]), of(&[b"\0\0"]));
        assert_ne!(of(&[&[0; 8]]), of(&[&[0; 16]]));
    }

    #[test]
    fn the_parts_of_a_key_are_told_apart() {
        let of = |parts: &[&str]| AffinityKey::of("x", parts.iter().map(|part| part.as_bytes()));
        assert_ne!(of(&["ab", "c"]), of(&["a", "bc"]));
        assert_ne!(AffinityKey::of("x", []), AffinityKey::of("y", []));
        // On disk and in people's minds a conversation stays where it is: the hash must not change.
        assert_eq!(AffinityKey::of("session", [b"s".as_slice()]), AffinityKey(10_684_481_172_475_677_651));
    }
}
