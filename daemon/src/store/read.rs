//! Reading one account file, with every reason not to.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use zeroize::Zeroizing;

use super::vault::Vault;
use crate::account::{Account, Document, DocumentError, FileName};
use crate::seal::OpenError;

/// A file larger than this is no account.
const MAX_SIZE: u64 = 1024 * 1024;

/// An account file that was read whole.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub account: Account,
    pub document: Document,
}

/// Why a file is not used. It is left as it is.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    #[error("the file is gone")]
    Gone,
    #[error(transparent)]
    Broken(#[from] DocumentError),
    #[error("its `{field}` {problem}")]
    Sealed { field: &'static str, problem: Box<OpenError> },
    /// The service manager's, named by its place.
    #[error("the credential {problem}")]
    Credential { problem: String },
    #[error("the file is a symbolic link; put the file itself into the directory")]
    Link,
    #[error("the file has {count} hard links; a copy elsewhere would be a second owner of its tokens")]
    HardLinked { count: u64 },
    #[error("not a regular file")]
    NotAFile,
    #[error("the file belongs to uid {owner}; run: chown to uid {uid}")]
    ForeignOwner { owner: u32, uid: u32 },
    #[error("others may read the file (mode {mode:04o}); `chmod 600` makes it private")]
    OpenToOthers { mode: u32 },
    #[error("the file is larger than 1 MiB")]
    TooLarge,
    #[error("cannot read the file: {0}")]
    Io(#[source] io::Error),
}

impl Unusable {
    /// Whether the file is one that was being written or edited badly, or was sealed by somebody else, so that the account
    /// it held goes on with what is known. Every other reason says that the file must not be used at all.
    pub fn is_broken_content(&self) -> bool {
        match self {
            Self::Broken(error) => {
                !matches!(error, DocumentError::OtherProvider | DocumentError::OtherProgram(_))
            }
            Self::Sealed { .. } => true,
            _ => false,
        }
    }
}

pub(super) fn read(dir: &Path, vault: &Vault, file: &FileName) -> Result<Loaded, Unusable> {
    let document = vault.open(document(&dir.join(file.as_str()))?)?;
    let account = document.to_account(file.clone())?;
    Ok(Loaded { account, document })
}

/// A file's content as it stands there, with sealed secrets sealed.
pub(super) fn document(path: &Path) -> Result<Document, Unusable> {
    Ok(Document::parse(&Zeroizing::new(read_private(path)?))?)
}

/// How often a file is opened again that was replaced between its opening and its check.
const REPLACED: usize = 100;

/// Reads a file that only we may read. The checks are made on the opened file, so that nobody can swap it in
/// between.
pub(super) fn read_private(path: &Path) -> Result<Vec<u8>, Unusable> {
    read_private_up_to(MAX_SIZE, path)
}

/// The same for files of ours that grow with the number of accounts.
pub(super) fn read_private_up_to(most: u64, path: &Path) -> Result<Vec<u8>, Unusable> {
    for _ in 0..REPLACED {
        match read_opened(open(path)?, most) {
            // The file that was opened has no name any more. If the name is there, it has another file by now: ours
            // are replaced at each save, and must not seem to be gone for a moment.
            Err(Unusable::Gone) => {}
            read => return read,
        }
    }
    Err(Unusable::Io(io::Error::other("it is replaced again and again")))
}

fn read_opened(mut file: File, most: u64) -> Result<Vec<u8>, Unusable> {
    let meta = file.metadata().map_err(Unusable::Io)?;
    let uid = nix::unistd::geteuid().as_raw();
    if !meta.is_file() {
        return Err(Unusable::NotAFile);
    }
    if meta.uid() != uid {
        return Err(Unusable::ForeignOwner { owner: meta.uid(), uid });
    }
    if meta.mode() & 0o077 != 0 {
        return Err(Unusable::OpenToOthers { mode: meta.mode() & 0o7777 });
    }
    match meta.nlink() {
        0 => return Err(Unusable::Gone),
        1 => {}
        count => return Err(Unusable::HardLinked { count }),
    }
    let mut bytes = Vec::new();
    let read = file.by_ref().take(most + 1).read_to_end(&mut bytes).map_err(Unusable::Io)?;
    if read as u64 > most { Err(Unusable::TooLarge) } else { Ok(bytes) }
}

fn open(path: &Path) -> Result<File, Unusable> {
    use nix::libc::{ELOOP, ENXIO, O_CLOEXEC, O_NOFOLLOW, O_NONBLOCK};
    // Non-blocking, so that a named pipe in the directory cannot hold us up.
    let opened = OpenOptions::new().read(true).custom_flags(O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC).open(path);
    opened.map_err(|error| match error.raw_os_error() {
        Some(ELOOP) => Unusable::Link,
        Some(ENXIO) => Unusable::NotAFile,
        _ if error.kind() == io::ErrorKind::NotFound => Unusable::Gone,
        _ => Unusable::Io(error),
    })
}
