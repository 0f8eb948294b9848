//! The list of models: asked upstream, kept for a while, served in either shape. A model that is not listed
//! is asked for upstream, and used as it is in requests: nothing is refused here for being unknown.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use http::header::HeaderMap;
use http::uri::PathAndQuery;
use http::{Method, StatusCode};

use super::answer::{self, Answer};
use super::headers;
use super::translated::read_whole;
use super::{Endpoint, Exchange, Proxy, ProxyError};
use crate::claude::api::Call;
use crate::clock::{SignedDuration, Timestamp, after};
use crate::id::RequestId;
use crate::wire::Dialect;
use crate::wire::error::{self, ApiError};
use crate::wire::models::{Catalog, Entry, ListQuery, Page, openai_model};

/// New models appear a few times a year; clients ask at every start.
const KEPT_FOR: SignedDuration = SignedDuration::from_mins(10);
/// Clients give the list three seconds in all.
const PAGE_TIMEOUT: Duration = Duration::from_secs(10);
/// Pages of 1000 read at most.
const MOST_PAGES: usize = 5;

/// The newest list and when it was read.
#[derive(Debug, Default)]
pub(super) struct ModelCache(ArcSwapOption<(Timestamp, Catalog)>);

/// What a client asks about models.
#[derive(Clone, Debug)]
pub enum ModelsRequest {
    List(ListQuery),
    One(String),
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
                    Dialect::Messages => catalog.1.anthropic_list(&query)?,
                    Dialect::Chat | Dialect::Responses => catalog.1.openai_list(),
                }
            }
            ModelsRequest::One(model) => {
                let entry = self.entry(&model, dialect, id, sent).await?;
                match dialect {
                    Dialect::Messages => entry.raw().get().as_bytes().to_vec(),
                    Dialect::Chat | Dialect::Responses => openai_model(&entry),
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
            && let Some(entry) = catalog.1.find(model)
        {
            return Ok(entry.clone());
        }
        // Model names are plain; one with other characters is encoded, so that it stays one path segment. A
        // form writes a space as a plus, which in a path is nothing but a plus.
        let encoded: String = url::form_urlencoded::byte_serialize(model.as_bytes()).collect();
        let encoded = encoded.replace('+', "%20");
        let body = self.get(&format!("/v1/models/{encoded}"), dialect, id, sent).await?;
        Page::parse_entry(&body).map_err(|_| ProxyError::BadAnswer)
    }

    /// The list: fresh from the cache, else from upstream, else as old as it may be.
    async fn catalog(
        &self,
        dialect: Dialect,
        id: RequestId,
        sent: &HeaderMap,
    ) -> Result<Arc<(Timestamp, Catalog)>, ProxyError> {
        let now = self.0.clock.now();
        let cached = self.0.models.0.load_full();
        if let Some(fresh) =
            cached.as_ref().filter(|cached| after(cached.0, KEPT_FOR) > now && cached.0 <= now)
        {
            return Ok(Arc::clone(fresh));
        }
        match tokio::time::timeout(PAGE_TIMEOUT, self.read_catalog(dialect, id, sent)).await {
            Ok(Ok(catalog)) => {
                let read = Arc::new((now, catalog));
                self.0.models.0.store(Some(Arc::clone(&read)));
                Ok(read)
            }
            failed => cached.ok_or_else(|| match failed {
                Ok(Err(error)) => error,
                _ => {
                    ProxyError::Api(ApiError::timeout("upstream did not list its models in time; try again"))
                }
            }),
        }
    }

    async fn read_catalog(
        &self,
        dialect: Dialect,
        id: RequestId,
        sent: &HeaderMap,
    ) -> Result<Catalog, ProxyError> {
        let mut catalog = Catalog::default();
        let mut path = "/v1/models?limit=1000".to_owned();
        for _ in 0..MOST_PAGES {
            let body = self.get(&path, dialect, id, sent).await?;
            let page = Page::parse(&body).map_err(|_| ProxyError::BadAnswer)?;
            let next = page.last_id.filter(|_| page.has_more);
            catalog.extend(page.data);
            let Some(last) = next else { break };
            let encoded: String = url::form_urlencoded::byte_serialize(last.as_bytes()).collect();
            path = format!("/v1/models?limit=1000&after_id={encoded}");
        }
        Ok(catalog)
    }

    async fn get(
        &self,
        path: &str,
        dialect: Dialect,
        id: RequestId,
        sent: &HeaderMap,
    ) -> Result<Bytes, ProxyError> {
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
        let call =
            Call { method: Method::GET, path, headers: headers::for_upstream(&headers), body: Bytes::new() };
        let exchange = Exchange { id, dialect, endpoint: Endpoint::Models, model: String::new(), call };
        let attempt = self.0.dispatch(&exchange).await?;
        let (head, body) = attempt.response.into_parts();
        let mut upstream = headers::for_downstream(&head.headers);
        let body = read_whole(body, answer::take_gzip(&mut upstream)).await?;
        if head.status.is_success() {
            return Ok(body);
        }
        Err(ProxyError::Api(error::from_upstream(head.status.as_u16(), &body)))
    }
}
