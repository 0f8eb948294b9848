//! The client key that this machine keeps for its own programs, one for each daemon and name: a private file that holds the key
//! alone, and beside it the id by which the daemon knows it. While one is open nobody else has it, so that two programs that
//! ask at once get one key.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret as _, SecretString};

use crate::edit::file::FileError;
use crate::error::Error;
use crate::secret_file;

#[derive(Debug)]
pub(crate) struct KeptKey {
    key: PathBuf,
    id: PathBuf,
    /// Held as long as this lives.
    _lock: File,
}

impl KeptKey {
    /// Waits until nobody else has it. `daemon` is whatever tells one daemon from another.
    pub(crate) async fn open(state: &Path, daemon: &str, name: &str) -> Result<Self, Error> {
        let directory = directory(state, daemon);
        let path = |end: &str| directory.join(format!("{name}.{end}"));
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&directory)
            .map_err(failed("make the directory", &directory))?;
        let lock = path("lock");
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(&lock);
        let file = file.map_err(failed("open", &lock))?;
        // Whoever has it asks the daemon something, each with a limit of time.
        let locked = tokio::task::spawn_blocking(move || file.lock().map(|()| file)).await;
        let locked = locked.unwrap_or_else(|_| Err(io::ErrorKind::Interrupted.into()));
        Ok(Self { key: path("key"), id: path("id"), _lock: locked.map_err(failed("lock", &lock))? })
    }

    /// Where its file is or would be, and the key that it holds, for whoever changes nothing. What another one writes meanwhile
    /// is seen before or after.
    pub(crate) fn peek(state: &Path, daemon: &str, name: &str) -> (PathBuf, Option<SecretString>) {
        let file = directory(state, daemon).join(format!("{name}.key"));
        let held = fs::read(&file).ok().and_then(|bytes| secret_file::parse(bytes).ok());
        (file, held)
    }

    /// The private file that holds the key alone.
    pub(crate) fn path(&self) -> &Path {
        &self.key
    }

    /// The key and its id, if there is one.
    pub(crate) fn held(&self) -> Result<Option<(String, SecretString)>, Error> {
        // The id is written last and taken away first: where it stands, it is the id of this key.
        let id = match fs::read_to_string(&self.id) {
            Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(None),
            read => read.map_err(failed("read", &self.id))?,
        };
        let meta = fs::metadata(&self.key).map_err(failed("read", &self.key))?;
        if meta.mode() & 0o077 != 0 {
            let (what, hint) = (
                format!("{} may be read by others than you", self.key.display()),
                "revoke its key (`proxyctl keys list`), delete the file and run it again",
            );
            return Err(Error::Usage { what, hint: hint.to_owned() });
        }
        let bytes = fs::read(&self.key).map_err(failed("read", &self.key))?;
        Ok(secret_file::parse(bytes).ok().map(|secret| (id.trim().to_owned(), secret)))
    }

    /// Keeps another key from now on.
    pub(crate) fn keep(&self, id: &str, secret: &SecretString) -> Result<(), Error> {
        match fs::remove_file(&self.id) {
            Err(err) if err.kind() != io::ErrorKind::NotFound => {
                return Err(failed("replace", &self.id)(err));
            }
            _ => {}
        }
        write(&self.key, secret.expose_secret()).map_err(failed("write", &self.key))?;
        write(&self.id, id).map_err(failed("write", &self.id))
    }
}

fn directory(state: &Path, daemon: &str) -> PathBuf {
    state.join("keys").join(file_name(daemon))
}

fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::File(FileError::Io { doing, path, source })
}

/// One line, whole and private.
fn write(path: &Path, line: &str) -> io::Result<()> {
    let directory = path.parent().unwrap_or_else(|| Path::new("/"));
    let mut new = tempfile::Builder::new().prefix(".new-").tempfile_in(directory)?;
    writeln!(new, "{line}")?;
    new.as_file().sync_all()?;
    new.persist(path)?;
    File::open(directory)?.sync_all()
}

/// A name of one directory for any text, another one for each, that a person can still read.
fn file_name(daemon: &str) -> String {
    let mut name = String::new();
    for byte in daemon.bytes() {
        match byte {
            b'/' => name.push('+'),
            b'.' if name.is_empty() => name.push_str("%2E"),
            b'.' | b'-' | b'_' | b'@' | b':' => name.push(char::from(byte)),
            byte if byte.is_ascii_alphanumeric() => name.push(char::from(byte)),
            byte => name.extend(["%".to_owned(), format!("{byte:02X}")]),
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_daemon_has_a_directory_of_its_own() {
        for (daemon, name) in [
            ("/run/proxyd/control.sock", "+run+proxyd+control.sock"),
            ("/run/a+b", "+run+a%2Bb"),
            ("ssh://ada@server:22", "ssh:++ada@server:22"),
            ("..", "%2E."),
        ] {
            assert_eq!(file_name(daemon), name);
        }
    }

    #[tokio::test]
    async fn a_key_without_its_id_is_none() {
        let directory = tempfile::TempDir::new().unwrap();
        assert!(KeptKey::peek(directory.path(), "x", "n").1.is_none());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
        let kept = KeptKey::open(directory.path(), "x", "n").await.unwrap();
        assert!(kept.held().unwrap().is_none());
        kept.keep("key_1", &"FAKE-1".into()).unwrap();
        let (file, held) = KeptKey::peek(directory.path(), "x", "n");
        assert_eq!((file.as_path(), held.unwrap().expose_secret()), (kept.path(), "FAKE-1"));
        assert_eq!(kept.held().unwrap().unwrap().0, "key_1");
        // As a crash between the two would leave it.
        fs::remove_file(&kept.id).unwrap();
        assert!(kept.held().unwrap().is_none());
        kept.keep("key_2", &"FAKE-2".into()).unwrap();
        let (id, secret) = kept.held().unwrap().unwrap();
        assert_eq!((id.as_str(), secret.expose_secret()), ("key_2", "FAKE-2"));
        assert_eq!(fs::metadata(kept.path()).unwrap().mode() & 0o777, 0o600);
    }
}
