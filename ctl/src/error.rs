//! Everything that can go wrong, told in three parts: what failed, why, and what to run next. The exit code
//! follows from the variant by exhaustive match. No text here ever holds a code, a state, a token or a key.

mod login;
mod refusal;

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use proxy_proto::socket;

pub(crate) use self::login::{Denial, LoginFailure};
pub(crate) use self::refusal::{Operation, Refusal};
use crate::client::Host;
use crate::edit::Unfit;
use crate::edit::file::FileError;
use crate::exit::Exit;
use crate::holder::Holder;
use crate::paste::NotThisLogin;
use crate::text;
use crate::version;

/// Why a command ended badly.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("{what}")]
    Usage { what: String, hint: String },
    #[error("{what}")]
    CommandLine { what: String, why: Option<String>, hint: String },
    #[error("no daemon listens on {}", socket.display())]
    NotRunning { socket: PathBuf, source: io::Error },
    #[error("the control socket {} may not be used", socket.display())]
    SocketForbidden { socket: PathBuf, source: io::Error },
    #[error("cannot connect to the control socket {}", socket.display())]
    Connect { socket: PathBuf, source: io::Error },
    /// Somebody else's: nothing was sent.
    #[error("the control socket {} is served by {}", socket.display(), name(*uid, user.as_deref()))]
    Stranger { socket: PathBuf, uid: u32, user: Option<String> },
    #[error("what answers {place} is not proxyd")]
    NotADaemon { place: Place, said: String },
    #[error("cannot run ssh")]
    NoSsh { source: io::Error },
    /// It has said why itself.
    #[error("ssh did not reach {host}")]
    SshFailed { host: Host },
    #[error("{host} has no proxyctl that ssh finds")]
    NoRemoteProxyctl { host: Host },
    #[error("the proxyctl of {host} does not know dial-stdio")]
    RemoteTooOld { host: Host },
    #[error("ssh to {host} ended before the daemon there answered: {how}")]
    SshEnded { host: Host, how: String },
    /// The other side's proxyctl has said why itself, and what to do.
    #[error("the daemon of {host} was not reached")]
    SaidThere { host: Host, exit: Exit },
    /// The daemon does not know the call, and why.
    #[error("cannot {operation}")]
    Revision { operation: Operation, difference: version::Difference },
    /// The connection ended before the answer came: whether it was done is not known.
    #[error("the connection to the daemon broke on the way to {operation}")]
    ConnectionLost { operation: Operation, source: Box<tonic::Status> },
    #[error("the daemon gave no answer within {} when asked to {operation}", text::duration(*limit))]
    NoAnswer { operation: Operation, limit: Duration },
    /// The daemon said no. `message` is its own.
    #[error("cannot {operation}")]
    Refused { operation: Operation, refusal: Refusal, message: String },
    #[error("the daemon's answer lacks {field}: cannot {operation}")]
    Incomplete { operation: Operation, field: &'static str },
    #[error("the callback port {port} is in use{}", by(holder.as_ref()))]
    PortInUse { port: u16, holder: Option<Holder>, source: io::Error },
    #[error("cannot listen on the loopback interface")]
    Listen { source: io::Error },
    #[error("nobody completed the login within {}", text::duration(*limit))]
    LoginTimedOut { limit: Duration },
    /// The authorize page sent an error instead of a code (RFC 6749, 4.1.2.1).
    #[error("{0}")]
    LoginDenied(Denial),
    /// The daemon could not complete the login, and told why.
    #[error("{0}")]
    LoginFailed(LoginFailure),
    /// Standard input, the one way an answer could have come, has ended.
    #[error("{}", match last { Some(_) => "no pasted answer was this login's", None => "no answer was pasted" })]
    NoPaste { last: Option<NotThisLogin> },
    #[error("interrupted; the login is cancelled")]
    Interrupted,
    #[error("interrupted")]
    Stopped,
    #[error("nothing was done: you did not say yes")]
    Declined,
    /// They have been printed, each with its place.
    #[error("the configuration has {}, so the one in use stays", text::count(*mistakes, "mistake"))]
    InvalidConfiguration { mistakes: u32 },
    /// The daemon ended what was watched: it stops.
    #[error("the daemon stopped")]
    WatchEnded,
    #[error("cannot read {what} from {}", path.display())]
    ReadSecret { what: &'static str, flag: &'static str, path: PathBuf, source: io::Error },
    /// A file of this program's own, or of a program that is set up.
    #[error("{0}")]
    File(FileError),
    #[error("{} is left as it is", path.display())]
    Unedited { path: PathBuf, hint: String, source: Unfit },
    #[error("{command}: there is no such command")]
    NoCommand { command: String },
    #[error("cannot run {command}")]
    Exec { command: String, source: io::Error },
    #[error("cannot write to standard output")]
    Stdout { source: io::Error },
    #[error("cannot start")]
    Runtime { source: io::Error },
    #[error("cannot watch for signals")]
    Signals { source: io::Error },
}

/// Where something answered; reads after "what answers".
#[derive(Debug)]
pub(crate) enum Place {
    Socket(PathBuf),
    Host(Host),
}

impl Error {
    /// The exit code this error ends the program with.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Usage { .. }
            | Self::CommandLine { .. }
            | Self::ReadSecret { .. }
            | Self::File(FileError::Unfit { .. })
            | Self::Unedited { .. } => Exit::Usage,
            Self::NotRunning { .. }
            | Self::WatchEnded
            | Self::SshFailed { .. }
            | Self::NoRemoteProxyctl { .. } => Exit::NotRunning,
            Self::SocketForbidden { .. } | Self::Stranger { .. } => Exit::NotPermitted,
            Self::SaidThere { exit, .. } => *exit,
            Self::InvalidConfiguration { .. } => Exit::InvalidConfiguration,
            Self::Refused { refusal, .. } => refusal.exit(),
            Self::NoCommand { .. } => Exit::NoCommand,
            Self::Exec { .. } => Exit::NotExecutable,
            Self::PortInUse { .. } => Exit::PortInUse,
            Self::NoAnswer { .. } | Self::LoginTimedOut { .. } => Exit::TimedOut,
            Self::LoginDenied(denial) => denial.exit(),
            Self::LoginFailed(failure) => failure.exit(),
            Self::NoPaste { last: Some(_) } => Exit::AuthenticationFailed,
            Self::Interrupted | Self::Stopped => Exit::Interrupted,
            Self::NoPaste { last: None }
            | Self::Connect { .. }
            | Self::NotADaemon { .. }
            | Self::NoSsh { .. }
            | Self::RemoteTooOld { .. }
            | Self::SshEnded { .. }
            | Self::Revision { .. }
            | Self::ConnectionLost { .. }
            | Self::Incomplete { .. }
            | Self::Listen { .. }
            | Self::Declined
            | Self::File(FileError::Io { .. })
            | Self::Stdout { .. }
            | Self::Runtime { .. }
            | Self::Signals { .. } => Exit::Failed,
        }
    }

    /// Whether the person has been told all of it, in the form they asked for.
    pub(crate) fn is_said(&self) -> bool {
        matches!(self, Self::SaidThere { .. })
    }

    /// Why it failed, as the daemon or the system told it.
    pub(crate) fn cause(&self) -> Option<String> {
        match self {
            Self::Refused { message, .. } if message.is_empty() => None,
            Self::Refused { message, .. } => Some(message.clone()),
            Self::CommandLine { why, .. } => why.clone(),
            Self::Revision { difference, .. } => Some(difference.what.clone()),
            Self::NotADaemon { said, .. } => Some(format!("it began with {said:?}")),
            Self::LoginDenied(denial) => denial.cause(),
            Self::LoginFailed(failure) => failure.cause(),
            Self::NoPaste { last: Some(why) } => Some(why.to_string()),
            Self::NoPaste { last: None } => Some("standard input has ended".to_owned()),
            Self::ConnectionLost { source, .. } => {
                Some(innermost(source.as_ref()).unwrap_or_else(|| source.message().to_owned()))
            }
            Self::File(err) => innermost(err),
            _ => innermost(self),
        }
    }

    /// What to run or to change.
    pub(crate) fn hint(&self) -> String {
        match self {
            Self::Usage { hint, .. } | Self::CommandLine { hint, .. } | Self::Unedited { hint, .. } => {
                hint.clone()
            }
            Self::NotRunning { socket, .. } => start_command(socket),
            Self::Stranger { user: Some(user), .. } => {
                format!(
                    "run it as that user: `sudo -u {user} proxyctl ...`, or choose another socket with --socket PATH"
                )
            }
            Self::Stranger { user: None, .. } => {
                "run it as that user, or choose another socket with --socket PATH".to_owned()
            }
            Self::NotADaemon { place: Place::Socket(_), .. } => {
                "name the daemon's own socket with --socket PATH".to_owned()
            }
            Self::NotADaemon { place: Place::Host(host), .. } => {
                format!(
                    "see to it that the shell's startup files on {host} print nothing where there is no terminal"
                )
            }
            Self::NoSsh { .. } => "install the OpenSSH client, or correct PATH".to_owned(),
            Self::SshFailed { .. } | Self::SshEnded { .. } => {
                "what ssh says above tells why; try `ssh` to the same server by hand".to_owned()
            }
            Self::NoRemoteProxyctl { host } => {
                format!(
                    "install proxyctl on {host}, in the PATH that `ssh` gives a command there without a terminal"
                )
            }
            Self::RemoteTooOld { host } => format!("update proxyd and proxyctl on {host}"),
            Self::SaidThere { host, .. } => format!("what the proxyctl of {host} says above"),
            Self::Revision { difference, .. } => difference.hint.to_owned(),
            Self::SocketForbidden { .. } => "run it as the user the daemon runs as, or as root".to_owned(),
            Self::Refused { refusal, operation, .. } => refusal.hint(operation).to_owned(),
            Self::Connect { .. } => "name the daemon's own socket with --socket PATH".to_owned(),
            Self::ConnectionLost { .. } => {
                "`proxyctl status` shows whether the daemon runs and whether this socket is a daemon's"
                    .to_owned()
            }
            Self::NoAnswer { .. } | Self::Incomplete { .. } => {
                "`proxyctl status` shows how the daemon is; its log says more".to_owned()
            }
            Self::PortInUse { .. } => {
                "choose another with --callback-port, or leave the flag out to take the next free one"
                    .to_owned()
            }
            Self::Listen { .. } => "see to it that 127.0.0.1 exists and that files can be opened".to_owned(),
            Self::LoginDenied(denial) => denial.hint(),
            Self::LoginFailed(failure) => failure.hint(),
            Self::NoPaste { .. } => {
                "begin again and paste what the page of the new URL shows: `proxyctl login claude --paste`"
                    .to_owned()
            }
            Self::InvalidConfiguration { .. } => {
                "correct them and run `proxyctl reload` again; `proxyd check-config` looks without changing anything"
                    .to_owned()
            }
            Self::WatchEnded => "`proxyctl status` shows whether it runs again".to_owned(),
            Self::Stopped => "run it again".to_owned(),
            Self::LoginTimedOut { .. } => {
                "begin again: `proxyctl login claude`, with --paste if the browser cannot come back here"
                    .to_owned()
            }
            Self::Interrupted => "begin again: `proxyctl login claude`".to_owned(),
            Self::Declined => "answer y, or give --yes".to_owned(),
            Self::ReadSecret { flag, .. } => {
                format!("name a readable file with {flag}, or `-` for standard input")
            }
            Self::File(FileError::Io { .. }) => {
                "correct its rights, or make room for it, and repeat".to_owned()
            }
            Self::File(FileError::Unfit { .. }) => "correct it and repeat; nothing was written".to_owned(),
            Self::NoCommand { .. } => "correct its name, or PATH, or give its whole path".to_owned(),
            Self::Exec { .. } => "see to it that it is a program and may be executed".to_owned(),
            Self::Stdout { .. } => "see to it that standard output can be written".to_owned(),
            Self::Runtime { .. } | Self::Signals { .. } => {
                "see to it that files can be opened (`ulimit -n`)".to_owned()
            }
        }
    }
}

fn by(holder: Option<&Holder>) -> String {
    holder.map(|holder| format!(" by {holder}")).unwrap_or_default()
}

/// A user, by name where there is one.
fn name(uid: u32, user: Option<&str>) -> String {
    user.map_or_else(|| format!("the user {uid}"), |user| format!("the user {user} (uid {uid})"))
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(path) => write!(f, "on {}", path.display()),
            Self::Host(host) => write!(f, "through ssh to {host}"),
        }
    }
}

/// The command that starts the daemon whose socket this is.
fn start_command(path: &std::path::Path) -> String {
    if [socket::SYSTEM, socket::SYSTEM_GIVEN].iter().any(|system| path == std::path::Path::new(system)) {
        "start it with `sudo systemctl start proxyd`".to_owned()
    } else if socket::user().is_some_and(|user| user == path) {
        "start it with `systemctl --user start proxyd`, or run `proxyd`".to_owned()
    } else {
        format!("start it with `proxyd --control-socket {}`, or name another socket", path.display())
    }
}

/// The deepest cause of an error: what the system said.
fn innermost(err: &dyn std::error::Error) -> Option<String> {
    let mut deepest = err.source()?;
    while let Some(deeper) = deepest.source() {
        deepest = deeper;
    }
    Some(deepest.to_string())
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;

    #[test]
    fn a_status_means_the_documented_exit_code() {
        let account = Operation::Account { verb: "show", name: "x".to_owned() };
        for (code, operation, exit) in [
            (Code::NotFound, &account, 5),
            (Code::PermissionDenied, &account, 6),
            (Code::DeadlineExceeded, &Operation::CompleteLogin, 14),
            (Code::Unauthenticated, &account, 15),
            (Code::ResourceExhausted, &Operation::CompleteLogin, 16),
            (Code::FailedPrecondition, &account, 2),
            (Code::FailedPrecondition, &Operation::BeginLogin, 1),
            (Code::Unavailable, &account, 1),
            (Code::Internal, &Operation::ShowStatus, 1),
        ] {
            assert_eq!(Refusal::of(code, operation).exit().code(), exit, "{code:?} {operation:?}");
        }
    }

    #[test]
    fn the_cause_is_what_the_system_said() {
        let err = Error::NotRunning {
            socket: "/tmp/none.sock".into(),
            source: io::Error::new(io::ErrorKind::NotFound, "No such file"),
        };
        assert_eq!(err.cause().as_deref(), Some("No such file"));
        assert!(err.hint().contains("proxyd --control-socket /tmp/none.sock"), "{}", err.hint());
    }
}
