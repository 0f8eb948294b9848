//! How the program ends: the documented exit codes and the word each one has in JSON.

use std::process::ExitCode;

/// An exit code. The numbers and words are an interface: scripts match on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Ok,
    /// Failed in a way that has no code of its own.
    Failed,
    /// The command line, or what it names, is not usable as it stands.
    Usage,
    /// No daemon listens on the control socket.
    NotRunning,
    /// The daemon runs, but no account is usable.
    LoginNeeded,
    /// There is no such account, key, login or request.
    NotFound,
    /// The daemon or its socket does not permit it.
    NotPermitted,
    /// `doctor`: it works, and something should be looked at.
    Warned,
    /// `doctor`: something does not work.
    Unwell,
    /// The callback port asked for is in use.
    PortInUse,
    /// The time was over before the end was reached.
    TimedOut,
    /// The person or the provider refused.
    AuthenticationFailed,
    /// The daemon could not save the account or the key.
    NotSaved,
    /// The daemon's configuration has mistakes: `EX_CONFIG` of sysexits(3), as `proxyd check-config` ends.
    InvalidConfiguration,
    /// The program to run cannot be run.
    NotExecutable,
    /// There is no program of that name to run.
    NoCommand,
    /// Stopped by a signal.
    Interrupted,
}

impl Exit {
    /// The number given to the system.
    pub const fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::NotRunning => 3,
            Self::LoginNeeded => 4,
            Self::NotFound => 5,
            Self::NotPermitted => 6,
            Self::Warned => 7,
            Self::Unwell => 8,
            Self::PortInUse => 13,
            Self::TimedOut => 14,
            Self::AuthenticationFailed => 15,
            Self::NotSaved => 16,
            Self::InvalidConfiguration => 78,
            Self::NotExecutable => 126,
            Self::NoCommand => 127,
            Self::Interrupted => 130,
        }
    }

    /// The `code` of an error in JSON.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::Usage => "usage",
            Self::NotRunning => "daemon_not_running",
            Self::LoginNeeded => "login_needed",
            Self::NotFound => "not_found",
            Self::NotPermitted => "not_permitted",
            Self::Warned => "warnings_found",
            Self::Unwell => "problems_found",
            Self::PortInUse => "callback_port_in_use",
            Self::TimedOut => "timed_out",
            Self::AuthenticationFailed => "authentication_failed",
            Self::NotSaved => "could_not_save",
            Self::InvalidConfiguration => "invalid_configuration",
            Self::NotExecutable => "command_not_executable",
            Self::NoCommand => "command_not_found",
            Self::Interrupted => "interrupted",
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
