//! The way to the daemon, and back to it once it was lost.
//!
//! A daemon of this machine is waited for: it is restarted after an update, and whoever watches wants to see it come back. One of
//! another machine is not, since a new `ssh` may ask for a passphrase on the very terminal that is drawn on.

use std::pin::Pin;
use std::time::Duration;

use proxy_proto::v1::{WatchAccountsResponse, WatchActivityResponse, WatchEventsResponse};

use super::model::{Deed, Told, Verb};
use crate::client::{Client, Watched};
use crate::commands::Context;
use crate::error::Error;
use crate::json::{Account, Status};

/// Between two attempts to reach the daemon.
const PAUSE: Duration = Duration::from_secs(1);

/// A daemon that is heard.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) client: Client,
    accounts: Watched<WatchAccountsResponse>,
    activity: Watched<WatchActivityResponse>,
    events: Watched<WatchEventsResponse>,
}

pub(super) type Opening<'a> = Pin<Box<dyn Future<Output = Result<(Session, Status), Error>> + 'a>>;

/// A daemon that is heard, or looked for.
pub(super) enum Link<'a> {
    Up(Box<Session>),
    Down(Opening<'a>),
}

impl Session {
    pub(super) async fn open(interval: Duration, context: &Context<'_>) -> Result<(Self, Status), Error> {
        let client = context.connect().await?;
        // The one call that an older daemon does not know, so that nothing else is asked of it.
        let activity = client.watch_activity(interval).await?;
        let accounts = client.watch_accounts().await?;
        let events = client.watch_events().await?;
        let status = Status::from(client.status().await?);
        Ok((Self { client, accounts, activity, events }, status))
    }

    async fn next(&mut self) -> Result<Told, Error> {
        tokio::select! {
            told = self.activity.next() => Ok(Told::Activity(told?.into())),
            told = self.accounts.next() => Ok(Told::Accounts(told?.into())),
            told = self.events.next() => Ok(Told::Event(told?.into())),
        }
    }
}

impl<'a> Link<'a> {
    /// What the daemon tells next, or what becomes of the way to it. Dropping the future loses nothing.
    pub(super) async fn next(&mut self, interval: Duration, context: &'a Context<'_>) -> Result<Told, Error> {
        let failed = match self {
            Self::Up(session) => match session.next().await {
                Ok(told) => return Ok(told),
                Err(failed) => failed,
            },
            Self::Down(opening) => match opening.await {
                Ok((session, status)) => {
                    *self = Self::Up(Box::new(session));
                    return Ok(Told::Back(status));
                }
                Err(failed) => failed,
            },
        };
        if context.remote.is_some() || !passes(&failed) {
            return Err(failed);
        }
        *self = Self::Down(Box::pin(async move {
            tokio::time::sleep(PAUSE).await;
            Session::open(interval, context).await
        }));
        Ok(Told::Lost(words(&failed)))
    }

    pub(super) fn client(&self) -> Option<Client> {
        match self {
            Self::Up(session) => Some(session.client.clone()),
            Self::Down(_) => None,
        }
    }
}

/// Whether it may be otherwise in a moment: the daemon stops, is not there yet, or has just begun.
fn passes(failed: &Error) -> bool {
    matches!(
        failed,
        Error::WatchEnded
            | Error::NotRunning { .. }
            | Error::Connect { .. }
            | Error::ConnectionLost { .. }
            | Error::NoAnswer { .. }
    )
}

fn words(failed: &Error) -> String {
    match failed.cause() {
        Some(cause) => format!("{failed} ({cause})"),
        None => failed.to_string(),
    }
}

/// Does something with an account, and says what became of it.
pub(super) async fn carry_out(client: Client, Deed { verb, id, .. }: Deed) -> Told {
    let done = match verb {
        Verb::Disable => client.disable(&id).await,
        Verb::Enable => client.enable(&id).await,
        Verb::Refresh => client.refresh(&id).await,
    };
    Told::Done(Box::new(done.map(Account::from).map_err(|failed| words(&failed))))
}
