//! `proxyctl login`: carries a login between the person's browser and the daemon. It listens before it shows
//! the URL, takes whichever comes first of callback and paste, and however it ends, the daemon is told and
//! the listener closed. The code and the state pass through; neither is ever printed but inside the URL.

mod wait;

use std::time::Duration;

use jiff::Timestamp;
use proxy_proto::v1::BeginLoginResponse;
use secrecy::SecretString;
use url::Url;

use self::wait::{Ended, Wait};
use super::Context;
use crate::callback::{self, Callback, Port};
use crate::cli::{Login, Provider};
use crate::client::Client;
use crate::clock;
use crate::error::{Error, Operation, Refusal};
use crate::exit::Exit;
use crate::interrupt::Interrupt;
use crate::json::{Document, LoginEvent};
use crate::output::Output;
use crate::text;

pub(super) async fn run(args: &Login, context: &mut Context<'_>) -> Result<Exit, Error> {
    let Provider::Claude = args.provider;
    let client = context.connect().await;
    let output = &mut *context.output;
    let ended = match client {
        Ok(client) => login(args, &client, output).await,
        Err(err) => Err(err),
    };
    match ended {
        Ok(ended) => done(*ended, output).map(|()| Exit::Ok),
        Err(err) => {
            if output.is_json() {
                output.document(&Document::new(LoginEvent::from(&err)))?;
            }
            Err(err)
        }
    }
}

/// A login the daemon has begun.
#[derive(Debug)]
struct Session {
    id: String,
    state: SecretString,
    url: String,
}

async fn login(args: &Login, client: &Client, output: &mut Output) -> Result<Box<Ended>, Error> {
    let preferred = client.status().await?.login_callback_port;
    let bound = callback::bind(port(args.callback_port, preferred)).await?;
    let mut interrupt = Interrupt::listen()?;
    let begun = tokio::select! {
        () = interrupt.caught() => return Err(Error::Interrupted),
        begun = client.begin_login(bound.port()) => begun?,
    };
    let session = Session {
        id: begun.login_id.clone(),
        state: begun.state.clone().into(),
        url: begun.authorize_url.clone(),
    };
    let mut callback = bound.serve(session.state.clone());
    let ended = follow(args, client, &begun, &session, &mut callback, &mut interrupt, output).await;
    callback.close().await;
    if ended.as_ref().is_err_and(is_over) {
        // The daemon forgets the login by itself in the end; what was wrong is worth more than that this
        // failed.
        let _forgotten = client.cancel_login(&session.id).await;
    }
    ended
}

async fn follow(
    args: &Login,
    client: &Client,
    begun: &BeginLoginResponse,
    session: &Session,
    callback: &mut Callback,
    interrupt: &mut Interrupt,
    output: &mut Output,
) -> Result<Box<Ended>, Error> {
    check_url(&session.url)?;
    let deadline = begun.deadline.and_then(clock::from_proto);
    let limit = args.timeout.min(deadline.map_or(args.timeout, |deadline| left(deadline, clock::now())));
    if !begun.terms_notice.is_empty() {
        output.notice(&text::clean(&begun.terms_notice));
    }
    if output.is_json() {
        output.document(&Document::new(LoginEvent::Url {
            url: session.url.clone(),
            redirect_uri: begun.redirect_uri.clone(),
            expires_at: deadline,
        }))?;
    }
    let wait = Wait { client, session, callback, interrupt, output, limit };
    wait.run(!args.no_browser).await
}

/// Whether the daemon may forget the login. Not where it holds tokens it could not save: those are still
/// worth saving.
fn is_over(err: &Error) -> bool {
    !matches!(err, Error::Refused { refusal: Refusal::NotSaved, .. })
}

/// The URL is handed to another program and to a terminal: it must be what it claims to be.
fn check_url(url: &str) -> Result<(), Error> {
    let web = Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
    if web && url.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(())
    } else {
        Err(Error::Incomplete { operation: Operation::BeginLogin, field: "a usable URL" })
    }
}

/// The time to a deadline in whole seconds, rounded up: the daemon is the one to say that it is over.
fn left(deadline: Timestamp, now: Timestamp) -> Duration {
    let left = Duration::try_from(deadline.duration_since(now)).unwrap_or_default();
    Duration::from_secs(left.as_secs() + u64::from(left.subsec_nanos() > 0))
}

fn port(asked: Option<u16>, preferred: u32) -> Port {
    match asked {
        Some(port) => Port::Fixed(port),
        None => Port::From(u16::try_from(preferred).unwrap_or(0)),
    }
}

fn done(ended: Ended, output: &mut Output) -> Result<(), Error> {
    let Ended { account, path, replaced } = ended;
    let path_shown = text::clean(&path).into_owned();
    if output.is_json() {
        let account = Box::new(account);
        return output.document(&Document::new(LoginEvent::Done { path, account, replaced }));
    }
    if replaced {
        output.talk(&format!("This replaces the earlier login of {}.", text::clean(&account.to_string())));
    }
    output.data(&format!("Authentication saved to {path_shown}\nClaude authentication successful!\n"))?;
    if account.state == "disabled" {
        output.talk(&format!(
            "The account is disabled, as it was before: proxyctl accounts enable {}",
            account.id
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_web_address_is_opened_or_shown() {
        for good in ["https://claude.ai/oauth/authorize?code=true", "http://127.0.0.1:9/authorize"] {
            assert!(check_url(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "file:///etc/passwd",
            "claude.ai",
            "https://a.example/\u{1b}[2J",
            "https://a.example/a b",
            "javascript:x",
        ] {
            assert!(check_url(bad).is_err(), "{bad}");
        }
    }
}
