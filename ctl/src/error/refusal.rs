//! What the daemon was asked, and how it said no.

use std::fmt;

use tonic::Code;

use crate::exit::Exit;

/// What the daemon was asked to do; reads after "cannot".
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Operation {
    ShowStatus,
    ListAccounts,
    ExplainAccounts,
    ExplainRequest {
        id: String,
    },
    Diagnose,
    ShowStrategy,
    SetStrategy,
    ShowConfiguration,
    Reload,
    SetReserve,
    WatchAccounts,
    WatchEvents,
    ReadLogs,
    ShowLogLevel,
    SetLogLevel,
    WatchActivity,
    AddAccount,
    Import,
    /// One account, by the verb and the name the person gave.
    Account {
        verb: &'static str,
        name: String,
    },
    CreateKey {
        name: String,
    },
    ListKeys,
    /// One client key, by the verb and the name the person gave.
    Key {
        verb: &'static str,
        name: String,
    },
    BeginLogin,
    CompleteLogin,
    CancelLogin,
}

/// How the daemon said no, by what the person can do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    NotFound,
    NotPermitted,
    /// As named, the account does not allow it: the name fits several, or it is of another kind. Or a login's
    /// wishes cannot be met.
    Unfit,
    /// What was asked for is not possible as it stands; the message says why.
    Wrong,
    TimedOut,
    Authentication,
    NotSaved,
    /// The provider could not be reached or did not answer.
    ProviderUnavailable,
    /// The login goes on: its answer was not this login's.
    WrongState,
    /// The daemon does not know the request.
    Unknown,
    Other,
}

impl Refusal {
    /// What a gRPC status means for this operation.
    pub(crate) fn of(code: Code, operation: &Operation) -> Self {
        match code {
            Code::NotFound => Self::NotFound,
            Code::PermissionDenied => Self::NotPermitted,
            Code::DeadlineExceeded => Self::TimedOut,
            Code::Unauthenticated => Self::Authentication,
            Code::ResourceExhausted => Self::NotSaved,
            Code::Unavailable => Self::ProviderUnavailable,
            Code::Unimplemented => Self::Unknown,
            Code::FailedPrecondition if operation.is_by_name() => Self::Unfit,
            Code::FailedPrecondition if matches!(operation, Operation::Import) => Self::Wrong,
            Code::InvalidArgument if matches!(operation, Operation::CompleteLogin) => Self::WrongState,
            Code::InvalidArgument if matches!(operation, Operation::BeginLogin) => Self::Unfit,
            Code::InvalidArgument | Code::AlreadyExists => Self::Wrong,
            Code::Ok
            | Code::Cancelled
            | Code::Unknown
            | Code::FailedPrecondition
            | Code::Aborted
            | Code::OutOfRange
            | Code::Internal
            | Code::DataLoss => Self::Other,
        }
    }

    pub(super) fn exit(self) -> Exit {
        match self {
            Self::NotFound => Exit::NotFound,
            Self::NotPermitted => Exit::NotPermitted,
            Self::Unfit | Self::Wrong => Exit::Usage,
            Self::TimedOut => Exit::TimedOut,
            Self::Authentication => Exit::AuthenticationFailed,
            Self::NotSaved => Exit::NotSaved,
            Self::ProviderUnavailable | Self::WrongState | Self::Unknown | Self::Other => Exit::Failed,
        }
    }

    pub(super) fn hint(self, operation: &Operation) -> &'static str {
        let login = matches!(operation, Operation::BeginLogin | Operation::CompleteLogin);
        match self {
            Self::NotFound | Self::TimedOut | Self::WrongState if login => {
                "begin again: `proxyctl login claude`"
            }
            Self::Unfit if login => "`proxyctl login --help` shows what may be asked for",
            Self::NotFound if matches!(operation, Operation::ExplainRequest { .. }) => {
                "take the id from the header x-proxyd-request-id of a newer answer; the provider's own ids are not known"
            }
            Self::NotFound if operation.is_about_a_key() => "`proxyctl keys list` shows the keys there are",
            Self::NotFound => "`proxyctl accounts list` shows the accounts there are",
            Self::NotPermitted if operation.is_transfer() => {
                "let the daemon's user into that directory, or choose another"
            }
            Self::Wrong => "correct it and run it again",
            Self::NotPermitted => "run it as the user the daemon runs as, or as root",
            Self::Unfit if operation.is_about_a_key() => "`proxyctl keys list` shows each key with its id",
            Self::Unfit => "`proxyctl accounts list` shows each account with its id, kind and state",
            Self::Authentication => "log in again: `proxyctl login claude`",
            Self::NotSaved => {
                "make room for it or correct the directory's rights (`proxyctl status` names it), then repeat"
            }
            Self::ProviderUnavailable => "try again in a moment",
            Self::Unknown => "`proxyctl status` shows the daemon's version: restart it after an update",
            Self::TimedOut | Self::WrongState | Self::Other => {
                "`proxyctl status` shows how the daemon is; its log says more"
            }
        }
    }
}

impl Operation {
    /// Whether a name in it may fit several.
    fn is_by_name(&self) -> bool {
        matches!(self, Self::Account { .. } | Self::Key { .. } | Self::CreateKey { .. })
    }

    /// Whether the name in it is a key's; one that is to be made may name accounts.
    fn is_about_a_key(&self) -> bool {
        matches!(self, Self::Key { .. })
    }

    /// Whether it is about a place of the file system that a person named.
    fn is_transfer(&self) -> bool {
        matches!(self, Self::Import | Self::Account { verb: "export", .. })
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ShowStatus => f.write_str("show the status"),
            Self::ListAccounts => f.write_str("list the accounts"),
            Self::ExplainAccounts => f.write_str("explain the choice of accounts"),
            Self::ExplainRequest { id } => write!(f, "explain the request {id}"),
            Self::Diagnose => f.write_str("look for what is wrong"),
            Self::ShowStrategy => f.write_str("show the strategy"),
            Self::ShowConfiguration => f.write_str("show the configuration"),
            Self::Reload => f.write_str("have the configuration read anew"),
            Self::SetReserve => f.write_str("set the reserve"),
            Self::SetStrategy => f.write_str("change the strategy"),
            Self::WatchAccounts => f.write_str("watch the accounts"),
            Self::WatchEvents => f.write_str("watch the events"),
            Self::ReadLogs => f.write_str("read the log"),
            Self::ShowLogLevel => f.write_str("show the log level"),
            Self::SetLogLevel => f.write_str("change the log level"),
            Self::WatchActivity => f.write_str("watch the requests"),
            Self::AddAccount => f.write_str("add the account"),
            Self::Import => f.write_str("import accounts"),
            Self::Account { verb, name } => write!(f, "{verb} the account {name}"),
            Self::CreateKey { name } => write!(f, "make the key {name}"),
            Self::ListKeys => f.write_str("list the keys"),
            Self::Key { verb, name } => write!(f, "{verb} the key {name}"),
            Self::BeginLogin => f.write_str("begin the login"),
            Self::CompleteLogin => f.write_str("complete the login"),
            Self::CancelLogin => f.write_str("cancel the login"),
        }
    }
}
