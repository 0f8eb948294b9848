//! What the service manager hands over as credentials (systemd.exec(5), `LoadCredential=` and its like): files in a directory of its
//! own, which nobody here writes. The modes of the files are its business.
//!
//! `proxyd.api-key` and each `proxyd.api-key.NAME` hold one API key: an account that is in the pool and never in the auth directory.

use std::fs::OpenOptions;
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use nix::libc::{O_CLOEXEC, O_NONBLOCK};
use zeroize::Zeroizing;

use super::read::{Loaded, Unusable};
use super::scan::Scan;
use crate::account::{Document, FileName, api_key_problem, settings};
use crate::secret::ApiKey;

/// As large as systemd lets one be.
const MAX_SIZE: u64 = 1024 * 1024;

/// Why a credential, or their directory, cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the credential {}", path.display())]
pub struct CredentialError {
    path: PathBuf,
    source: io::Error,
}

/// What the credential of this name holds; `None` where there is none.
pub(super) fn read(dir: &Path, name: &str) -> Result<Option<Zeroizing<Vec<u8>>>, CredentialError> {
    let path = dir.join(name);
    let read = || {
        // Non-blocking, so that a named pipe cannot hold us up.
        let file = OpenOptions::new().read(true).custom_flags(O_NONBLOCK | O_CLOEXEC).open(&path)?;
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("it is not a regular file"));
        }
        let mut bytes = Zeroizing::new(Vec::new());
        let size = file.take(MAX_SIZE + 1).read_to_end(&mut bytes)?;
        if size as u64 > MAX_SIZE {
            return Err(io::Error::other("it is larger than 1 MiB"));
        }
        Ok(bytes)
    };
    match read() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(CredentialError { path, source }),
        Ok(bytes) => Ok(Some(bytes)),
    }
}

/// Adds to a scan what each API key among the credentials is. A directory that is not there holds none.
pub(super) fn scan(dir: &Path, scan: &mut Scan) {
    let names = || -> io::Result<Vec<FileName>> {
        let names = dir.read_dir()?.map(|entry| Ok(entry?.file_name()));
        let names = names.collect::<io::Result<Vec<_>>>()?;
        Ok(names.iter().filter_map(|name| FileName::of_credential(name.to_str()?)).collect())
    };
    match names() {
        Ok(names) => {
            scan.files.extend(names.into_iter().filter_map(|name| {
                let account = account(dir, &name);
                (!matches!(account, Err(Unusable::Gone))).then_some((name, account))
            }));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => scan.unread_credentials = Some(error),
    }
}

/// The account of one key.
pub(super) fn account(dir: &Path, name: &FileName) -> Result<Loaded, Unusable> {
    let bad = |problem: String| Unusable::Credential { problem };
    let bytes = read(dir, name.as_str()).map_err(|error| bad(format!("cannot be read: {}", error.source)))?;
    let bytes = bytes.ok_or(Unusable::Gone)?;
    let text = std::str::from_utf8(&bytes).map(str::trim).map_err(|_| bad("is not text".to_owned()))?;
    if let Some(problem) = api_key_problem(text, false) {
        return Err(bad(format!("holds no usable API key: {problem}")));
    }
    let mut document = Document::for_api_key(&ApiKey::new(text));
    if let Some(label) = name.credential_label() {
        settings::label(label)
            .map_err(|problem| bad(format!("cannot give its account a label: the name {problem}")))?;
        document.set_label(label);
    }
    let account = document.to_account(name.clone())?;
    Ok(Loaded { account, document })
}
