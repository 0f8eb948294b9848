//! What lies around a connector: a bound on the whole of a connection's making, and names that are resolved here
//! for a proxy that is to get addresses.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use tower_service::Service;

use super::reads_on::ReadsOn;
use crate::clock::in_words;

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Connecting<T> = Pin<Box<dyn Future<Output = Result<T, BoxError>> + Send>>;

/// Bounds the making of a connection as a whole: a proxy that takes the connection and then says nothing is as
/// unreachable as one that is not there. What is made [`ReadsOn`].
#[derive(Clone, Debug)]
pub(super) struct Timed<C> {
    inner: C,
    limit: Duration,
}

/// The connection was not made in time.
#[derive(Debug, thiserror::Error)]
#[error("no connection within {}", in_words(*.0))]
pub(super) struct TooSlow(Duration);

impl<C> Timed<C> {
    pub(super) fn new(inner: C, limit: Duration) -> Self {
        Self { inner, limit }
    }
}

impl<C> Service<Uri> for Timed<C>
where
    C: Service<Uri>,
    C::Error: Into<BoxError>,
    C::Future: Send + 'static,
{
    type Response = ReadsOn<C::Response>;
    type Error = BoxError;
    type Future = Connecting<Self::Response>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let (connecting, limit) = (self.inner.call(to), self.limit);
        Box::pin(async move {
            let made = tokio::time::timeout(limit, connecting).await;
            made.map_err(|_| TooSlow(limit))?.map(ReadsOn::new).map_err(Into::into)
        })
    }
}

/// Resolves the host here and hands on its address, as `socks5` wants it where `socks5h` does not. The connector
/// of the proxy could do so itself, but would block the thread.
#[derive(Clone, Debug)]
pub(super) struct ResolvedHere<C>(pub(super) C);

impl<C> Service<Uri> for ResolvedHere<C>
where
    C: Service<Uri> + Clone + Send + 'static,
    C::Error: Into<BoxError>,
    C::Future: Send,
{
    type Response = C::Response;
    type Error = BoxError;
    type Future = Connecting<C::Response>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        // What was polled ready is used, and a fresh clone stays behind.
        let fresh = self.0.clone();
        let mut ready = std::mem::replace(&mut self.0, fresh);
        Box::pin(async move {
            let to = resolve(to).await?;
            ready.call(to).await.map_err(Into::into)
        })
    }
}

async fn resolve(to: Uri) -> Result<Uri, BoxError> {
    let port = to.port_u16().unwrap_or(if to.scheme_str() == Some("https") { 443 } else { 80 });
    let host = to.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let mut addresses: Vec<_> = tokio::net::lookup_host((host.as_str(), port)).await?.collect();
    // Few proxies can reach IPv6 where IPv4 would do.
    addresses.sort_by_key(std::net::SocketAddr::is_ipv6);
    let nowhere = || io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    let address = addresses.first().ok_or_else(nowhere)?;
    let mut parts = to.into_parts();
    parts.authority = Some(address.to_string().parse()?);
    Ok(Uri::from_parts(parts)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone)]
    struct Silent;

    impl Service<Uri> for Silent {
        type Response = ();
        type Error = io::Error;
        type Future = std::future::Pending<Result<(), io::Error>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), io::Error>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: Uri) -> Self::Future {
            std::future::pending()
        }
    }

    #[tokio::test]
    async fn a_proxy_that_says_nothing_is_given_up() {
        let mut connector = Timed::new(Silent, Duration::from_millis(1));
        let error = connector.call(Uri::from_static("http://x.example")).await.unwrap_err();
        assert!(error.to_string().starts_with("no connection within"), "{error}");
    }

    #[tokio::test]
    async fn a_name_becomes_an_address_and_the_rest_stays() {
        for (uri, resolved) in [
            ("http://localhost:81/a?b", "http://127.0.0.1:81/a?b"),
            ("https://127.0.0.1/", "https://127.0.0.1:443/"),
            ("https://[::1]/", "https://[::1]:443/"),
        ] {
            assert_eq!(resolve(Uri::from_static(uri)).await.unwrap().to_string(), resolved);
        }
    }
}
