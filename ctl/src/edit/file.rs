//! A person's own file: read whole, kept beside itself before it changes, and replaced at once and durably, with the owner and
//! the rights that it had.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, chown,
};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

/// More than any person writes.
const LARGEST: u64 = 4 << 20;

/// A file as it was found.
#[derive(Debug)]
pub(crate) struct Found {
    /// Where it is, whatever leads there.
    real: PathBuf,
    /// `None` where there is no file yet.
    there: Option<There>,
}

#[derive(Debug)]
struct There {
    text: String,
    mode: u32,
    owner: (u32, u32),
}

/// Why a file is left alone.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    #[error("cannot {doing} {}", path.display())]
    Io { doing: &'static str, path: PathBuf, source: io::Error },
    #[error("{} {why}", path.display())]
    Unfit { path: PathBuf, why: &'static str },
}

impl Found {
    /// Reads the file that the path leads to.
    pub(crate) fn read(path: &Path) -> Result<Self, FileError> {
        let failed = |doing| move |source| FileError::Io { doing, path: path.to_owned(), source };
        let unfit = |why| FileError::Unfit { path: path.to_owned(), why };
        let real = match fs::canonicalize(path) {
            Ok(real) => real,
            Err(err) if err.kind() == io::ErrorKind::NotFound && fs::symlink_metadata(path).is_err() => {
                return Ok(Self { real: path.to_owned(), there: None });
            }
            Err(err) if err.kind() == io::ErrorKind::NotFound => {
                return Err(unfit("is a link to a file that does not exist"));
            }
            Err(err) => return Err(failed("read")(err)),
        };
        let meta = fs::metadata(&real).map_err(failed("read"))?;
        if !meta.is_file() {
            return Err(unfit("is no file"));
        }
        let mut bytes = Vec::new();
        let file = File::open(&real).map_err(failed("read"))?;
        file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(failed("read"))?;
        if u64::try_from(bytes.len()).is_ok_and(|length| length > LARGEST) {
            return Err(unfit("is larger than 4 MiB"));
        }
        let text = String::from_utf8(bytes).map_err(|_| unfit("is not UTF-8"))?;
        let there = There { text, mode: meta.mode() & 0o7777, owner: (meta.uid(), meta.gid()) };
        Ok(Self { real, there: Some(there) })
    }

    /// What it says; nothing where there is no file.
    pub(crate) fn text(&self) -> &str {
        self.there.as_ref().map_or("", |there| &there.text)
    }

    pub(crate) fn is_new(&self) -> bool {
        self.there.is_none()
    }

    pub(crate) fn path(&self) -> &Path {
        &self.real
    }

    /// Whether others than the owner may read it.
    pub(crate) fn is_open_to_others(&self) -> bool {
        self.there.as_ref().is_some_and(|there| there.mode & 0o077 != 0)
    }

    /// Puts the new text in its place and says where the old one is kept.
    pub(crate) fn replace(&self, text: &str, now: Timestamp) -> Result<Option<PathBuf>, FileError> {
        let failed = |doing| move |source| FileError::Io { doing, path: self.real.clone(), source };
        let directory = self.real.parent().unwrap_or_else(|| Path::new("/"));
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .map_err(failed("make the directory of"))?;
        let kept = match &self.there {
            Some(there) => Some(self.keep(there, now).map_err(failed("keep a copy of"))?),
            None => None,
        };
        self.write(directory, text).map_err(failed("write"))?;
        Ok(kept)
    }

    /// A copy beside it, with its owner and rights. One that is there is never written over.
    fn keep(&self, there: &There, now: Timestamp) -> io::Result<PathBuf> {
        let name = self.real.file_name().unwrap_or_default().to_string_lossy();
        let time = now.strftime("%Y%m%dT%H%M%SZ");
        let mut copies = 0_u32;
        loop {
            let end = if copies == 0 { String::new() } else { format!("-{copies}") };
            let path = self.real.with_file_name(format!("{name}.bak-{time}{end}"));
            // Private until it has the rights that it is to have.
            match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
                Ok(file) => {
                    return match there.copy_to(file, &path) {
                        Ok(()) => Ok(path),
                        Err(err) => {
                            // Half a copy is none. That it cannot be removed is not what went wrong.
                            let _left = fs::remove_file(&path);
                            Err(err)
                        }
                    };
                }
                Err(err) if err.kind() == io::ErrorKind::AlreadyExists && copies < 1000 => copies += 1,
                Err(err) => return Err(err),
            }
        }
    }

    fn write(&self, directory: &Path, text: &str) -> io::Result<()> {
        let mut new = tempfile::Builder::new().prefix(".proxyctl-").tempfile_in(directory)?;
        new.write_all(text.as_bytes())?;
        if let Some(there) = &self.there {
            there.hand_on(new.as_file(), new.path())?;
        }
        new.as_file().sync_all()?;
        self.unchanged()?;
        match self.there {
            Some(_) => new.persist(&self.real)?,
            None => new.persist_noclobber(&self.real)?,
        };
        File::open(directory)?.sync_all()
    }

    /// The program itself may have written it while a person read the diff.
    fn unchanged(&self) -> io::Result<()> {
        let Some(there) = &self.there else { return Ok(()) };
        if fs::read(&self.real)? == there.text.as_bytes() {
            Ok(())
        } else {
            Err(io::Error::other("it has changed meanwhile"))
        }
    }
}

impl There {
    fn copy_to(&self, mut file: File, path: &Path) -> io::Result<()> {
        file.write_all(self.text.as_bytes())?;
        self.hand_on(&file, path)?;
        file.sync_all()
    }

    fn hand_on(&self, file: &File, path: &Path) -> io::Result<()> {
        let (uid, gid) = self.owner;
        let meta = file.metadata()?;
        if (meta.uid(), meta.gid()) != (uid, gid) {
            chown(path, Some(uid), Some(gid))?;
        }
        file.set_permissions(Permissions::from_mode(self.mode))
    }
}
