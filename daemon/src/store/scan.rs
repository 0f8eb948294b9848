//! One look at the whole directory: every account file with what it holds or why it is not used.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::Path;

use super::read::{self, Loaded, Unusable};
use crate::account::FileName;
use crate::clock::Timestamp;
use crate::id::AccountId;

/// What one file turned out to be.
pub type Finding = Result<Loaded, Unusable>;

/// Every file of the directory that is named like an account's, in the order of names.
#[derive(Debug, Default)]
pub struct Scan {
    pub files: BTreeMap<FileName, Finding>,
}

pub(super) fn scan(dir: &Path) -> io::Result<Scan> {
    let mut files = BTreeMap::new();
    for entry in dir.read_dir()? {
        let name = entry?.file_name();
        let Some(Ok(name)) = name.to_str().map(FileName::parse) else { continue };
        match read::read(dir, &name) {
            Err(Unusable::Gone) => {}
            finding => drop(files.insert(name, finding)),
        }
    }
    let mut scan = Scan { files };
    scan.keep_newest();
    Ok(scan)
}

impl Scan {
    /// Of several files that hold one identity only the one issued last is used: the others hold spent refresh tokens.
    fn keep_newest(&mut self) {
        let mut newest: HashMap<AccountId, (Option<Timestamp>, FileName)> = HashMap::new();
        let mut losers = Vec::new();
        for (name, finding) in &self.files {
            let Ok(loaded) = finding else { continue };
            let mine = (loaded.account.last_refresh, name.clone());
            match newest.get_mut(&loaded.account.id) {
                None => drop(newest.insert(loaded.account.id.clone(), mine)),
                Some(best) if *best < mine => {
                    losers.push((std::mem::replace(best, mine).1, loaded.account.id.clone()));
                }
                Some(_) => losers.push((name.clone(), loaded.account.id.clone())),
            }
        }
        for (name, id) in losers {
            if let Some((_, newer)) = newest.get(&id) {
                self.files.insert(name, Err(Unusable::Superseded { newer: newer.clone() }));
            }
        }
    }
}
