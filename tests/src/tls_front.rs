//! TLS in front of a fake on loopback, with a certificate of its own for 127.0.0.1.
#![expect(clippy::expect_used, reason = "a harness: what fails here must fail the test at once")]

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::PrivatePkcs8KeyDer;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// A running front. Dropping it closes its port and every connection.
#[derive(Debug)]
pub struct TlsFront {
    address: SocketAddr,
    certificate: String,
    _tasks: JoinSet<()>,
}

impl TlsFront {
    /// Hands on what comes to `behind`.
    ///
    /// # Panics
    /// When loopback cannot be bound.
    pub async fn start(behind: SocketAddr) -> Self {
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
        let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring has them")
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key.into())
            .expect("a certificate and its key");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a loopback port");
        let address = listener.local_addr().expect("an address");
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, TlsAcceptor::from(Arc::new(config)), behind));
        Self { address, certificate: made.cert.pem(), _tasks: tasks }
    }

    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// Its certificate, as a client's file of roots.
    pub fn certificate(&self) -> &str {
        &self.certificate
    }
}

async fn accept(listener: TcpListener, tls: TlsAcceptor, behind: SocketAddr) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                connections.spawn(carry(tls.clone(), stream, behind));
            }
            Some(_ended) = connections.join_next() => {}
        }
    }
}

async fn carry(tls: TlsAcceptor, stream: TcpStream, behind: SocketAddr) {
    let Ok(mut front) = tls.accept(stream).await else { return };
    let Ok(mut back) = TcpStream::connect(behind).await else { return };
    let _ended_either_way = copy_bidirectional(&mut front, &mut back).await;
}
