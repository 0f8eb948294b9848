//! Configuration: raw texts from five places (flag, environment, drop-in, file, default), then one valid
//! [`Config`], or every mistake at once with the place it was made.
//!
//! This is the one module that reads the environment. Components are handed their own part, never the whole.

mod annotated;
mod check;
pub mod diff;
mod effect;
mod keys;
mod load;
mod proxy_environment;

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::claude;
use crate::control::GroupConfig;
use crate::http;
use crate::otlp;
use crate::pool;
use crate::proxy;
use crate::refresh;
use crate::sandbox;
use crate::store;
use crate::stored;

pub use annotated::annotated;
pub use check::{Level, LogFormat};
pub use diff::Valued;
pub use effect::{AtReload, Part};
pub use keys::{KEYS, Key, Kind};
pub use load::{Environment, Flags, Origin, Raw, Setting};

/// A configuration without mistakes.
#[derive(Clone, Debug)]
pub struct Config {
    pub http: http::Config,
    pub control_socket: PathBuf,
    pub control_group: Option<GroupConfig>,
    pub auth_dir: PathBuf,
    pub store: store::Config,
    pub refresh: refresh::Policy,
    pub pool: pool::Config,
    pub proxy: proxy::Config,
    pub responses: stored::Config,
    pub log_level: Level,
    /// Where metrics are served alone.
    pub metrics_listen: Vec<SocketAddr>,
    /// `None`: nothing is exported.
    pub otlp: Option<otlp::Config>,
    pub log_format: LogFormat,
    pub claude: claude::Config,
    pub callback_port: u16,
    pub sandbox: sandbox::Config,
    /// Whether a change of its own files is seen by itself.
    pub watch: bool,
}

/// Everything that is wrong with a configuration.
#[derive(Debug, PartialEq, Eq)]
pub struct Mistakes(pub Vec<String>);

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the configuration is not valid")?;
        self.0.iter().try_for_each(|mistake| write!(f, "\n  {mistake}"))
    }
}

impl std::error::Error for Mistakes {}

/// What a configuration is made of beside its files: as the process was started with it, and so for as long as it runs.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    pub flags: Flags,
    pub environment: Environment,
}

/// A configuration and where each of its values comes from.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub config: Config,
    pub settings: Vec<(&'static Key, Setting)>,
    pub sources: Sources,
}

/// Reads every source and checks every value.
pub fn load(flags: &Flags, environment: &Environment) -> Result<Loaded, Mistakes> {
    Sources { flags: flags.clone(), environment: environment.clone() }.load()
}

impl Sources {
    /// Reads every file, now, and checks every value.
    pub fn load(&self) -> Result<Loaded, Mistakes> {
        let Self { flags, environment } = self;
        let (mut settings, mut mistakes) = load::settings(flags, environment);
        let exceptions = proxy_environment::put_in(&mut settings, environment, &mut mistakes);
        let config = check::config(&settings, environment, exceptions, &mut mistakes);
        match config {
            Some(config) if mistakes.is_empty() => Ok(Loaded { config, settings, sources: self.clone() }),
            _ => Err(Mistakes(mistakes)),
        }
    }

    /// Where its files are: that of the main one, and the drop-ins', whether or not they are there.
    pub fn directories(&self) -> Vec<PathBuf> {
        load::directories(&self.flags, &self.environment)
    }

    /// What is read of them, now and when they are written anew. A directory that holds more than a configuration is not
    /// opened for it: there the file itself is, which then must not be replaced by another.
    pub fn places(&self) -> Vec<PathBuf> {
        load::places(&self.flags, &self.environment)
    }
}

impl Loaded {
    /// Each value as TOML with its origin, for `print-config`. A password in the proxy's URL is not shown.
    pub fn print(&self) -> String {
        let mut lines = String::new();
        for Valued { key, shown, origin, .. } in self.valued() {
            lines.extend([key.path, " = ", &shown, "  # ", &origin.to_string(), "\n"]);
        }
        lines
    }

    /// Every key with the value that it has in the end, also where that is the machine's own.
    pub fn valued(&self) -> Vec<Valued> {
        let path = |path: &Path| Raw::Text(path.display().to_string());
        let valued = |(key, setting): &(&'static Key, Setting)| {
            let value = match key.path {
                "auth.dir" => path(&self.config.auth_dir),
                "control.socket" => path(&self.config.control_socket),
                _ => setting.value.clone(),
            };
            let shown = match key.path {
                "upstream.proxy_url" => format!("{:?}", check::without_password(&value.to_string())),
                _ => value.to_toml(),
            };
            Valued { key, value, origin: setting.origin.clone(), shown }
        };
        self.settings.iter().map(valued).collect()
    }
}

#[cfg(test)]
mod tests;
