//! From raw settings to a valid configuration. Each check names the value's origin, what is wrong and what
//! would be right; all of them run.

mod auth;
mod http;
mod log;
mod telemetry;

use std::fmt;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use directories::ProjectDirs;
use tracing::level_filters::LevelFilter;

use super::Config;
use super::keys::Key;
use super::load::{Environment, Raw, Setting};
use crate::address::{ProxyUrl, upstream_url};
use crate::claude::{self, Exceptions, Timeouts, TransportConfig, oauth};
use crate::clock::{SignedDuration, span};
use crate::control::{GroupConfig, GroupRights};
use crate::{pool, proxy, refresh, sandbox, stored, translate};

pub use log::LogFormat;

/// How much is logged.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Level {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

/// `None` where a value is missing; every mistake is in `mistakes`.
pub(super) fn config(
    settings: &[(&'static Key, Setting)],
    environment: &Environment,
    exceptions: Option<String>,
    mistakes: &mut Vec<String>,
) -> Option<Config> {
    let mut check = Check { settings, mistakes };
    let http = http::config(&mut check);
    let keep_alive = check.text("http.keep_alive", keep_alive);
    let control_socket = check.path("control.socket", || default_socket(environment));
    let group = check.text("control.group", |text| optional(text.trim(), |name| Ok(name.to_owned())));
    let group_rights = check.text("control.group_rights", str::parse);
    let auth_dir = check.path("auth.dir", || default_auth_dir(environment));
    let is_default = |dir: &PathBuf| auth_dir.as_ref() == Some(dir);
    let state_dir = default_auth_dir(environment).filter(is_default);
    let store = auth::config(&mut check, environment);
    let lead = check.text("refresh.lead", |text| {
        duration(text, SignedDuration::from_mins(1), SignedDuration::from_hours(24))
    });
    let strategy = check.text("pool.strategy", str::parse);
    let affinity = check.boolean("pool.affinity");
    let wait =
        check.text("pool.wait", |text| duration(text, SignedDuration::ZERO, SignedDuration::from_mins(5)));
    let queue = check.number("pool.queue", 0..=10_000);
    let warn_percent = check.number("pool.warn_percent", 1..=100);
    let store_responses = check.boolean("responses.store");
    let responses_ttl = check.text("responses.ttl", |text| {
        duration(text, SignedDuration::from_mins(1), SignedDuration::from_hours(365 * 24))
    });
    let responses_mib = check.number("responses.max_mib", 1..=1_000_000);
    let strict = check.boolean("translation.strict");
    let prompt_cache = check.boolean("translation.prompt_cache");
    let log_level = check.text("log.level", str::parse);
    let metrics_listen = telemetry::metrics(&mut check);
    let otlp = telemetry::otlp(&mut check);
    let log_format = check.text("log.format", str::parse);
    let api_base_url = check.text("claude.api_base_url", upstream_url);
    let authorize_url = check.text("claude.oauth.authorize_url", upstream_url);
    let token_url = check.text("claude.oauth.token_url", upstream_url);
    let revoke_url = check.text("claude.oauth.revoke_url", upstream_url);
    let profile_url = check.text("claude.oauth.profile_url", upstream_url);
    let usage_url = check.text("claude.oauth.usage_url", upstream_url);
    let paste_redirect_uri = check.text("claude.oauth.paste_redirect_uri", upstream_url);
    let client_id = check.text("claude.oauth.client_id", not_empty);
    let scopes = check.texts("claude.oauth.scopes");
    let callback_port = check.port("claude.oauth.callback_port");
    let proxy_url = check.text("upstream.proxy_url", |text| optional(text, ProxyUrl::parse));
    let _asked = check.boolean("upstream.proxy_from_environment");
    let connect_timeout = check.text("upstream.connect_timeout", limit);
    let head_timeout = check.text("upstream.head_timeout", limit);
    let silence_timeout = check.text("upstream.silence_timeout", limit);
    let ca_file = check.text("upstream.ca_file", |text| optional(text, |text| Ok(PathBuf::from(text))));
    let landlock = check.text("sandbox.landlock", str::parse);
    let watch = check.boolean("config.watch");
    Some(Config {
        http: http?,
        control_socket: control_socket?,
        control_group: control_group(group?, group_rights?),
        auth_dir: auth_dir?,
        store: store?,
        refresh: refresh::Policy { lead: lead? },
        pool: pool::Config {
            strategy: strategy?,
            affinity: affinity?,
            warn_at: f64::from(warn_percent?) / 100.0,
        },
        proxy: proxy::Config {
            wait: wait?,
            queue: queue? as usize,
            translation: translate::Config { strict: strict?, prompt_cache: prompt_cache? },
            keep_alive: keep_alive?,
            late_head: proxy::LATE_HEAD,
        },
        responses: stored::Config {
            enabled: store_responses?,
            ttl: responses_ttl?,
            most_bytes: u64::from(responses_mib?) * 1024 * 1024,
        },
        log_level: log_level?,
        metrics_listen: metrics_listen?,
        otlp: otlp.ok()?,
        log_format: log_format?,
        callback_port: callback_port?,
        claude: claude::Config {
            api_base_url: api_base_url?,
            oauth: oauth::Config {
                authorize_url: authorize_url?,
                token_url: token_url?,
                revoke_url: revoke_url?,
                profile_url: profile_url?,
                usage_url: usage_url?,
                paste_redirect_uri: paste_redirect_uri?,
                client_id: client_id?,
                scopes: scopes?,
            },
            transport: TransportConfig {
                proxy_url: proxy_url?,
                ca_file: ca_file?,
                exceptions: exceptions.map(Exceptions),
                timeouts: Timeouts {
                    connect: connect_timeout?,
                    head: head_timeout?,
                    silence: silence_timeout?,
                },
            },
        },
        sandbox: sandbox::Config {
            landlock: landlock?,
            state_dir: state_dir.and_then(|auth| auth.parent().map(Path::to_owned)),
            certificates: certificates(environment),
            notify_socket: environment.get("NOTIFY_SOCKET").map(PathBuf::from),
        },
        watch: watch?,
    })
}

struct Check<'a> {
    settings: &'a [(&'static Key, Setting)],
    mistakes: &'a mut Vec<String>,
}

impl Check<'_> {
    fn setting(&self, path: &str) -> Option<&Setting> {
        self.settings.iter().find(|(key, _)| key.path == path).map(|(_, setting)| setting)
    }

    fn mistake<T>(&mut self, path: &str, problem: &str) -> Option<T> {
        let origin = self.setting(path).map(|setting| setting.origin.to_string()).unwrap_or_default();
        self.mistakes.push(format!("{origin}: {path}: {problem}"));
        None
    }

    fn text<T>(&mut self, path: &str, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        let parsed = match &self.setting(path)?.value {
            Raw::Text(text) => parse(text),
            _ => Err("must be a text".to_owned()),
        };
        parsed.map_or_else(|problem| self.mistake(path, &problem), Some)
    }

    /// Each of a list, which may be empty, as `parse` reads it. Every mistake is told.
    fn each<T>(&mut self, path: &str, parse: impl Fn(&str) -> Result<T, String>) -> Option<Vec<T>> {
        let texts = match &self.setting(path)?.value {
            Raw::Texts(texts) => texts.clone(),
            _ => return self.mistake(path, "must be a list of texts"),
        };
        let mut parsed = Vec::new();
        for text in &texts {
            match parse(text) {
                Ok(one) => parsed.push(one),
                Err(problem) => self.mistake::<()>(path, &problem).unwrap_or_default(),
            }
        }
        (parsed.len() == texts.len()).then_some(parsed)
    }

    fn texts(&mut self, path: &str) -> Option<Vec<String>> {
        match &self.setting(path)?.value {
            Raw::Texts(texts) if !texts.is_empty() && texts.iter().all(|text| !text.trim().is_empty()) => {
                Some(texts.clone())
            }
            _ => self.mistake(path, "must name at least one, and none may be empty"),
        }
    }

    fn boolean(&mut self, path: &str) -> Option<bool> {
        match &self.setting(path)?.value {
            Raw::Boolean(value) => Some(*value),
            _ => self.mistake(path, "must be true or false"),
        }
    }

    fn number(&mut self, path: &str, bounds: RangeInclusive<u32>) -> Option<u32> {
        let number = match &self.setting(path)?.value {
            Raw::Integer(number) => u32::try_from(*number).ok().filter(|number| bounds.contains(number)),
            _ => None,
        };
        let problem = || format!("must be a whole number from {} to {}", bounds.start(), bounds.end());
        number.or_else(|| self.mistake(path, &problem()))
    }

    fn port(&mut self, path: &str) -> Option<u16> {
        let port = match &self.setting(path)?.value {
            Raw::Integer(number) => u16::try_from(*number).ok().filter(|port| *port > 0),
            _ => None,
        };
        port.or_else(|| self.mistake(path, "must be a port number from 1 to 65535"))
    }

    /// A path that was set, made absolute so that it means the same whatever happens; else what the machine
    /// says.
    fn path(&mut self, path: &str, default: impl FnOnce() -> Option<PathBuf>) -> Option<PathBuf> {
        let set = match &self.setting(path)?.value {
            Raw::Text(text) if !text.is_empty() => Some(PathBuf::from(text)),
            _ => None,
        };
        match set {
            Some(set) => {
                std::path::absolute(&set).map_or_else(|_| self.mistake(path, "is not a usable path"), Some)
            }
            None => default()
                .or_else(|| self.mistake(path, "this user has no home directory to put it in; set it")),
        }
    }
}

fn duration(text: &str, least: SignedDuration, most: SignedDuration) -> Result<SignedDuration, String> {
    let unreadable = || format!("{text:?} is not a duration: write it as in \"30s\", \"5m\" or \"7d\"");
    let parsed = span(text).ok_or_else(unreadable)?;
    if (least..=most).contains(&parsed) {
        Ok(parsed)
    } else {
        Err(format!("{text:?} must be from {least:#} to {most:#}"))
    }
}

/// How long upstream may take to something.
fn limit(text: &str) -> Result<Duration, String> {
    let limit = duration(text, SignedDuration::from_millis(10), SignedDuration::from_hours(1))?;
    Ok(Duration::try_from(limit).unwrap_or_default())
}

/// `None`: off.
fn keep_alive(text: &str) -> Result<Option<Duration>, String> {
    if span(text).is_some_and(|span| span.is_zero()) {
        return Ok(None);
    }
    let interval = duration(text, SignedDuration::from_millis(10), SignedDuration::from_mins(10))
        .map_err(|problem| format!("{problem}; \"0s\" switches it off"))?;
    Ok(Some(Duration::try_from(interval).unwrap_or_default()))
}

fn control_group(name: Option<String>, rights: GroupRights) -> Option<GroupConfig> {
    name.map(|name| GroupConfig { name, rights })
}

fn not_empty(text: &str) -> Result<String, String> {
    if text.trim().is_empty() { Err("must not be empty".to_owned()) } else { Ok(text.to_owned()) }
}

fn optional<T>(text: &str, parse: impl FnOnce(&str) -> Result<T, String>) -> Result<Option<T>, String> {
    if text.is_empty() { Ok(None) } else { parse(text).map(Some) }
}

/// Where the environment says that trusted certificates are, as OpenSSL reads it.
fn certificates(environment: &Environment) -> Vec<PathBuf> {
    let directories = environment.get("SSL_CERT_DIR").unwrap_or_default().split(':');
    let named = environment.get("SSL_CERT_FILE").into_iter().chain(directories);
    named.filter(|path| !path.is_empty()).map(PathBuf::from).collect()
}

/// What systemd made for us wins over guesses.
fn default_socket(environment: &Environment) -> Option<PathBuf> {
    let given = environment.directory("RUNTIME_DIRECTORY").map(|dir| dir.join("control.sock"));
    given.or_else(proxy_proto::socket::user)
}

fn default_auth_dir(environment: &Environment) -> Option<PathBuf> {
    let own = || ProjectDirs::from("", "", "proxyd")?.state_dir().map(Path::to_owned);
    Some(environment.directory("STATE_DIRECTORY").or_else(own)?.join("auth"))
}

/// For showing.
pub(super) fn without_password(text: &str) -> String {
    ProxyUrl::parse(text).map_or_else(|_| text.to_owned(), |proxy| proxy.to_string())
}

impl From<Level> for LevelFilter {
    fn from(level: Level) -> Self {
        match level {
            Level::Error => Self::ERROR,
            Level::Warn => Self::WARN,
            Level::Info => Self::INFO,
            Level::Debug => Self::DEBUG,
            Level::Trace => Self::TRACE,
        }
    }
}

impl FromStr for Level {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim().to_ascii_lowercase().as_str() {
            "error" => Ok(Self::Error),
            "warn" => Ok(Self::Warn),
            "info" => Ok(Self::Info),
            "debug" => Ok(Self::Debug),
            "trace" => Ok(Self::Trace),
            _ => Err(format!("{text:?} must be one of error, warn, info, debug, trace")),
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        })
    }
}
