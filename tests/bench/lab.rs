//! What a run has at hand: cores, a directory of its own, the programs, and how long it measures.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tempfile::TempDir;

use crate::cores::Cores;
use crate::process::Part;
use crate::upstream::Way;

/// How much is measured.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) repetitions: usize,
    /// Of one measurement.
    pub(crate) time: Duration,
    /// How long memory may take to come back after streams have ended.
    pub(crate) rest: Duration,
}

#[derive(Debug)]
pub(crate) struct Lab {
    pub(crate) cores: Cores,
    pub(crate) settings: Settings,
    pub(crate) proxyd: PathBuf,
    dir: TempDir,
    me: PathBuf,
}

/// An upstream that runs.
#[derive(Debug)]
pub(crate) struct Upstream {
    pub(crate) part: Part,
    pub(crate) address: SocketAddr,
    /// Its certificate, where it wants TLS.
    pub(crate) certificate: Option<PathBuf>,
}

impl Lab {
    pub(crate) fn new(settings: Settings, proxyd: PathBuf) -> Result<Self> {
        let me = std::env::current_exe().context("the path of this program")?;
        let dir = tempfile::tempdir().context("a directory for the run")?;
        Ok(Self { cores: Cores::of_machine()?, settings, proxyd, dir, me })
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// A part that this program is itself, on a core.
    pub(crate) fn part(&self, core: usize, arguments: &[&str]) -> Result<Part> {
        let mut command = Command::new(&self.me);
        command.args(arguments);
        self.cores.on(core, || Part::talking(command))?
    }

    pub(crate) fn upstream(&self, way: Way) -> Result<Upstream> {
        let file = self.dir().join("upstream.pem");
        let name = file.to_str().context("a directory with a name in UTF-8")?;
        let arguments: &[&str] = match way {
            Way::Plain => &["upstream"],
            Way::Tls => &["upstream", "--certificate", name],
            Way::Http2 => &["upstream", "--certificate", name, "--http2"],
        };
        let mut part = self.part(self.cores.upstream, arguments)?;
        let address = part.line().context("the upstream")?.parse()?;
        Ok(Upstream { part, address, certificate: (way != Way::Plain).then_some(file) })
    }
}
