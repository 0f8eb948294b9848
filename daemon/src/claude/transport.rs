//! Connections to the outside: one TLS configuration and one way through a proxy, for both HTTP clients.
//!
//! Model traffic takes a pooled client over HTTP/1.1 ([`Client`]): each stream then has a connection of its own, and
//! none waits for a server's limit of streams per connection. No redirect is followed, neither client looks for a
//! proxy in the environment, no session's keys are written to a file, and certificate checks cannot be switched off.

use std::fs::File;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, Request, Response, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::{SocksV5, Tunnel};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use super::body::Outgoing;
use super::client::Client;
use super::connect::{ResolvedHere, Timed};
use super::driven::{CallError, Reading};
use super::exceptions::Exceptions;
use super::{TransportConfig, USER_AGENT};
use crate::address::ProxyUrl;

/// One stream holds no more of what upstream sent than this here, and no answer has a larger head.
pub(super) const MOST_BUFFERED: usize = 64 * 1024;
/// Of each connection's socket: as much as may be on its way at 20 Mbit/s from the other side of the world.
const RECEIVE_BUFFER: usize = 256 * 1024;

/// Why no client could be made. All of these are mistakes of the configuration or the machine.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    #[error("cannot read the certificates in upstream.ca_file {}", path.display())]
    CaFile { path: PathBuf, source: io::Error },
    #[error("upstream.ca_file {} holds no usable certificate", path.display())]
    NoCertificate { path: PathBuf },
    #[error(
        "no trusted certificates on this machine: install ca-certificates, or name a file in upstream.ca_file"
    )]
    NoRoots,
    #[error("the proxy's URL is not usable: {problem}")]
    Proxy { problem: String },
    #[error("claude.api_base_url has no host")]
    BaseUrl,
    #[error("cannot make the HTTP client")]
    Client(#[source] reqwest::Error),
    #[error("cannot set up TLS")]
    Tls(#[source] rustls::Error),
}

/// The TLS client configuration, shared by every connection, so that sessions are resumed.
#[derive(Clone, Debug)]
pub struct Tls(ClientConfig);

impl Tls {
    /// Trusts the machine's roots and those of `ca_file`. `required` says that there is an https address to
    /// reach: without one a machine without roots is no error.
    pub fn load(ca_file: Option<&Path>, required: bool) -> Result<Self, TransportError> {
        let mut roots = RootCertStore::empty();
        let native = rustls_native_certs::load_native_certs();
        for problem in &native.errors {
            tracing::warn!(error = %problem, "cannot load some of the machine's root certificates");
        }
        roots.add_parsable_certificates(native.certs);
        if let Some(path) = ca_file {
            let certs = read_certs(path)
                .map_err(|source| TransportError::CaFile { path: path.to_owned(), source })?;
            if roots.add_parsable_certificates(certs).0 == 0 {
                return Err(TransportError::NoCertificate { path: path.to_owned() });
            }
        }
        if required && roots.is_empty() {
            return Err(TransportError::NoRoots);
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(TransportError::Tls)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self(config))
    }
}

fn read_certs(path: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let reader = BufReader::new(File::open(path)?);
    CertificateDer::pem_reader_iter(reader).collect::<Result<_, _>>().map_err(io::Error::other)
}

/// Over TLS, or not, as the address says, and in time.
type Ready<C> = Timed<HttpsConnector<C>>;

/// What a client's traffic goes through.
#[derive(Clone, Copy, Debug)]
pub(super) enum Through<'a> {
    Nothing,
    Proxy(&'a ProxyUrl),
    /// A proxy, but for these.
    ProxyExcept(&'a ProxyUrl, &'a Exceptions),
}

impl TransportConfig {
    pub(super) fn through(&self) -> Through<'_> {
        match (&self.proxy_url, &self.exceptions) {
            (None, _) => Through::Nothing,
            (Some(proxy), None) => Through::Proxy(proxy),
            (Some(proxy), Some(exceptions)) => Through::ProxyExcept(proxy, exceptions),
        }
    }
}

/// The pooled client, by the way it takes.
#[derive(Clone, Debug)]
pub(super) enum ModelClient {
    Direct(Client<Ready<HttpConnector>>),
    Tunnel(Client<Ready<Tunnel<HttpsConnector<HttpConnector>>>>),
    /// Names are resolved at the proxy (`socks5h`).
    Socks(Client<Ready<SocksV5<HttpConnector>>>),
    SocksByAddress(Client<Ready<ResolvedHere<SocksV5<HttpConnector>>>>),
    Split(Arc<Split>),
}

/// By a proxy, but for some hosts.
#[derive(Debug)]
pub(super) struct Split {
    proxied: ModelClient,
    direct: ModelClient,
    exceptions: Exceptions,
}

impl Split {
    fn to(&self, uri: &Uri) -> &ModelClient {
        if self.exceptions.has(uri) { &self.direct } else { &self.proxied }
    }
}

impl ModelClient {
    /// Each connection is made in `timeout`.
    pub(super) fn new(through: Through<'_>, tls: &Tls, timeout: Duration) -> Result<Self, TransportError> {
        let direct = tcp(timeout);
        let proxy = match through {
            Through::Nothing => {
                return Ok(Self::Direct(Client::new(Timed::new(over_tls(direct, tls), timeout))));
            }
            Through::Proxy(proxy) => proxy,
            Through::ProxyExcept(proxy, exceptions) => {
                let proxied = Self::new(Through::Proxy(proxy), tls, timeout)?;
                let direct = Self::new(Through::Nothing, tls, timeout)?;
                let exceptions = exceptions.clone();
                return Ok(Self::Split(Arc::new(Split { proxied, direct, exceptions })));
            }
        };
        let problem = |problem: String| TransportError::Proxy { problem };
        let uri: Uri = proxy.server().parse().map_err(|error| problem(format!("{error}")))?;
        let credentials = proxy.expose_credentials();
        match proxy.expose().scheme() {
            "http" | "https" => {
                let mut tunnel = Tunnel::new(uri, over_tls(direct, tls));
                if let Some((user, password)) = credentials {
                    let basic = basic(&user, &password).map_err(|error| problem(error.to_string()))?;
                    tunnel = tunnel.with_auth(basic);
                }
                Ok(Self::Tunnel(Client::new(Timed::new(over_tls(tunnel, tls), timeout))))
            }
            scheme @ ("socks5" | "socks5h") => {
                let mut socks = SocksV5::new(uri, direct);
                if let Some((user, password)) = credentials {
                    socks = socks.with_auth(user, password);
                }
                Ok(if scheme == "socks5h" {
                    Self::Socks(Client::new(Timed::new(over_tls(socks, tls), timeout)))
                } else {
                    Self::SocksByAddress(Client::new(Timed::new(over_tls(ResolvedHere(socks), tls), timeout)))
                })
            }
            other => Err(problem(format!("its scheme must be http, https, socks5 or socks5h, not {other}"))),
        }
    }

    pub(super) async fn request(&self, request: Request<Outgoing>) -> Result<Response<Reading>, CallError> {
        match self {
            Self::Direct(client) => client.request(request).await,
            Self::Tunnel(client) => client.request(request).await,
            Self::Socks(client) => client.request(request).await,
            Self::SocksByAddress(client) => client.request(request).await,
            Self::Split(split) => Box::pin(split.to(request.uri()).request(request)).await,
        }
    }
}

/// A client for what is not the provider's, straight to it: a collector of telemetry.
#[cfg(feature = "otlp")]
pub fn collector_client(tls: &Tls, timeout: Duration) -> Result<reqwest::Client, TransportError> {
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls.0.clone())
        .user_agent(USER_AGENT)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .timeout(timeout)
        .build()
        .map_err(TransportError::Client)
}

/// The client of the OAuth, profile and usage endpoints. Each call has a connection of its own: on one that was kept
/// and closed by the other side nobody could tell a call that was never seen from one whose answer is lost.
pub(super) fn oauth_client(
    through: Through<'_>,
    tls: &Tls,
    connect_timeout: Duration,
    timeout: Duration,
) -> Result<reqwest::Client, TransportError> {
    let mut builder = reqwest::Client::builder()
        .tls_backend_preconfigured(tls.0.clone())
        .user_agent(USER_AGENT)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .pool_max_idle_per_host(0)
        .connect_timeout(connect_timeout)
        .timeout(timeout);
    let proxy = match through {
        Through::Nothing => None,
        Through::Proxy(proxy) => Some(reqwest::Proxy::all(proxy.expose().as_str())),
        Through::ProxyExcept(proxy, Exceptions(hosts)) => {
            let proxy = reqwest::Proxy::https(proxy.expose().as_str());
            Some(proxy.map(|proxy| proxy.no_proxy(reqwest::NoProxy::from_string(hosts))))
        }
    };
    if let Some(proxy) = proxy {
        let problem =
            |error: reqwest::Error| TransportError::Proxy { problem: error.without_url().to_string() };
        builder = builder.proxy(proxy.map_err(problem)?);
    }
    builder.build().map_err(TransportError::Client)
}

/// To upstream, or to the proxy; what comes after it has half of the time in any case.
fn tcp(timeout: Duration) -> HttpConnector {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    // Without it a small write waits up to 40 ms for the acknowledgement of the one before.
    tcp.set_nodelay(true);
    // Left to itself the kernel takes megabytes of a stream whose client does not read.
    tcp.set_recv_buffer_size(Some(RECEIVE_BUFFER));
    tcp.set_connect_timeout(Some(timeout / 2));
    tcp.set_keepalive(Some(Duration::from_secs(30)));
    tcp
}

fn over_tls<C>(connector: C, tls: &Tls) -> HttpsConnector<C> {
    HttpsConnectorBuilder::new()
        .with_tls_config(tls.0.clone())
        .https_or_http()
        .enable_http1()
        .wrap_connector(connector)
}

fn basic(user: &str, password: &str) -> Result<HeaderValue, http::header::InvalidHeaderValue> {
    use base64::Engine as _;
    let pair = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
    crate::secret::sensitive_header(&format!("Basic {pair}"))
}
