//! What programs are pointed at: the daemon's address and the key that they show, as the command line asks for them.

use std::ffi::OsStr;
use std::path::Path;

use super::{Context, token};
use crate::cli::{self, Reach};
use crate::client::Client;
use crate::clients::home::Home;
use crate::clients::target::{Base, ClientKey, Key, Target};
use crate::error::Error;
use crate::kept_key::KeptKey;
use crate::search;
use crate::secret_file;
use crate::text;

/// Whether a client key that is asked for, and that there is not yet, is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Making {
    Keys,
    /// It is only looked at what would be done, so a word stands for the key.
    Nothing,
}

/// The daemon is asked only for what the command line does not say.
pub(super) async fn target(
    reach: &Reach,
    models: &[String],
    making: Making,
    context: &Context<'_>,
) -> Result<Target, Error> {
    let needs_key = reach.with_key && making == Making::Keys;
    let client = if reach.url.is_none() || needs_key { Some(context.connect().await?) } else { None };
    let base = match (&reach.url, &client) {
        (Some(url), _) => Base::given(url).ok(),
        (None, Some(client)) => Some(told(client, context).await?),
        (None, None) => None,
    };
    let base = base.ok_or_else(|| Error::Usage {
        what: "there is no address to point programs at".to_owned(),
        hint: "name one with --url".to_owned(),
    })?;
    let key = match (&reach.key_file, &client) {
        (Some(file), _) => Key::Client(of_file(file)?),
        (None, _) if reach.with_key && making == Making::Nothing => Key::Client(to_be_kept(context)?),
        (None, Some(client)) if reach.with_key => Key::Client(kept(client, context).await?),
        _ => Key::Unused,
    };
    Ok(Target { base, key, models: models.to_vec() })
}

/// The address that the daemon tells.
async fn told(client: &Client, context: &Context<'_>) -> Result<Base, Error> {
    let listen = client.status().await?.http_listen;
    let all = text::clean(&listen.join(", ")).into_owned();
    let base = Base::of_daemon(&listen).ok_or_else(|| Error::Usage {
        what: match all.as_str() {
            "" => "the daemon serves no HTTP address".to_owned(),
            _ => format!("programs cannot be pointed at a socket file, and the daemon serves {all} alone"),
        },
        hint: "add an address to http.listen in proxyd's configuration, as in \"127.0.0.1:8080\", or name one with --url"
            .to_owned(),
    })?;
    match &context.remote {
        Some(remote) if base.is_loopback() => {
            let port = base.port();
            Err(Error::Usage {
                what: format!(
                    "the daemon of {} serves {base}, which only that machine reaches",
                    remote.host()
                ),
                hint: format!(
                    "bring it here with `ssh -L {port}:{}:{port} ...` to that machine, and give --url http://127.0.0.1:{port}",
                    base.host()
                ),
            })
        }
        _ => Ok(base),
    }
}

fn of_file(file: &Path) -> Result<ClientKey, Error> {
    if file == Path::new("-") {
        return Err(Error::Usage {
            what: "a client key is not taken from standard input: programs read the file themselves"
                .to_owned(),
            hint: "put it into a private file and name that with --key-file".to_owned(),
        });
    }
    let secret = secret_file::read_line(file, "the client key", "--key-file")?;
    let file = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    let helper = vec!["cat".to_owned(), file.to_string_lossy().into_owned()];
    Ok(ClientKey { secret, file, helper })
}

async fn kept(client: &Client, context: &Context<'_>) -> Result<ClientKey, Error> {
    let asked = cli::Token { name: None, expires: None };
    let token::Obtained { secret, file, .. } = token::obtain(&asked, client, context).await?;
    Ok(ClientKey { secret, file, helper: helper(context) })
}

/// As `kept`, without making one.
fn to_be_kept(context: &Context<'_>) -> Result<ClientKey, Error> {
    let (file, held) = KeptKey::peek(&Home::look()?.state(), &context.daemon(), &token::usual_name());
    Ok(ClientKey { secret: held.unwrap_or_else(|| "KEY".into()), file, helper: helper(context) })
}

fn helper(context: &Context<'_>) -> Vec<String> {
    let mut helper = vec![own_command()];
    helper.extend(context.arguments());
    helper.push("token".to_owned());
    helper
}

/// How a program calls this one: by its name, where the search path leads here.
fn own_command() -> String {
    let name = "proxyctl";
    let Ok(own) = std::env::current_exe() else { return name.to_owned() };
    let same = |found: &Path| found.canonicalize().ok().as_ref() == own.canonicalize().ok().as_ref();
    match search::program(OsStr::new(name)) {
        Some(path) if same(&path) => name.to_owned(),
        _ => own.to_string_lossy().into_owned(),
    }
}
