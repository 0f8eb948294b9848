//! Turns `OpenAI` requests into Messages requests, and Messages replies and streams back.
//!
//! Pure: the same request gives the same bytes, whatever the hour and whoever asks, because upstream checks
//! that the history before a thinking block has not changed. Content is never dropped silently: what has no
//! counterpart is a 400 that names the field, or a name in [`Prepared::dropped`].

mod cache;
mod call;
pub mod chat;
#[cfg(test)]
mod clients;
pub mod completions;
mod draft;
pub mod fields;
mod history;
mod media;
pub mod models;
mod reasoning;
pub mod responses;
#[cfg(test)]
mod rules;
mod schema;
mod strictness;
mod suffix;
#[cfg(test)]
mod testing;
mod tools;
#[cfg(test)]
mod validity;

use bytes::Bytes;

/// How requests are translated.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// A request that cannot be sent without dropping a field is refused.
    pub strict: bool,
    /// Prompts are marked to be cached where the client sets no marker of its own.
    pub prompt_cache: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self { strict: false, prompt_cache: true }
    }
}

/// A translated request, and what is needed to translate its answer.
#[derive(Debug)]
pub struct Prepared<R> {
    /// The Messages request body.
    pub body: Bytes,
    /// As the client names it, without a suffix about its thinking.
    pub model: String,
    /// As the body names it.
    pub upstream: String,
    pub stream: bool,
    /// What tells this conversation from others, if the client said so.
    pub session: Option<String>,
    /// Values `anthropic-beta` must have for this body.
    pub betas: Vec<&'static str>,
    /// Places in the request that were not sent; [`fields::Table`] knows them.
    pub dropped: Vec<String>,
    pub reply: R,
}

impl<R> Prepared<R> {
    /// The same request, its answer translated by what `change` makes of the reply.
    pub fn map_reply<S>(self, change: impl FnOnce(R) -> S) -> Prepared<S> {
        let Self { body, model, upstream, stream, session, betas, dropped, reply } = self;
        Prepared { body, model, upstream, stream, session, betas, dropped, reply: change(reply) }
    }
}
