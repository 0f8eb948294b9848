//! The sources of configuration, merged. A later source replaces a key of an earlier one; what it replaced is
//! forgotten.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use directories::{BaseDirs, ProjectDirs};
use toml::de::{DeTable, DeValue};

use super::keys::{self, KEYS, Key, Kind};

/// Prefix of every variable that sets a key.
const PREFIX: &str = "PROXYD_";

/// What the command line says. Each is `None` (or empty) where it says nothing.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    pub config: Option<PathBuf>,
    pub auth_dir: Option<PathBuf>,
    pub listen: Vec<String>,
    pub control_socket: Option<PathBuf>,
    pub log_level: Option<String>,
    pub log_format: Option<String>,
}

/// The variables of the environment, taken once.
#[derive(Clone, Debug, Default)]
pub struct Environment(BTreeMap<String, String>);

/// A value before it is checked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Raw {
    Text(String),
    Texts(Vec<String>),
    Integer(i64),
    Boolean(bool),
}

/// Where a value comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Origin {
    Default,
    File { path: PathBuf, line: usize, column: usize },
    Environment(String),
    Flag(&'static str),
}

/// A value and its origin.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Setting {
    pub value: Raw,
    pub origin: Origin,
}

impl Environment {
    /// That of this process. A name that is not UTF-8 is not ours; a value that is not keeps its place, to be refused
    /// where it is used.
    pub fn of_process() -> Self {
        let text = |(name, value): (OsString, OsString)| {
            Some((name.into_string().ok()?, value.to_string_lossy().into_owned()))
        };
        Self(std::env::vars_os().filter_map(text).collect())
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The first of the directories that systemd names in a variable.
    pub(super) fn directory(&self, name: &str) -> Option<PathBuf> {
        self.get(name)?.split(':').next().map(PathBuf::from)
    }
}

impl FromIterator<(String, String)> for Environment {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(variables: I) -> Self {
        Self(variables.into_iter().collect())
    }
}

/// Every key with its value, in the table's order, and the mistakes met on the way.
pub(super) fn settings(
    flags: &Flags,
    environment: &Environment,
) -> (Vec<(&'static Key, Setting)>, Vec<String>) {
    let mut merged = Merged::default();
    for (path, required) in files(flags, environment, &mut merged.mistakes) {
        merged.file(&path, required);
    }
    merged.environment(environment);
    merged.flags(flags);
    let settings = KEYS.iter().map(|key| (key, merged.take(key))).collect();
    (settings, merged.mistakes)
}

#[derive(Default)]
struct Merged {
    found: BTreeMap<&'static str, Setting>,
    mistakes: Vec<String>,
}

/// The files to read, in order; `true` for one that must be there.
fn files(flags: &Flags, environment: &Environment, mistakes: &mut Vec<String>) -> Vec<(PathBuf, bool)> {
    let Some((main, required)) = main_file(flags, environment) else { return Vec::new() };
    let dropins = dropins(&main);
    let mut files = vec![(main, required)];
    match fs::read_dir(&dropins) {
        Ok(entries) => {
            let paths = entries.filter_map(|entry| entry.ok().map(|entry| entry.path()));
            let mut dropins: Vec<_> =
                paths.filter(|path| path.extension().is_some_and(|end| end == "toml")).collect();
            dropins.sort();
            files.extend(dropins.into_iter().map(|path| (path, true)));
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => mistakes.push(format!("{}: cannot read the drop-ins: {error}", dropins.display())),
    }
    files
}

/// `true` for one that must be there.
fn main_file(flags: &Flags, environment: &Environment) -> Option<(PathBuf, bool)> {
    match &flags.config {
        Some(path) => Some((path.clone(), true)),
        None => default_dir(environment).map(|dir| (dir.join("config.toml"), false)),
    }
}

fn dropins(main: &Path) -> PathBuf {
    main.parent().map(|dir| dir.join("config.d")).unwrap_or_default()
}

/// The main file's directory and the drop-ins', by absolute names.
pub(super) fn directories(flags: &Flags, environment: &Environment) -> Vec<PathBuf> {
    let main = main_file(flags, environment).and_then(|(main, _)| std::path::absolute(main).ok());
    let directories = main.map(|main| (main.parent().map(Path::to_owned), dropins(&main)));
    directories.into_iter().flat_map(|(dir, dropins)| dir.into_iter().chain([dropins])).collect()
}

/// What is to be read of the files, also when they are links to elsewhere.
pub(super) fn places(flags: &Flags, environment: &Environment) -> Vec<PathBuf> {
    let home = BaseDirs::new().map(|dirs| dirs.home_dir().to_owned());
    let is_own = |dir: &PathBuf| dir.components().count() > 2 && Some(dir) != home.as_ref();
    let files = files(flags, environment, &mut Vec::new()).into_iter().map(|(file, _)| file);
    let files: Vec<_> = files.filter_map(|file| std::path::absolute(file).ok()).collect();
    let real = files.iter().filter_map(|file| file.canonicalize().ok()).collect::<Vec<_>>();
    let around = real.iter().filter_map(|file| file.parent().map(Path::to_owned));
    let directories = directories(flags, environment).into_iter().chain(around).filter(is_own);
    let mut places: Vec<_> = directories.chain(files).chain(real.iter().cloned()).collect();
    places.sort();
    places.dedup();
    places
}

fn default_dir(environment: &Environment) -> Option<PathBuf> {
    let own = || ProjectDirs::from("", "", "proxyd").map(|dirs| dirs.config_dir().to_owned());
    environment.directory("CONFIGURATION_DIRECTORY").or_else(own)
}

impl Merged {
    fn file(&mut self, path: &Path, required: bool) {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if !required && error.kind() == std::io::ErrorKind::NotFound => return,
            Err(error) => {
                return self.mistakes.push(format!("{}: cannot read the file: {error}", path.display()));
            }
        };
        let (table, errors) = DeTable::parse_recoverable(&text);
        for error in &errors {
            let (line, column) = place(&text, error.span().map_or(0, |span| span.start));
            self.mistakes.push(format!("{}:{line}:{column}: {}", path.display(), error.message()));
        }
        if errors.is_empty() {
            self.table("", table.get_ref(), path, &text);
        }
    }

    fn table(&mut self, section: &str, table: &DeTable<'_>, file: &Path, text: &str) {
        for (name, value) in table {
            let path = if section.is_empty() {
                name.get_ref().to_string()
            } else {
                format!("{section}.{}", name.get_ref())
            };
            let (line, column) = place(text, name.span().start);
            let origin = Origin::File { path: file.to_owned(), line, column };
            match (keys::find(&path), value.get_ref()) {
                (Some(key), value) => match raw(key.kind, value) {
                    Some(value) => drop(self.found.insert(key.path, Setting { value, origin })),
                    None => self.mistakes.push(format!(
                        "{origin}: {path} must be {}, not {}",
                        expected(key.kind),
                        described(value)
                    )),
                },
                (None, DeValue::Table(inner)) if keys::is_section(&path) => {
                    self.table(&path, inner, file, text);
                }
                (None, _) => self.mistakes.push(format!("{origin}: {}", unknown(&path))),
            }
        }
    }

    fn environment(&mut self, environment: &Environment) {
        for (name, value) in &environment.0 {
            let Some(rest) = name.strip_prefix(PREFIX).filter(|rest| rest.contains("__")) else { continue };
            let path = rest.to_ascii_lowercase().replace("__", ".");
            let origin = Origin::Environment(name.clone());
            let Some(key) = keys::find(&path) else {
                self.mistakes.push(format!("{origin}: {}", unknown(&path)));
                continue;
            };
            match from_text(key.kind, value) {
                Some(value) => drop(self.found.insert(key.path, Setting { value, origin })),
                None => self.mistakes.push(format!("{origin}: {path} must be {}", expected(key.kind))),
            }
        }
    }

    fn flags(&mut self, flags: &Flags) {
        let text = |path: &PathBuf| Raw::Text(path.display().to_string());
        let given = [
            ("auth.dir", "--auth-dir", flags.auth_dir.as_ref().map(text)),
            ("control.socket", "--control-socket", flags.control_socket.as_ref().map(text)),
            ("log.level", "--log-level", flags.log_level.clone().map(Raw::Text)),
            ("log.format", "--log-format", flags.log_format.clone().map(Raw::Text)),
            ("http.listen", "--listen", (!flags.listen.is_empty()).then(|| Raw::Texts(flags.listen.clone()))),
        ];
        for (path, flag, value) in given {
            if let Some(value) = value {
                self.found.insert(path, Setting { value, origin: Origin::Flag(flag) });
            }
        }
    }

    fn take(&mut self, key: &'static Key) -> Setting {
        let default = || {
            let value = key.default.and_then(|text| DeValue::parse(text).ok());
            let value = value.and_then(|value| raw(key.kind, value.get_ref()));
            Setting { value: value.unwrap_or(Raw::Text(String::new())), origin: Origin::Default }
        };
        self.found.remove(key.path).unwrap_or_else(default)
    }
}

fn raw(kind: Kind, value: &DeValue<'_>) -> Option<Raw> {
    match (kind, value) {
        (Kind::Text, DeValue::String(text)) => Some(Raw::Text(text.to_string())),
        (Kind::Integer, DeValue::Integer(number)) => {
            i64::from_str_radix(number.as_str(), number.radix()).ok().map(Raw::Integer)
        }
        (Kind::Boolean, DeValue::Boolean(value)) => Some(Raw::Boolean(*value)),
        (Kind::Texts, DeValue::Array(items)) => {
            let texts = items.iter().map(|item| item.get_ref().as_str().map(str::to_owned));
            texts.collect::<Option<Vec<_>>>().map(Raw::Texts)
        }
        _ => None,
    }
}

/// A variable's value: a list is separated by commas.
fn from_text(kind: Kind, text: &str) -> Option<Raw> {
    match kind {
        Kind::Text => Some(Raw::Text(text.to_owned())),
        Kind::Integer => text.trim().parse().ok().map(Raw::Integer),
        Kind::Boolean => text.trim().parse().ok().map(Raw::Boolean),
        Kind::Texts => {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            Some(Raw::Texts(items.map(str::to_owned).collect()))
        }
    }
}

fn expected(kind: Kind) -> &'static str {
    match kind {
        Kind::Text => "a text in quotes",
        Kind::Texts => "a list of texts in quotes",
        Kind::Integer => "a whole number",
        Kind::Boolean => "true or false",
    }
}

fn described(value: &DeValue<'_>) -> String {
    match value.type_str() {
        kind @ ("array" | "integer") => format!("an {kind}"),
        kind => format!("a {kind}"),
    }
}

fn unknown(path: &str) -> String {
    match keys::nearest(path) {
        Some(known) => format!("there is no key {path}; did you mean {known}?"),
        None => format!("there is no key {path}; `proxyd print-config` lists them all"),
    }
}

/// Line and column, from 1, of a byte of the text.
fn place(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let column = before.rsplit('\n').next().map_or(0, |line| line.chars().count());
    (before.matches('\n').count() + 1, column + 1)
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line, column } => write!(f, "{}:{line}:{column}", path.display()),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::Flag(flag) => write!(f, "flag {flag}"),
        }
    }
}

impl fmt::Display for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Texts(texts) => f.write_str(&texts.join(",")),
            Self::Integer(number) => write!(f, "{number}"),
            Self::Boolean(value) => write!(f, "{value}"),
        }
    }
}

impl Raw {
    pub(super) fn to_toml(&self) -> String {
        match self {
            Self::Text(text) => format!("{text:?}"),
            Self::Texts(texts) => format!("{texts:?}"),
            Self::Integer(number) => number.to_string(),
            Self::Boolean(value) => value.to_string(),
        }
    }
}
