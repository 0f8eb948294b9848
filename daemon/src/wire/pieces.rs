//! A body in the pieces that it is kept in. A long one is not moved to stand in one place, and each piece is looked through when it
//! is added: it has just come, and is still at hand.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::OnceLock;

use bytes::Bytes;

use super::skim::Outline;

#[derive(Debug, Default)]
pub struct Pieces {
    first: Bytes,
    more: Option<Box<More>>,
}

/// What is kept where there is more than one, which is seldom.
#[derive(Debug, Default)]
struct More {
    others: Vec<Bytes>,
    /// Bytes of all of them.
    length: usize,
    /// Of all of them.
    outline: Outline,
    joined: OnceLock<Bytes>,
}

impl Pieces {
    pub fn push(&mut self, piece: Bytes) {
        if self.first.is_empty() {
            self.first = piece;
        } else if !piece.is_empty() {
            let more = self.more.get_or_insert_with(|| More::behind(&self.first));
            more.joined.take();
            more.length += piece.len();
            more.outline.push(&piece);
            more.others.push(piece);
        }
    }

    /// Bytes of all of them.
    pub fn len(&self) -> usize {
        self.more.as_ref().map_or(self.first.len(), |more| more.length)
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn iter(&self) -> impl Iterator<Item = &Bytes> {
        std::iter::once(&self.first).chain(self.more.iter().flat_map(|more| &more.others))
    }

    pub fn get(&self, index: usize) -> Option<&Bytes> {
        match index.checked_sub(1) {
            Some(index) => self.more.as_ref()?.others.get(index),
            None => Some(&self.first),
        }
    }

    /// What was seen of the object that it is.
    pub fn outline(&self) -> Cow<'_, Outline> {
        match &self.more {
            Some(more) => Cow::Borrowed(&more.outline),
            None => Cow::Owned(Outline::of(&self.first)),
        }
    }

    /// The bytes from one place to another, as far as they are there.
    pub fn range(&self, range: Range<usize>) -> Cow<'_, [u8]> {
        let (mut found, mut start) = (Cow::Borrowed(&b""[..]), 0);
        for piece in self.iter() {
            let inside = |at: usize| at.saturating_sub(start).min(piece.len());
            let part = piece.get(inside(range.start)..inside(range.end)).unwrap_or_default();
            match (found.is_empty(), part.is_empty()) {
                (true, false) => found = Cow::Borrowed(part),
                (false, false) => {
                    let joined = found.to_mut();
                    joined.reserve(range.end.min(self.len()).saturating_sub(start));
                    joined.extend_from_slice(part);
                }
                (_, true) => {}
            }
            start += piece.len();
        }
        found
    }

    /// All of it in one place.
    pub fn joined(&self) -> &Bytes {
        match &self.more {
            Some(more) => more.joined.get_or_init(|| self.range(0..more.length).into_owned().into()),
            None => &self.first,
        }
    }

    /// All of it, where it is one piece.
    pub fn single(&self) -> Option<&Bytes> {
        self.more.is_none().then_some(&self.first)
    }
}

impl More {
    fn behind(first: &Bytes) -> Box<Self> {
        Box::new(Self { length: first.len(), outline: Outline::of(first), ..Self::default() })
    }
}

impl From<Bytes> for Pieces {
    fn from(whole: Bytes) -> Self {
        Self { first: whole, more: None }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pieces(text: &str, ends: &[prop::sample::Index]) -> Pieces {
        let mut ends: Vec<_> =
            ends.iter().map(|end| end.index(text.len() + 1)).chain([0, text.len()]).collect();
        ends.sort_unstable();
        let mut pieces = Pieces::default();
        for ends in ends.windows(2) {
            pieces.push(Bytes::copy_from_slice(&text.as_bytes()[ends[0]..ends[1]]));
        }
        pieces
    }

    #[test]
    fn what_is_joined_is_what_is_there_now() {
        let mut pieces = Pieces::from(Bytes::from_static(b"{\"a\""));
        assert_eq!((pieces.joined().as_ref(), pieces.outline().members().is_none()), (&b"{\"a\""[..], true));
        pieces.push(Bytes::from_static(b":1"));
        assert_eq!(pieces.joined().as_ref(), b"{\"a\":1");
        pieces.push(Bytes::from_static(b"}"));
        assert_eq!((pieces.joined().as_ref(), pieces.len()), (&b"{\"a\":1}"[..], 7));
        assert_eq!(pieces.outline().members().unwrap().len(), 1);
    }

    proptest! {
        #[test]
        fn it_says_what_it_would_say_in_one_piece(
            text in r#"\{"(a{0,3}|b)": ?("a{0,40}"|[0-9]{1,9})\}"#,
            ends in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
            from in 0..60_usize, length in 0..60_usize,
        ) {
            let (parts, whole) = (pieces(&text, &ends), Pieces::from(Bytes::from(text.clone())));
            prop_assert_eq!(parts.joined(), whole.joined());
            prop_assert!((0..).map_while(|index| parts.get(index)).eq(parts.iter()));
            let (in_parts, at_once) = (parts.outline(), whole.outline());
            prop_assert_eq!(in_parts.members(), at_once.members());
            prop_assert_eq!(parts.range(from..from + length), whole.range(from..from + length));
            prop_assert_eq!(whole.range(from..from + length), text.as_bytes().get(from..(from + length).min(text.len())).unwrap_or_default());
        }
    }
}
