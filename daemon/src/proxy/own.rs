//! Requests that go upstream by the credential that their caller brought. The pool has no part in them: no lease, no
//! account's health, names or owners. What upstream says is the caller's own to know, so it is asked once, and the answer is
//! the answer.

use std::sync::Arc;

use tracing::debug;

use super::attempt::{Attempt, counted_as, not_redirected};
use super::history::{Entry, Telling, answered_with};
use super::{Exchange, Inner, ProxyError};
use crate::chain::ErrorChain;
use crate::claude::api::{SendError, WrittenBy};
use crate::claude::{OwnCredential, classify};
use crate::telemetry::metrics::{self, Called};
use crate::wire::Dialect;

impl Inner {
    /// Sends once, and once more where no connection was there, so that nothing was sent.
    pub(super) async fn by_own_credential(
        &self,
        exchange: &Exchange,
        credential: &OwnCredential,
    ) -> Result<Attempt, ProxyError> {
        let entry = self.entry(exchange);
        let mut telling = Telling::of(&entry);
        let result = match self.send_own(exchange, credential, &entry).await {
            Err(ProxyError::Send(SendError::Connect(_))) if !exchange.call.body.is_spent() => {
                self.send_own(exchange, credential, &entry).await
            }
            result => result,
        };
        match &result {
            Ok(attempt) => {
                telling.end(answered_with(attempt.response.status()));
                exchange.caller.observed.has_answer();
            }
            Err(error) => telling.end(format!("not answered: {error}")),
        }
        result
    }

    async fn send_own(
        &self,
        exchange: &Exchange,
        credential: &OwnCredential,
        entry: &Arc<Entry>,
    ) -> Result<Attempt, ProxyError> {
        exchange.caller.observed.tries(None);
        entry.begin_own(&exchange.model);
        let written_by =
            if exchange.dialect == Dialect::Messages { WrittenBy::Caller } else { WrittenBy::Us };
        let called = || Called { account: None, model: exchange.model.clone(), server: self.api.provider() };
        let measured = metrics::Attempt::new(&self.metrics, &exchange.caller.observed.measured, called);
        match self.api.send_own(exchange.call.clone(), credential, written_by).await {
            Ok(response) => {
                let status = response.status();
                debug!(request.id = %exchange.id, status = status.as_u16(), "attempt by the caller's own credential");
                let outcome = classify(status, response.headers(), self.clock.now());
                measured.ended(counted_as(&outcome), Some(status.as_u16()));
                entry.answered(Some(status.as_u16()), outcome.describe());
                not_redirected(Ok(Attempt { response, lease: None, outcome, entry: Arc::clone(entry) }))
            }
            Err(error) => {
                measured.ended(metrics::Outcome::Failed, None);
                debug!(request.id = %exchange.id, error = %ErrorChain(&error), "attempt by the caller's own credential failed");
                entry.answered(None, ErrorChain(&error).to_string());
                Err(self.not_sent(error))
            }
        }
    }
}
