//! Learns from an answer as it passes what its account made.

use super::scan::{Key, Scanner, Sight};
use super::{Kind, Owners};
use crate::id::AccountId;

/// What an answer may tell.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Teaches {
    kinds: Vec<Kind>,
    /// It says what the account holds. Others only mention things, as a model may that was told of them.
    lists: bool,
}

/// One answer under observation.
#[derive(Debug)]
pub struct Witness {
    owners: Owners,
    account: AccountId,
    teaches: Teaches,
    scanner: Scanner,
}

impl Teaches {
    /// An answer that says what the account holds of `kind`.
    pub fn listing(kind: Kind) -> Self {
        Self { kinds: vec![kind], lists: true }
    }

    /// An answer that mentions what it made.
    pub fn mentioning(kinds: impl IntoIterator<Item = Kind>) -> Self {
        Self { kinds: kinds.into_iter().collect(), lists: false }
    }

    pub fn nothing(&self) -> bool {
        self.kinds.is_empty()
    }

    /// And this.
    #[must_use]
    pub fn and(mut self, kind: Kind) -> Self {
        self.kinds.push(kind);
        self
    }
}

impl Witness {
    pub fn new(owners: &Owners, account: &AccountId, teaches: Teaches) -> Self {
        let (owners, account) = (owners.clone(), account.clone());
        Self { owners, account, teaches, scanner: Scanner::default() }
    }

    /// The next bytes of the answer, decoded.
    pub fn observe(&mut self, bytes: &[u8]) {
        let Self { owners, account, teaches, scanner } = self;
        scanner.push(bytes, &mut |sight| {
            let Sight::Named(key, mark) = sight else { return };
            let is_its_name = match key {
                Key::Id => true,
                Key::FileId => mark.kind == Kind::File,
                Key::Signature => mark.kind == Kind::Thought,
                Key::Container
                | Key::PreviousMessageId
                | Key::Type
                | Key::Thread
                | Key::Diagnostics
                | Key::Other
                | Key::None => false,
            };
            if !is_its_name || !teaches.kinds.contains(&mark.kind) {
                return;
            }
            if teaches.lists {
                owners.note(mark, account.clone());
            } else {
                owners.hear(mark, account);
            }
        });
    }
}
