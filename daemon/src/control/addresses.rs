//! Where HTTP is served now, for people: a reload may change it.

use std::sync::Arc;

use arc_swap::ArcSwap;

/// Clones share it.
#[derive(Clone, Debug)]
pub struct Addresses(Arc<ArcSwap<Vec<String>>>);

impl Addresses {
    pub fn new(addresses: Vec<String>) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(addresses)))
    }

    pub fn get(&self) -> Vec<String> {
        self.0.load().to_vec()
    }

    pub fn set(&self, addresses: Vec<String>) {
        self.0.store(Arc::new(addresses));
    }
}
