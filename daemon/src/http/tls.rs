//! TLS for those who do not come over loopback: a certificate and its key from files, read again when they change. New files that
//! cannot be used leave the old certificate in place, and are told once.

use std::fs;
use std::io::{self, BufReader};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use crate::chain::ErrorChain;

/// How often the files are looked at.
pub(super) const LOOK: Duration = Duration::from_secs(1);

/// `http.tls_cert` and `http.tls_key`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TlsFiles {
    /// The chain in PEM, the server's own certificate first.
    pub cert: PathBuf,
    /// Its private key in PEM.
    pub key: PathBuf,
}

/// Why no certificate can be had of the files.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("cannot read {} ({key})", path.display())]
    Read { path: PathBuf, key: &'static str, source: io::Error },
    #[error("{} (http.tls_cert) holds no certificate in PEM", path.display())]
    NoCertificate { path: PathBuf },
    #[error("{} (http.tls_key) holds no private key in PEM", path.display())]
    NoKey { path: PathBuf },
    #[error("{} (http.tls_key) may be read by others: run `chmod 600 {0}`", path.display())]
    Open { path: PathBuf },
    #[error("the certificate (http.tls_cert) and the key (http.tls_key) do not fit together")]
    Unfit(#[source] rustls::Error),
}

/// The certificate that is presented now.
pub(super) struct Certificate {
    files: TlsFiles,
    acceptor: ArcSwap<TlsAcceptor>,
    /// Of the files when they were looked at last.
    stamp: Mutex<Stamp>,
}

/// Tells whether files changed: inode, size and time of each.
type Stamp = [Option<(u64, u64, i64, i64)>; 2];

impl Certificate {
    pub(super) fn load(files: TlsFiles) -> Result<Self, TlsError> {
        let stamp = Mutex::new(stamp(&files));
        Ok(Self { acceptor: ArcSwap::from_pointee(read(&files)?), files, stamp })
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::clone(&self.acceptor.load())
    }

    /// Reads the files again if they changed. Blocks.
    pub(super) fn look(&self) {
        let mut known = self.stamp.lock().unwrap_or_else(PoisonError::into_inner);
        let stamp = stamp(&self.files);
        if std::mem::replace(&mut *known, stamp) == stamp {
            return;
        }
        match read(&self.files) {
            Ok(acceptor) => {
                self.acceptor.store(Arc::new(acceptor));
                tracing::info!("the certificate was read anew");
            }
            Err(error) => {
                tracing::error!(error = %ErrorChain(&error), "the new certificate cannot be used: the old one is kept");
            }
        }
    }
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificate").field("files", &self.files).finish_non_exhaustive()
    }
}

fn stamp(files: &TlsFiles) -> Stamp {
    [&files.cert, &files.key].map(|path| {
        let meta = fs::metadata(path).ok()?;
        Some((meta.ino(), meta.len(), meta.mtime(), meta.mtime_nsec()))
    })
}

fn read(files: &TlsFiles) -> Result<TlsAcceptor, TlsError> {
    let TlsFiles { cert, key } = files;
    let open = |path: &Path, key| {
        let file = fs::File::open(path);
        file.map_err(|source| TlsError::Read { path: path.to_owned(), key, source })
    };
    let chain = CertificateDer::pem_reader_iter(BufReader::new(open(cert, "http.tls_cert")?))
        .collect::<Result<Vec<_>, _>>()
        .ok()
        .filter(|chain| !chain.is_empty())
        .ok_or_else(|| TlsError::NoCertificate { path: cert.clone() })?;
    let secret = open(key, "http.tls_key")?;
    // A key that its group may read is how certificates are shared with services; one that everybody may read is not.
    if secret.metadata().is_ok_and(|meta| meta.mode() & 0o007 != 0) {
        return Err(TlsError::Open { path: key.clone() });
    }
    let secret = PrivateKeyDer::from_pem_reader(BufReader::new(secret))
        .map_err(|_| TlsError::NoKey { path: key.clone() })?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Unfit)?
        .with_no_client_auth()
        .with_single_cert(chain, secret)
        .map_err(TlsError::Unfit)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
