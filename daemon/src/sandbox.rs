//! Landlock: from its start on the daemon can open nothing but what it uses, whatever goes wrong in it, and can execute
//! nothing. Never half of it: where the kernel cannot enforce all that is asked, the daemon does not start.
//!
//! A thread is restricted and hands that on to the threads it starts, so this comes before the runtime. It holds for what
//! is opened afterwards; sockets and files that are open stay so.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use landlock::{
    ABI, Access, AccessFs, BitFlags, CompatLevel, Compatible as _, LandlockStatus, PathBeneath, PathFd,
    RestrictionStatus, Ruleset, RulesetAttr as _, RulesetCreated, RulesetCreatedAttr as _, RulesetError,
    RulesetStatus, Scope,
};

/// Newest first: a newer kernel restricts more.
const KNOWN: &[ABI] =
    &[ABI::V10, ABI::V9, ABI::V8, ABI::V7, ABI::V6, ABI::V5, ABI::V4, ABI::V3, ABI::V2, ABI::V1];

/// What every daemon reads, where it is there: libraries, names and users, certificates, the time, its own numbers.
const SYSTEM: &[&str] = &[
    "/etc",
    "/usr",
    "/lib",
    "/lib64",
    "/nix/store",
    "/gnu/store",
    "/proc",
    "/sys/devices/system/cpu",
    "/sys/fs/cgroup",
    "/dev/urandom",
    "/dev/random",
    "/var/db",
    "/var/lib/misc",
    "/var/lib/extrausers",
    "/var/lib/ca-certificates",
    "/var/ssl",
    "/opt/etc/ssl",
];
/// What is talked to, where it is there: systemd's journal, resolver and user records, and the caches of users.
const SERVICES: &[&str] = &["/run/systemd", "/run/nscd", "/var/cache/nscd", "/var/lib/sss"];
/// Often a link to a directory of the resolver's, where it is written anew.
const RESOLV_CONF: &str = "/etc/resolv.conf";
/// Files of `/etc` that may be links to somewhere else.
const OFTEN_LINKS: &[&str] = &[
    RESOLV_CONF,
    "/etc/hosts",
    "/etc/nsswitch.conf",
    "/etc/passwd",
    "/etc/group",
    "/etc/gai.conf",
    "/etc/ssl/cert.pem",
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
];

/// `sandbox.landlock`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Landlock {
    Required,
    Off,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    pub landlock: Landlock,
    /// The daemon's own directory, where the auth directory has its usual place in it: one that is moved away and made anew is
    /// still ours there.
    pub state_dir: Option<PathBuf>,
    /// Files and directories of trusted certificates that the environment names.
    pub certificates: Vec<PathBuf>,
    /// Of systemd, or whoever started us.
    pub notify_socket: Option<PathBuf>,
}

/// What this daemon uses beside what every one does. All of it is there already.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Places {
    /// Directories that are read and written, with all below them.
    pub state: Vec<PathBuf>,
    /// Directories in which sockets are made and removed.
    pub sockets: Vec<PathBuf>,
    /// Files, or directories with all below them, that are read.
    pub read: Vec<PathBuf>,
}

/// Why the daemon is not restricted, and so does not start.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    #[error(
        "this kernel cannot close the daemon to the files that it does not use: {lack}. Landlock is in Linux 5.13 and later, where \
         it is built in and named in the lsm= of the kernel's command line, and a container or unit may forbid its calls. Make it \
         available, or go without with sandbox.landlock = \"off\""
    )]
    Unavailable { lack: Lack },
    #[error("cannot restrict the daemon to {}", path.display())]
    Place {
        path: PathBuf,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("cannot restrict the daemon to the files that it uses (sandbox.landlock)")]
    Rules(#[source] RulesetError),
}

/// What of landlock is missing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Lack {
    #[error("landlock is switched off")]
    NotEnabled,
    #[error("it has no landlock, or its calls are forbidden here")]
    NotImplemented,
    #[error("it enforces only a part of what was asked")]
    Partly,
}

/// How the daemon is restricted, for the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Restricted {
    Fully,
    /// A person switched it off.
    Not,
}

/// Restricts this thread, and those that it starts from now on, to `places` and what every daemon needs.
pub fn restrict(config: &Config, places: &Places) -> Result<Restricted, SandboxError> {
    if config.landlock == Landlock::Off {
        return Ok(Restricted::Not);
    }
    let (abi, ruleset) = newest()?;
    let ruleset = allow(ruleset, abi, config, places)?;
    let status = ruleset.restrict_self().map_err(SandboxError::Rules)?;
    judge(&status).map_err(|lack| SandboxError::Unavailable { lack })?;
    Ok(Restricted::Fully)
}

/// The rules of the newest landlock that this kernel has in full.
fn newest() -> Result<(ABI, RulesetCreated), SandboxError> {
    let full = KNOWN.iter().find_map(|abi| Some((*abi, ruleset(*abi).ok()?)));
    full.ok_or_else(|| SandboxError::Unavailable { lack: lack() })
}

/// Everything that this version of landlock can deny is denied from the start.
fn ruleset(abi: ABI) -> Result<RulesetCreated, RulesetError> {
    let mut ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(abi))?;
    let scopes = Scope::from_all(abi);
    if !scopes.is_empty() {
        ruleset = ruleset.scope(scopes)?;
    }
    ruleset.create()
}

/// Asks once more for the least there is, without insisting, which tells what is missing. The daemon ends after this.
fn lack() -> Lack {
    let asked = Ruleset::default().handle_access(AccessFs::from_all(ABI::V1)).and_then(Ruleset::create);
    match asked.and_then(RulesetCreated::restrict_self) {
        Ok(status) => judge(&status).err().unwrap_or(Lack::Partly),
        Err(_) => Lack::Partly,
    }
}

/// Anything but the whole of it is none.
fn judge(status: &RestrictionStatus) -> Result<(), Lack> {
    match (&status.ruleset, status.landlock) {
        (RulesetStatus::FullyEnforced, _) if status.no_new_privs => Ok(()),
        (_, LandlockStatus::NotEnabled) => Err(Lack::NotEnabled),
        (_, LandlockStatus::NotImplemented) => Err(Lack::NotImplemented),
        (_, LandlockStatus::Available { .. }) => Err(Lack::Partly),
    }
}

fn allow(
    mut ruleset: RulesetCreated,
    abi: ABI,
    config: &Config,
    places: &Places,
) -> Result<RulesetCreated, SandboxError> {
    let rights = Rights::of(abi);
    for path in &places.state {
        ruleset = add(ruleset, path, rights.state, abi)?;
    }
    for path in &places.sockets {
        ruleset = add(ruleset, path, rights.sockets, abi)?;
    }
    for path in &places.read {
        ruleset = add(ruleset, path, rights.read, abi)?;
    }
    // What is not there on this machine is not needed on it.
    let links = OFTEN_LINKS.iter().filter_map(|link| Path::new(link).canonicalize().ok());
    let resolver = Path::new(RESOLV_CONF).canonicalize().ok().and_then(|file| directory_of(&file));
    let system =
        SYSTEM.iter().map(PathBuf::from).chain(links).chain(resolver).map(|path| (path, rights.read));
    let services = SERVICES.iter().map(PathBuf::from).chain(config.notify_socket.clone());
    let services = services.map(|path| (path, rights.services));
    let certificates = config.certificates.iter().map(|path| (path.clone(), rights.read));
    let null = std::iter::once((PathBuf::from("/dev/null"), rights.null));
    for (path, access) in system.chain(services).chain(certificates).chain(null) {
        if path.exists() {
            ruleset = add(ruleset, &path, access, abi)?;
        }
    }
    Ok(ruleset)
}

/// The directory in which a file is written anew, where that is one of its own and not half the machine.
fn directory_of(file: &Path) -> Option<PathBuf> {
    file.parent().filter(|dir| dir.components().count() > 2).map(Path::to_owned)
}

/// What is allowed where. Nothing may be executed, and no device be made, anywhere.
struct Rights {
    state: BitFlags<AccessFs>,
    sockets: BitFlags<AccessFs>,
    services: BitFlags<AccessFs>,
    read: BitFlags<AccessFs>,
    null: BitFlags<AccessFs>,
}

impl Rights {
    fn of(abi: ABI) -> Self {
        use AccessFs::{
            MakeDir, MakeReg, MakeSock, ReadDir, ReadFile, RemoveDir, RemoveFile, ResolveUnix, Truncate,
            WriteFile,
        };
        let read = ReadFile | ReadDir;
        let all = Self {
            state: read | WriteFile | Truncate | MakeReg | MakeDir | RemoveFile | RemoveDir,
            sockets: read | MakeSock | RemoveFile | ResolveUnix,
            services: read | ResolveUnix,
            read,
            null: ReadFile | WriteFile | Truncate,
        };
        let known = |rights| rights & AccessFs::from_all(abi);
        Self {
            state: known(all.state),
            sockets: known(all.sockets),
            services: known(all.services),
            read: known(all.read),
            null: known(all.null),
        }
    }
}

fn add(
    ruleset: RulesetCreated,
    path: &Path,
    access: BitFlags<AccessFs>,
    abi: ABI,
) -> Result<RulesetCreated, SandboxError> {
    let failed = |source: Box<dyn std::error::Error + Send + Sync>| SandboxError::Place {
        path: path.to_owned(),
        source,
    };
    let opened = PathFd::new(path).map_err(|error| failed(error.into()))?;
    // A right that only directories have is an error on a file.
    let access = if path.is_dir() { access } else { access & AccessFs::from_file(abi) };
    ruleset.add_rule(PathBeneath::new(opened, access)).map_err(|error| failed(error.into()))
}

impl FromStr for Landlock {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim() {
            "required" => Ok(Self::Required),
            "off" => Ok(Self::Off),
            _ => Err(format!("{text:?} must be required or off")),
        }
    }
}

#[cfg(test)]
#[path = "sandbox_tests.rs"]
mod tests;
