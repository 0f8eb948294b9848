//! Configuration: raw texts from five places (flag, environment, drop-in, file, default), then one valid
//! [`Config`], or every mistake at once with the place it was made.
//!
//! This is the one module that reads the environment. Components are handed their own part, never the whole.

mod annotated;
mod check;
mod keys;
mod load;
mod proxy_environment;

use std::fmt;
use std::path::PathBuf;

use crate::claude;
use crate::control::GroupConfig;
use crate::http;
use crate::pool;
use crate::proxy;
use crate::refresh;
use crate::sandbox;
use crate::stored;

pub use annotated::annotated;
pub use check::Level;
pub use keys::{KEYS, Key, Kind};
pub use load::{Environment, Flags, Origin, Setting};

/// A configuration without mistakes.
#[derive(Clone, Debug)]
pub struct Config {
    pub http: http::Config,
    pub control_socket: PathBuf,
    pub control_group: Option<GroupConfig>,
    pub auth_dir: PathBuf,
    pub refresh: refresh::Policy,
    pub pool: pool::Config,
    pub proxy: proxy::Config,
    pub responses: stored::Config,
    pub log_level: Level,
    pub claude: claude::Config,
    pub callback_port: u16,
    pub sandbox: sandbox::Config,
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

/// A configuration and where each of its values comes from.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub config: Config,
    pub settings: Vec<(&'static Key, Setting)>,
}

/// Reads every source and checks every value.
pub fn load(flags: &Flags, environment: &Environment) -> Result<Loaded, Mistakes> {
    let (mut settings, mut mistakes) = load::settings(flags, environment);
    let exceptions = proxy_environment::put_in(&mut settings, environment, &mut mistakes);
    let config = check::config(&settings, environment, exceptions, &mut mistakes);
    match config {
        Some(config) if mistakes.is_empty() => Ok(Loaded { config, settings }),
        _ => Err(Mistakes(mistakes)),
    }
}

impl Loaded {
    /// Each value as TOML with its origin, for `print-config`. A password in the proxy's URL is not shown.
    pub fn print(&self) -> String {
        let mut lines = String::new();
        for (key, setting) in &self.settings {
            let value = match key.path {
                "auth.dir" => format!("{:?}", self.config.auth_dir.display().to_string()),
                "control.socket" => format!("{:?}", self.config.control_socket.display().to_string()),
                "upstream.proxy_url" => format!("{:?}", check::without_password(&setting.value.to_string())),
                _ => setting.value.to_toml(),
            };
            lines.extend([key.path, " = ", &value, "  # ", &setting.origin.to_string(), "\n"]);
        }
        lines
    }
}

#[cfg(test)]
mod tests;
