//! `proxyctl token`: a client key and nothing else on standard output. It is made once for each daemon and kept; one that the
//! daemon does not know any more, or that has ended, is made anew.

use std::path::PathBuf;

use proxy_proto::v1::{self, CreateKeyRequest, KeyRules, KeyState};
use secrecy::{ExposeSecret as _, SecretString};

use super::Context;
use super::keys::end;
use crate::cli;
use crate::client::Client;
use crate::clients::home::Home;
use crate::clock;
use crate::error::Error;
use crate::exit::Exit;
use crate::json::{Document, Key, Token};
use crate::kept_key::KeptKey;
use crate::place;

/// As long as the daemon lets a key's name be.
const LONGEST: usize = 64;

/// A key that this machine keeps.
pub(super) struct Obtained {
    pub(super) key: v1::Key,
    pub(super) secret: SecretString,
    /// The private file that holds it alone.
    pub(super) file: PathBuf,
    made: bool,
}

pub(super) async fn run(args: &cli::Token, context: &mut Context<'_>) -> Result<Exit, Error> {
    let client = context.connect().await?;
    let Obtained { key, secret, made, .. } = obtain(args, &client, context).await?;
    if context.output.is_json() {
        let secret = secret.expose_secret().to_owned();
        context.output.document(&Document::new(Token { key: Key::from(key), secret, made }))?;
    } else {
        context.output.data(&format!("{}\n", secret.expose_secret()))?;
    }
    Ok(Exit::Ok)
}

/// The key that is kept for this daemon, made if there is none that is good.
pub(super) async fn obtain(
    args: &cli::Token,
    client: &Client,
    context: &Context<'_>,
) -> Result<Obtained, Error> {
    let name = args.name.clone().unwrap_or_else(usual_name);
    if !name.chars().all(is_plain) || name.len() > LONGEST {
        return Err(Error::Usage {
            what: format!("{name:?} is no name for a key"),
            hint: "use 1 to 64 letters, digits, dots, dashes and underscores".to_owned(),
        });
    }
    let kept = KeptKey::open(&Home::look()?.state(), &context.daemon(), &name).await?;
    let held = kept.held()?;
    let known = client.list_keys().await?.keys;
    if let Some((id, secret)) = held
        && let Some(key) = known.iter().find(|key| key.id == id)
    {
        if key.state() == KeyState::Active {
            let file = kept.path().to_owned();
            return Ok(Obtained { key: key.clone(), secret, file, made: false });
        }
        // It is of no use to anybody, and has the name.
        client.revoke_key(&id).await?;
    } else if known.iter().any(|key| key.name == name) {
        // Whoever uses it would lose it.
        return Err(Error::Usage {
            what: format!("the daemon has a key {name}, and this machine does not hold it"),
            hint: format!("take another name with --name, or end that key: `proxyctl keys revoke {name}`"),
        });
    }
    let expires_at = args.expires.map(end).transpose()?.map(clock::to_proto);
    let request = CreateKeyRequest { name, expires_at, rules: Some(KeyRules::default()), accounts: vec![] };
    let (key, reply) = client.create_key(request).await?;
    let secret = SecretString::from(reply.secret);
    if let Err(err) = kept.keep(&key.id, &secret) {
        // A key that nobody holds is a door that nobody watches. That it could not be kept is what is told.
        let _told = client.revoke_key(&key.id).await;
        return Err(err);
    }
    Ok(Obtained { key, secret, file: kept.path().to_owned(), made: true })
}

/// `proxyctl-USER-HOST`, in letters that a key's name may have.
pub(super) fn usual_name() -> String {
    let host = nix::unistd::gethostname().ok().and_then(|host| host.into_string().ok());
    let name = format!("proxyctl-{}-{}", place::user(), host.as_deref().unwrap_or("localhost"));
    name.chars().map(|c| if is_plain(c) { c } else { '-' }).take(LONGEST).collect()
}

fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_')
}
