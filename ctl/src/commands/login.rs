//! `proxyctl login`: carries a login between the person's browser and the daemon. It listens before it shows
//! the URL, takes whichever comes first of callback and paste, and however it ends, the daemon is told and
//! the listener closed. The code and the state pass through; neither is ever printed but inside the URL.

mod kept;
mod show;
mod wait;

use std::time::Duration;

use jiff::Timestamp;
use proxy_proto::v1::{BeginLoginRequest, BeginLoginResponse, LoginRedirect};
use secrecy::SecretString;
use url::Url;

use self::wait::{Ended, Wait};
use super::Context;
use crate::callback::{self, Bound, Callback, Port};
use crate::cli::{Login, Provider};
use crate::client::Client;
use crate::clock;
use crate::error::{Error, Operation};
use crate::exit::Exit;
use crate::interrupt::Interrupt;
use crate::json::{Document, LoginEvent};
use crate::output::Output;
use crate::place::Place;
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
        Ok(ended) => done(*ended, args, output).map(|()| Exit::Ok),
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
    /// Where the browser's answer is awaited; `None` where it shows the code itself.
    port: Option<u16>,
}

async fn login(args: &Login, client: &Client, output: &mut Output) -> Result<Box<Ended>, Error> {
    if args.qr && output.is_json() {
        let (what, hint) = ("a QR code is no JSON", "leave out --qr: the event `url` holds the URL to draw");
        return Err(Error::Usage { what: what.to_owned(), hint: hint.to_owned() });
    }
    let bound = if args.paste {
        None
    } else {
        let preferred = client.status().await?.login_callback_port;
        Some(callback::bind(port(args.callback_port, preferred)).await?)
    };
    let mut interrupt = Interrupt::listen()?;
    let begun = tokio::select! {
        () = interrupt.caught() => return Err(Error::Interrupted),
        begun = client.begin_login(request(args, bound.as_ref())) => begun?,
    };
    let session = Session {
        id: begun.login_id.clone(),
        state: begun.state.clone().into(),
        url: begun.authorize_url.clone(),
        port: bound.as_ref().map(Bound::port),
    };
    let mut callback = bound.map(|bound| bound.serve(session.state.clone()));
    let ended = follow(args, client, &begun, &session, callback.as_mut(), &mut interrupt, output).await;
    if let Some(callback) = callback {
        callback.close().await;
    }
    if ended.as_ref().is_err_and(is_over) {
        // The daemon forgets the login by itself in the end; what was wrong is worth more than that this
        // failed.
        let _forgotten = client.cancel_login(&session.id).await;
    }
    ended
}

fn request(args: &Login, bound: Option<&Bound>) -> BeginLoginRequest {
    let redirect = if args.paste { LoginRedirect::Paste } else { LoginRedirect::Loopback };
    BeginLoginRequest {
        provider: "claude".to_owned(),
        callback_port: bound.map_or(0, |bound| bound.port().into()),
        redirect: redirect.into(),
        label: args.label.clone().unwrap_or_default(),
        priority: args.priority,
    }
}

async fn follow(
    args: &Login,
    client: &Client,
    begun: &BeginLoginResponse,
    session: &Session,
    callback: Option<&mut Callback>,
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
    let place = Place::look();
    let wait = Wait { client, session, callback, interrupt, output, limit, place: &place, qr: args.qr };
    wait.run(!args.no_browser).await
}

/// Whether the daemon may forget the login. Not where it holds tokens it could not save: those are still
/// worth saving.
fn is_over(err: &Error) -> bool {
    err.exit() != Exit::NotSaved
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

fn done(ended: Ended, args: &Login, output: &mut Output) -> Result<(), Error> {
    let Ended { account, path, replaced } = ended;
    let path_shown = text::clean(&path).into_owned();
    let kept = if replaced { kept::settings(&account, args) } else { Vec::new() };
    if output.is_json() {
        let (account, kept) = (Box::new(account), kept.into_iter().map(|(name, _)| name).collect());
        return output.document(&Document::new(LoginEvent::Done { path, account, replaced, kept }));
    }
    if replaced {
        let words: Vec<&str> = kept.into_iter().map(|(_, words)| words).collect();
        let keeps =
            if words.is_empty() { String::new() } else { format!(" and keeps its {}", text::listed(&words)) };
        output.talk(&format!(
            "This replaces the earlier login of {}{keeps}.",
            text::clean(&account.to_string())
        ));
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
