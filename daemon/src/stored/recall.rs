//! What a request goes on from: the conversation that a stored response ends, and items of stored responses.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::{Holder, StoredResponses};
use crate::clock::SignedDuration;
use crate::translate::responses::Recalled;
use crate::wire::responses::ResponseId;

/// Responses one conversation may go back.
const LONGEST_CHAIN: usize = 1000;
/// All of a conversation that one request goes on from: as large as a request may be.
const MOST_RECALLED: u64 = 32 * 1024 * 1024;

/// Why what a request goes on from cannot be found.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecallError {
    #[error("storing responses is switched off here (responses.store); send the whole conversation in input")]
    Off,
    #[error(
        "response {id:?} is not known: it was not stored (store: false), was deleted, or was not used for {ttl:#}; \
         send the whole conversation in input"
    )]
    UnknownResponse { id: String, ttl: SignedDuration },
    #[error(
        "response {id:?} goes on from {missing}, which is not stored any more; send the whole conversation in input"
    )]
    Broken { id: String, missing: String },
    #[error(
        "the conversation that response {id:?} ends is too long to be continued here; send its last part in input"
    )]
    TooLong { id: String },
    #[error("the items that it refers to are together too large; send fewer references")]
    TooMuch,
    #[error(
        "item {id:?} is not known: its response was not stored (store: false), was deleted, or was not used for {ttl:#}; send the \
         item itself in input instead of a reference"
    )]
    UnknownItem { id: String, ttl: SignedDuration },
}

impl StoredResponses {
    /// What a request goes on from: the conversation that `previous` ends, and the items of these ids, all of them the
    /// holder's.
    pub async fn recall(
        &self,
        previous: Option<&str>,
        items: &[&str],
        holder: Option<&Holder>,
    ) -> Result<Recalled, RecallError> {
        let keeps = self.0.config.load().enabled;
        if previous.is_none() && items.is_empty() {
            return Ok(Recalled { keeps, ..Recalled::default() });
        }
        if !keeps {
            return Err(RecallError::Off);
        }
        let conversation = match previous {
            Some(id) => self.conversation(id, holder).await?,
            None => Vec::new(),
        };
        Ok(Recalled { conversation, items: self.items(items, holder).await?, keeps })
    }

    /// The items of a conversation, oldest first, as arrays.
    async fn conversation(
        &self,
        last: &str,
        holder: Option<&Holder>,
    ) -> Result<Vec<Box<RawValue>>, RecallError> {
        let unknown = || RecallError::UnknownResponse { id: last.to_owned(), ttl: self.0.config.load().ttl };
        let mut newest_first = Vec::new();
        let mut size = 0;
        let mut next = Some(ResponseId::parse(last).ok_or_else(unknown)?);
        while let Some(id) = next.take() {
            let Some(record) = self.get(&id, holder).await else {
                let broken = || RecallError::Broken { id: last.to_owned(), missing: id.to_string() };
                return Err(if newest_first.is_empty() { unknown() } else { broken() });
            };
            size += record.size();
            if size > MOST_RECALLED || newest_first.len() >= 2 * LONGEST_CHAIN {
                return Err(RecallError::TooLong { id: last.to_owned() });
            }
            newest_first.push(record.output().ok_or_else(unknown)?.to_owned());
            newest_first.push(record.input.clone());
            next.clone_from(&record.previous);
        }
        newest_first.reverse();
        Ok(newest_first)
    }

    /// Each response is read and taken apart once, however often its items are referred to; and each reference counts with
    /// all that it stands for, so that a short request cannot become a huge one.
    async fn items(
        &self,
        ids: &[&str],
        holder: Option<&Holder>,
    ) -> Result<BTreeMap<String, Box<RawValue>>, RecallError> {
        let unknown =
            |id: &str| RecallError::UnknownItem { id: id.to_owned(), ttl: self.0.config.load().ttl };
        let mut wanted: BTreeMap<ResponseId, BTreeMap<&str, u64>> = BTreeMap::new();
        for &id in ids {
            let response = ResponseId::of_item(id).ok_or_else(|| unknown(id))?;
            *wanted.entry(response).or_default().entry(id).or_default() += 1;
        }
        let mut found = BTreeMap::new();
        let mut size = 0_u64;
        for (response, references) in wanted {
            let record = self.get(&response, holder).await;
            let items = record.as_ref().map(|record| record.items());
            for (id, times) in references {
                let item = items.as_ref().and_then(|items| items.get(id)).ok_or_else(|| unknown(id))?;
                size = size.saturating_add(times.saturating_mul(item.get().len() as u64));
                if size > MOST_RECALLED {
                    return Err(RecallError::TooMuch);
                }
                found.insert(id.to_owned(), item.to_owned());
            }
        }
        Ok(found)
    }
}
