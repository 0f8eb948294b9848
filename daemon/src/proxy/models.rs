//! The list of models: asked upstream, kept for a while, served in either shape with the names that the accounts'
//! settings add and take away. A model that is not listed is asked for upstream, and used as it is in requests:
//! nothing is refused here for being unknown.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::header::HeaderMap;
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{Method, StatusCode};
use url::Url;

use super::answer::{self, Answer};
use super::carried::Carried;
use super::headers;
use super::listing::{self, limits, listing};
use super::translated::read_whole;
use super::{Caller, Exchange, Inner, Proxy, ProxyError};
use crate::account::Settings;
use crate::claude::api::Call;
use crate::clock::{SignedDuration, Timestamp, after};
use crate::id::{AccountId, RequestId};
use crate::pool::{Endpoint, Member, NoAccount, Snapshot, may_use};
use crate::translate::models::Known;
use crate::wire::Dialect;
use crate::wire::error::ApiError;
use crate::wire::models::{Catalog, Entry, ListQuery, Page, openai_model};

/// New models appear a few times a year; clients ask at every start.
const KEPT_FOR: SignedDuration = SignedDuration::from_mins(10);
/// Clients give the list three seconds in all.
const PAGE_TIMEOUT: Duration = Duration::from_secs(10);
/// Pages of 1000 read at most.
const MOST_PAGES: usize = 5;

/// The newest of upstream's lists, one of each place that was asked.
#[derive(Debug, Default)]
pub(super) struct ModelCache(ArcSwap<Vec<Arc<Listed>>>);

/// Upstream's list as it was read. What clients see is made of it for each request, so that a changed setting shows
/// at once.
#[derive(Debug)]
struct Listed {
    at: Timestamp,
    /// The gateway it came from; `None` for the provider.
    from: Option<Url>,
    catalog: Catalog,
}

impl ModelCache {
    /// The list that `accounts` (none named are all) would be asked for now: the provider's where one goes there, else a
    /// gateway's that is still in use.
    fn fresh(&self, snapshot: &Snapshot, accounts: &[AccountId], now: Timestamp) -> Option<Arc<Listed>> {
        let usable = || snapshot.members.iter().filter(|member| member.is_usable(now));
        let allowed = || usable().filter(|member| may_use(accounts, &member.account.id));
        let bases = allowed().map(|member| member.account.settings.base_url.as_ref());
        let wanted = |listed: &Listed| {
            if bases.clone().any(|base| base.is_none()) {
                listed.from.is_none()
            } else {
                bases.clone().any(|base| base == listed.from.as_ref()) || allowed().next().is_none()
            }
        };
        let newest = self.newest(wanted)?;
        (after(newest.at, KEPT_FOR) > now && newest.at <= now).then_some(newest)
    }

    /// The newest list of those that `accounts` may see, however old it is.
    fn stale(&self, snapshot: &Snapshot, accounts: &[AccountId]) -> Option<Arc<Listed>> {
        let allowed = || snapshot.members.iter().filter(|member| may_use(accounts, &member.account.id));
        let from = |listed: &Listed| {
            allowed().any(|member| member.account.settings.base_url.as_ref() == listed.from.as_ref())
        };
        self.newest(|listed| accounts.is_empty() || from(listed))
    }

    fn newest(&self, is_wanted: impl Fn(&Listed) -> bool) -> Option<Arc<Listed>> {
        let lists = self.0.load();
        let newest = lists.iter().filter(|listed| is_wanted(listed)).max_by_key(|listed| listed.at)?;
        Some(Arc::clone(newest))
    }

    /// Takes a list in, and forgets those of gateways that no account goes to any more.
    fn put(&self, read: &Arc<Listed>, snapshot: &Snapshot) {
        self.0.rcu(|lists| {
            let in_use = |from: &Url| snapshot.settings().any(|set| set.base_url.as_ref() == Some(from));
            let kept = lists.iter().filter(|listed| listed.from != read.from);
            let kept = kept.filter(|listed| listed.from.as_ref().is_none_or(in_use));
            kept.chain([read]).cloned().collect::<Vec<_>>()
        });
    }
}

/// What a client asks about models.
#[derive(Clone, Debug)]
pub enum ModelsRequest {
    List(ListQuery),
    One(String),
}

impl Inner {
    /// What is known of a model that a request names. Nothing is asked for: upstream's list counts if it was read before.
    pub(super) fn known(&self, model: &str, caller: &Caller) -> Known {
        let mut known = Known::by_name(self.upstream_name(model, caller));
        let lists = self.models.0.load();
        let entry = lists.iter().rev().find_map(|listed| listing::of_model(&known.upstream, &listed.catalog));
        if let Some(entry) = entry {
            known.capabilities = known.capabilities.as_described(&entry.described);
        }
        known
    }

    fn upstream_name(&self, model: &str, caller: &Caller) -> String {
        // The names that a person gave are names at the accounts of the pool.
        let pooled = caller.credential.is_none().then(|| self.pool.upstream_name(model, caller.accounts()));
        pooled.flatten().unwrap_or_else(|| model.to_owned())
    }
}

impl Proxy {
    /// `GET /v1/models` and `GET /v1/models/{id}`, in the shape of `dialect`. `sent` says who
    /// asks, and in its headers the version that the client speaks.
    pub async fn models(
        &self,
        id: RequestId,
        request: ModelsRequest,
        dialect: Dialect,
        sent: &Parts,
    ) -> Result<Answer, ProxyError> {
        let caller = Caller::of(&sent.extensions);
        if caller.credential.is_some() && dialect == Dialect::Messages && caller.may_use_all() {
            return self.pass_through(Exchange::about_models(id, sent)).await;
        }
        let body = match request {
            ModelsRequest::List(query) => {
                let catalog = self.catalog(dialect, id, sent).await?;
                match dialect {
                    Dialect::Messages => catalog.anthropic_list(&query)?,
                    Dialect::Chat | Dialect::Responses | Dialect::Completions => catalog.openai_list(limits),
                }
            }
            ModelsRequest::One(model) => {
                let entry = self.entry(&model, dialect, id, sent).await?;
                match dialect {
                    Dialect::Messages => entry.raw().get().as_bytes().to_vec(),
                    Dialect::Chat | Dialect::Responses | Dialect::Completions => {
                        openai_model(&entry, limits(&entry))
                    }
                }
            }
        };
        Ok(answer::whole(StatusCode::OK, HeaderMap::new(), id, body, "application/json"))
    }

    async fn entry(
        &self,
        model: &str,
        dialect: Dialect,
        id: RequestId,
        sent: &Parts,
    ) -> Result<Entry, ProxyError> {
        let caller = Caller::of(&sent.extensions);
        if !caller.may_use(model) {
            return Err(ApiError::model_not_found(model).into());
        }
        if let Ok(catalog) = self.catalog(dialect, id, sent).await
            && let Some(entry) = catalog.find(model)
        {
            return Ok(entry.clone());
        }
        // Nobody serves it: the dispatch says why.
        let upstream = self.0.upstream_name(model, &caller);
        // Model names are plain; one with other characters is encoded, so that it stays one path segment. A
        // form writes a space as a plus, which in a path is nothing but a plus.
        let encoded: String = url::form_urlencoded::byte_serialize(upstream.as_bytes()).collect();
        let encoded = encoded.replace('+', "%20");
        let path = format!("/v1/models/{encoded}");
        let (body, _) = match self.get(&path, model, dialect, id, sent).await {
            // For whoever asks there is no such model.
            Err(ProxyError::NoAccount(NoAccount::Withheld { .. })) => {
                return Err(ApiError::model_not_found(model).into());
            }
            answered => answered?,
        };
        let entry = Page::parse_entry(&body).map_err(|_| ProxyError::BadAnswer)?;
        Ok(if upstream == model { entry } else { entry.renamed(model) })
    }

    /// What this client sees of upstream's list, as the accounts are set now.
    async fn catalog(&self, dialect: Dialect, id: RequestId, sent: &Parts) -> Result<Catalog, ProxyError> {
        let caller = Caller::of(&sent.extensions);
        if caller.credential.is_some() {
            // Its own list, for it alone.
            let reading = tokio::time::timeout(PAGE_TIMEOUT, self.read_catalog(dialect, id, sent));
            let (mut catalog, _) = reading.await.map_err(|_| not_in_time())??;
            catalog.retain(|model| caller.may_use(model));
            return Ok(catalog);
        }
        let listed = self.upstream_list(dialect, id, sent).await?;
        let snapshot = self.0.pool.snapshot();
        let may_serve = |member: &&Arc<Member>| {
            !member.account.disabled
                && !member.account.is_closed()
                && may_use(caller.accounts(), &member.account.id)
        };
        let accounts = snapshot.members.iter().filter(may_serve).map(|member| &member.account.settings);
        let pool: Vec<&Settings> = snapshot.settings().collect();
        let mut catalog = listing(&listed.catalog, &accounts.collect::<Vec<_>>(), &pool);
        catalog.retain(|model| caller.may_use(model));
        Ok(catalog)
    }

    /// Upstream's list: fresh from the cache, else from upstream, else as old as it may be.
    async fn upstream_list(
        &self,
        dialect: Dialect,
        id: RequestId,
        sent: &Parts,
    ) -> Result<Arc<Listed>, ProxyError> {
        let caller = Caller::of(&sent.extensions);
        let (now, snapshot) = (self.0.clock.now(), self.0.pool.snapshot());
        if let Some(fresh) = self.0.models.fresh(&snapshot, caller.accounts(), now) {
            return Ok(fresh);
        }
        match tokio::time::timeout(PAGE_TIMEOUT, self.read_catalog(dialect, id, sent)).await {
            Ok(Ok((catalog, from))) => {
                let read = Arc::new(Listed { at: now, from, catalog });
                self.0.models.put(&read, &snapshot);
                Ok(read)
            }
            // A gateway that lists nothing: what is left are the names that a person gave.
            Ok(Err(ProxyError::Api(error))) if matches!(error.status, 404 | 405) => {
                Ok(Arc::new(Listed { at: now, from: None, catalog: Catalog::default() }))
            }
            failed => self.0.models.stale(&snapshot, caller.accounts()).ok_or_else(|| match failed {
                Ok(Err(error)) => error,
                _ => not_in_time(),
            }),
        }
    }

    /// All pages, and the gateway that the last of them came from.
    async fn read_catalog(
        &self,
        dialect: Dialect,
        id: RequestId,
        sent: &Parts,
    ) -> Result<(Catalog, Option<Url>), ProxyError> {
        let mut from = None;
        let mut catalog = Catalog::default();
        let mut path = "/v1/models?limit=1000".to_owned();
        for _ in 0..MOST_PAGES {
            let (body, base_url) = self.get(&path, "", dialect, id, sent).await?;
            from = base_url;
            let page = Page::parse(&body).map_err(|_| ProxyError::BadAnswer)?;
            let next = page.last_id.filter(|_| page.has_more);
            catalog.extend(page.data);
            let Some(last) = next else { break };
            let encoded: String = url::form_urlencoded::byte_serialize(last.as_bytes()).collect();
            path = format!("/v1/models?limit=1000&after_id={encoded}");
        }
        catalog.sort();
        Ok((catalog, from))
    }

    /// What upstream answers to an account that serves `model`, and the gateway that it goes to.
    async fn get(
        &self,
        path: &str,
        model: &str,
        dialect: Dialect,
        id: RequestId,
        sent: &Parts,
    ) -> Result<(Bytes, Option<Url>), ProxyError> {
        let path = PathAndQuery::try_from(path)
            .map_err(|_| ProxyError::Api(ApiError::not_found("no such model")))?;
        let mut headers = HeaderMap::new();
        for name in ["anthropic-version", "anthropic-beta", "user-agent"] {
            // The caller's, where it speaks this API itself.
            let values = sent.headers.get_all(name).iter().filter(|_| dialect == Dialect::Messages);
            for value in values {
                headers.append(name, value.clone());
            }
        }
        let headers = headers::for_upstream(&headers);
        let call = Call { method: Method::GET, path, headers, body: Bytes::new().into() };
        let model = model.to_owned();
        let exchange = Exchange {
            id,
            dialect,
            endpoint: Endpoint::Models,
            model,
            written: None,
            streams: false,
            call,
            caller: Caller::of(&sent.extensions),
            conversation: None,
            carried: Carried::default(),
        };
        let attempt = self.0.dispatch(&exchange).await?;
        let from = attempt.lease.as_ref().and_then(|lease| lease.account().settings.base_url.clone());
        let (head, body) = attempt.response.into_parts();
        let mut upstream = headers::for_downstream(head.headers);
        let body = read_whole(body, answer::take_gzip(&mut upstream)).await?;
        if head.status.is_success() {
            return Ok((body, from));
        }
        Err(ProxyError::Api(exchange.caller.told(head.status, &body)))
    }
}

fn not_in_time() -> ProxyError {
    ApiError::timeout("upstream did not list its models in time; try again").into()
}
