//! The floors: what a proxy in front costs that does nothing but forward, by the same libraries as the daemon.

mod coalescing;
mod hyper;

use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context as _, Result};
use axum::extract::Request;
use axum::serve::ListenerExt as _;
use http::Uri;
use http::uri::{Authority, Scheme};
use tokio::net::{TcpListener, TcpSocket};

/// What a floor does with the frames of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kind {
    /// Axum in front, hyper-util's pooled client behind, each frame forwarded as it comes.
    Hyper,
    /// What is ready at one poll leaves as one frame, and the socket is read within that poll.
    Coalescing,
}

/// Serves until the process ends. Says where, in a line.
pub(crate) async fn serve(kind: Kind, upstream: SocketAddr, certificate: Option<&Path>) -> Result<()> {
    let routes = match (kind, certificate) {
        (Kind::Hyper, None) => hyper::plain(upstream),
        (Kind::Hyper, Some(certificate)) => hyper::tls(upstream, certificate)?,
        (Kind::Coalescing, _) => coalescing::routes(upstream),
    };
    let listener = listen()?;
    crate::say(&listener.local_addr()?.to_string())?;
    let listener = listener.tap_io(|stream| {
        let _as_it_is = stream.set_nodelay(true);
    });
    axum::serve(listener, routes).await.context("the floor's server")
}

fn listen() -> Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
    Ok(socket.listen(4096)?)
}

/// The request's own path, at the upstream.
fn redirect(request: &mut Request, scheme: Scheme, authority: &Authority) {
    let mut parts = request.uri().clone().into_parts();
    (parts.scheme, parts.authority) = (Some(scheme), Some(authority.clone()));
    if let Ok(uri) = Uri::from_parts(parts) {
        *request.uri_mut() = uri;
    }
}

fn authority(upstream: SocketAddr) -> Authority {
    Authority::try_from(upstream.to_string()).unwrap_or(Authority::from_static("127.0.0.1"))
}
