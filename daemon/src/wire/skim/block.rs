//! Where a string of JSON may end, looked at in blocks: one bit for each byte of a block, and no branch for each byte, which a
//! processor would guess wrongly as often as the text surprises.

use wide::u8x16;

/// As many bytes as a number has bits.
pub(super) const BLOCK: usize = 64;

/// The characters that matter inside a string.
const QUOTE: u8x16 = u8x16::new([b'"'; 16]);
const BACKSLASH: u8x16 = u8x16::new([b'\\'; 16]);
/// The end of a line, which is what most escapes stand for.
const LINE: u8x16 = u8x16::new([b'n'; 16]);

/// Follows backslashes from block to block.
#[derive(Debug, Default)]
pub(super) struct Escapes {
    /// 1 where the first byte of the next block is escaped, else 0.
    next: u64,
}

/// What matters of a block inside a string, a bit for each byte.
#[derive(Clone, Copy, Debug)]
pub(super) struct Marks {
    /// Quotes that are not escaped.
    pub(super) ends: u64,
    /// What a backslash stands before that is not escaped itself, but for the three most usual: quotes, backslashes and `n`.
    pub(super) unusual: u64,
}

impl Escapes {
    /// The quotes of the next block that are not escaped.
    pub(super) fn ends(&mut self, block: &[u8; BLOCK]) -> u64 {
        let escaped = self.escaped(places(block, |bytes| bytes.simd_eq(BACKSLASH)));
        places(block, |bytes| bytes.simd_eq(QUOTE)) & !escaped
    }

    /// The same, and what is escaped that seldom is.
    pub(super) fn marks(&mut self, block: &[u8; BLOCK]) -> Marks {
        let escaped = self.escaped(places(block, |bytes| bytes.simd_eq(BACKSLASH)));
        let quotes = places(block, |bytes| bytes.simd_eq(QUOTE));
        let usual = |bytes: u8x16| bytes.simd_eq(QUOTE) | bytes.simd_eq(BACKSLASH) | bytes.simd_eq(LINE);
        Marks { ends: quotes & !escaped, unusual: escaped & !places(block, usual) }
    }

    /// The bytes that a backslash escapes: in a row of backslashes each second one, and what follows a row of an odd length.
    fn escaped(&mut self, backslashes: u64) -> u64 {
        const EVEN: u64 = 0x5555_5555_5555_5555;
        let escaping = backslashes & !self.next;
        let behind = (escaping << 1) | self.next;
        // To a row that begins at an odd place its first bit is added, which carries it to the place behind its end; the others stay as
        // they are. Of the places behind a row's backslashes every second one is escaped, counted from where it begins: what is carried
        // turns EVEN over where that is at an odd place.
        let begins_odd = escaping & !EVEN & !behind;
        let (carried, overflows) = escaping.overflowing_add(begins_odd);
        self.next = u64::from(overflows);
        (EVEN ^ (carried << 1)) & behind
    }
}

/// The control characters, which no string may hold as they are (RFC 8259, section 7).
pub(super) fn controls(block: &[u8; BLOCK]) -> u64 {
    places(block, is_control)
}

/// Whether there is any.
pub(super) fn has_control(block: &[u8; BLOCK]) -> bool {
    let quarters = block.as_chunks::<16>().0.iter();
    quarters.fold(u8x16::ZERO, |found, bytes| found | is_control(u8x16::new(*bytes))).to_bitmask() != 0
}

fn is_control(bytes: u8x16) -> u8x16 {
    bytes.simd_lt(u8x16::splat(b' '))
}

/// Where the bytes stand for which this gives ones.
fn places(block: &[u8; BLOCK], are: impl Fn(u8x16) -> u8x16) -> u64 {
    let quarters = block.as_chunks::<16>().0.iter().enumerate();
    quarters.fold(0, |found, (quarter, bytes)| {
        found | u64::from(are(u8x16::new(*bytes)).to_bitmask()) << (16 * quarter)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::skim::tests::ends_one_by_one;

    fn in_blocks(text: &[u8]) -> Vec<usize> {
        let (mut ends, mut escapes) = (Vec::new(), Escapes::default());
        for (index, block) in text.as_chunks::<BLOCK>().0.iter().enumerate() {
            let found = escapes.ends(block);
            ends.extend((0..BLOCK).filter(|bit| found >> bit & 1 == 1).map(|bit| BLOCK * index + bit));
        }
        ends
    }

    proptest! {
        #[test]
        fn quotes_that_are_not_escaped_are_found(text in prop::collection::vec(prop_oneof![Just(b'"'), Just(b'\\'), Just(b'a'), Just(b'"' | 0x80)], 4 * BLOCK)) {
            prop_assert_eq!(in_blocks(&text), ends_one_by_one(&text));
        }

        #[test]
        fn rows_of_backslashes_cross_blocks(before in 0..2 * BLOCK, row in 0..2 * BLOCK) {
            let mut text = vec![b'a'; before];
            text.extend(vec![b'\\'; row]);
            text.resize(4 * BLOCK, b'"');
            prop_assert_eq!(in_blocks(&text), ends_one_by_one(&text));
        }
    }
}
