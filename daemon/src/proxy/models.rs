//! The list of models: asked upstream, kept for a while, served in either shape with the names that the accounts'
//! settings add and take away. A model that is not listed is asked for upstream, and used as it is in requests:
//! nothing is refused here for being unknown.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use http::header::HeaderMap;
use http::uri::PathAndQuery;
use http::{Method, StatusCode};
use url::Url;

use super::answer::{self, Answer};
use super::carried::Carried;
use super::headers;
use super::listing::{self, limits, listing};
use super::translated::read_whole;
use super::{Exchange, Inner, Proxy, ProxyError};
use crate::account::Settings;
use crate::claude::api::Call;
use crate::clock::{SignedDuration, Timestamp, after};
use crate::id::RequestId;
use crate::pool::{Endpoint, Member, Snapshot};
use crate::translate::models::Known;
use crate::wire::Dialect;
use crate::wire::error::{self, ApiError};
use crate::wire::models::{Catalog, Entry, ListQuery, Page, openai_model};

/// New models appear a few times a year; clients ask at every start.
const KEPT_FOR: SignedDuration = SignedDuration::from_mins(10);
/// Clients give the list three seconds in all.
const PAGE_TIMEOUT: Duration = Duration::from_secs(10);
/// Pages of 1000 read at most.
const MOST_PAGES: usize = 5;

/// The newest of upstream's lists.
#[derive(Debug, Default)]
pub(super) struct ModelCache(ArcSwapOption<Listed>);

/// Upstream's list as it was read. What clients see is made of it for each request, so that a changed setting shows
/// at once.
#[derive(Debug)]
struct Listed {
    at: Timestamp,
    /// The gateway it came from; `None` for the provider.
    from: Option<Url>,
    catalog: Catalog,
}

impl Listed {
    /// Whether it is what would be asked for now: the list is the provider's where an account goes there, else a
    /// gateway's that is still in use.
    fn is_fresh(&self, snapshot: &Snapshot, now: Timestamp) -> bool {
        let usable = || snapshot.members.iter().filter(|member| member.is_usable(now));
        let mut bases = usable().map(|member| member.account.settings.base_url.as_ref());
        let wanted = if bases.clone().any(|base| base.is_none()) {
            self.from.is_none()
        } else {
            bases.any(|base| base == self.from.as_ref()) || usable().next().is_none()
        };
        wanted && after(self.at, KEPT_FOR) > now && self.at <= now
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
    pub(super) fn known(&self, model: &str) -> Known {
        let upstream = self.pool.upstream_name(model).unwrap_or_else(|| model.to_owned());
        let mut known = Known::by_name(upstream);
        let listed = self.models.0.load();
        let entry = listed.as_ref().and_then(|listed| listing::of_model(&known.upstream, &listed.catalog));
        if let Some(entry) = entry {
            known.capabilities = known.capabilities.as_described(&entry.described);
        }
        known
    }
}

impl Proxy {
    /// `GET /v1/models` and `GET /v1/models/{id}`, in the shape of `dialect`. `sent` are the client's
    /// headers, for the version it speaks.
    pub async fn models(
        &self,
        id: RequestId,
        request: ModelsRequest,
        dialect: Dialect,
        sent: &HeaderMap,
    ) -> Result<Answer, ProxyError> {
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
        sent: &HeaderMap,
    ) -> Result<Entry, ProxyError> {
        if let Ok(catalog) = self.catalog(dialect, id, sent).await
            && let Some(entry) = catalog.find(model)
        {
            return Ok(entry.clone());
        }
        // Nobody serves it: the dispatch says why.
        let upstream = self.0.pool.upstream_name(model).unwrap_or_else(|| model.to_owned());
        // Model names are plain; one with other characters is encoded, so that it stays one path segment. A
        // form writes a space as a plus, which in a path is nothing but a plus.
        let encoded: String = url::form_urlencoded::byte_serialize(upstream.as_bytes()).collect();
        let encoded = encoded.replace('+', "%20");
        let path = format!("/v1/models/{encoded}");
        let (body, _) = self.get(&path, model, dialect, id, sent).await?;
        let entry = Page::parse_entry(&body).map_err(|_| ProxyError::BadAnswer)?;
        Ok(if upstream == model { entry } else { entry.renamed(model) })
    }

    /// What clients see of upstream's list, as the accounts are set now.
    async fn catalog(
        &self,
        dialect: Dialect,
        id: RequestId,
        sent: &HeaderMap,
    ) -> Result<Catalog, ProxyError> {
        let listed = self.upstream_list(dialect, id, sent).await?;
        let snapshot = self.0.pool.snapshot();
        let may_serve = |member: &&Arc<Member>| !member.account.disabled && !member.account.is_closed();
        let accounts = snapshot.members.iter().filter(may_serve).map(|member| &member.account.settings);
        let pool: Vec<&Settings> = snapshot.settings().collect();
        Ok(listing(&listed.catalog, &accounts.collect::<Vec<_>>(), &pool))
    }

    /// Upstream's list: fresh from the cache, else from upstream, else as old as it may be.
    async fn upstream_list(
        &self,
        dialect: Dialect,
        id: RequestId,
        sent: &HeaderMap,
    ) -> Result<Arc<Listed>, ProxyError> {
        let now = self.0.clock.now();
        let cached = self.0.models.0.load_full();
        let snapshot = self.0.pool.snapshot();
        if let Some(fresh) = cached.as_ref().filter(|cached| cached.is_fresh(&snapshot, now)) {
            return Ok(Arc::clone(fresh));
        }
        match tokio::time::timeout(PAGE_TIMEOUT, self.read_catalog(dialect, id, sent)).await {
            Ok(Ok((catalog, from))) => {
                let read = Arc::new(Listed { at: now, from, catalog });
                self.0.models.0.store(Some(Arc::clone(&read)));
                Ok(read)
            }
            // A gateway that lists nothing: what is left are the names that a person gave.
            Ok(Err(ProxyError::Api(error))) if matches!(error.status, 404 | 405) => {
                Ok(Arc::new(Listed { at: now, from: None, catalog: Catalog::default() }))
            }
            failed => cached.ok_or_else(|| match failed {
                Ok(Err(error)) => error,
                _ => {
                    ProxyError::Api(ApiError::timeout("upstream did not list its models in time; try again"))
                }
            }),
        }
    }

    /// All pages, and the gateway that the last of them came from.
    async fn read_catalog(
        &self,
        dialect: Dialect,
        id: RequestId,
        sent: &HeaderMap,
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
        sent: &HeaderMap,
    ) -> Result<(Bytes, Option<Url>), ProxyError> {
        let path = PathAndQuery::try_from(path)
            .map_err(|_| ProxyError::Api(ApiError::not_found("no such model")))?;
        let mut headers = HeaderMap::new();
        for name in ["anthropic-version", "anthropic-beta", "user-agent"] {
            // The caller's, where it speaks this API itself.
            let values = sent.get_all(name).iter().filter(|_| dialect == Dialect::Messages);
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
            conversation: None,
            carried: Carried::default(),
        };
        let attempt = self.0.dispatch(&exchange).await?;
        let from = attempt.lease.account().settings.base_url.clone();
        let (head, body) = attempt.response.into_parts();
        let mut upstream = headers::for_downstream(&head.headers);
        let body = read_whole(body, answer::take_gzip(&mut upstream)).await?;
        if head.status.is_success() {
            return Ok((body, from));
        }
        Err(ProxyError::Api(error::from_upstream(head.status.as_u16(), &body)))
    }
}
