//! The hyper floor: axum in front, hyper-util's pooled client behind, every frame forwarded as it comes, nothing else.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use http::uri::{Authority, Scheme};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{Connect, HttpConnector};
use hyper_util::rt::TokioExecutor;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

use axum::Router;

use super::{authority, redirect};

#[derive(Clone)]
struct Forward<C> {
    client: Client<C, Body>,
    scheme: Scheme,
    authority: Authority,
}

pub(super) fn plain(upstream: SocketAddr) -> Router {
    routes(connector(), Scheme::HTTP, upstream)
}

pub(super) fn tls(upstream: SocketAddr, certificate: &Path) -> Result<Router> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(certificate).context("the upstream's certificate")?)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let builder = HttpsConnectorBuilder::new().with_tls_config(config).https_only().enable_http1();
    let mut connector = connector();
    connector.enforce_http(false);
    Ok(routes(builder.wrap_connector(connector), Scheme::HTTPS, upstream))
}

fn connector() -> HttpConnector {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    connector
}

fn routes<C: Connect + Clone + Send + Sync + 'static>(
    connector: C,
    scheme: Scheme,
    upstream: SocketAddr,
) -> Router {
    let client = Client::builder(TokioExecutor::new()).build(connector);
    let forward = Forward { client, scheme, authority: authority(upstream) };
    Router::new().fallback(answer::<C>).with_state(forward)
}

async fn answer<C: Connect + Clone + Send + Sync + 'static>(
    State(forward): State<Forward<C>>,
    mut request: Request,
) -> Response {
    redirect(&mut request, forward.scheme, &forward.authority);
    match forward.client.request(request).await {
        Ok(response) => response.map(Body::new),
        Err(_) => StatusCode::BAD_GATEWAY.into_response(),
    }
}
