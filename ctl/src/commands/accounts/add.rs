//! `proxyctl accounts add`: puts an API key or a setup token into the pool. It goes from the file, or from the keyboard, to
//! the daemon and nowhere else.

use secrecy::{ExposeSecret as _, SecretString};

use super::{settings, view};
use crate::cli::Add;
use crate::client::NewCredential;
use crate::clock;
use crate::commands::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::json::{Added, Document};
use crate::output::Output;
use crate::{secret_file, secret_prompt, text};

pub(super) async fn run(args: Add, context: &mut Context<'_>) -> Result<Exit, Error> {
    let Add { provider: _, key_file, setup_token_file, expires, settings } = args;
    let gateway = settings.base_url.is_some();
    let changes = settings::changes(settings, &[])?;
    let credential = match (setup_token_file, key_file) {
        (Some(file), _) => {
            let token = secret_file::read_line(&file, "the setup token", "--setup-token-file")?;
            NewCredential::SetupToken { token, ends_at: expires }
        }
        (None, Some(file)) => {
            let key = secret_file::read_line(&file, "the API key", "--key-file")?;
            NewCredential::ApiKey(checked(key, gateway)?)
        }
        (None, None) => NewCredential::ApiKey(checked(typed(context.output).await?, gateway)?),
    };
    let assumed_end = matches!(credential, NewCredential::SetupToken { ends_at: None, .. });
    let (account, replaced) = context.connect().await?.add(credential, changes).await?;
    let added = Added { account: account.into(), replaced };
    if context.output.is_json() {
        context.output.document(&Document::new(added))?;
        return Ok(Exit::Ok);
    }
    if let Some(end) = added.account.expires_at.filter(|_| assumed_end && !replaced) {
        context.output.talk(&format!(
            "Setup tokens last a year, so it ends {} at the latest; --expires says when it really does.",
            text::relative(end, clock::now())
        ));
    }
    let verb = if replaced { "Updated" } else { "Added" };
    context.output.data(&format!("{verb} {}.\n", view::called(&added.account)))?;
    Ok(Exit::Ok)
}

async fn typed(output: &Output) -> Result<SecretString, Error> {
    secret_prompt::ask("API key (it is not shown): ", output).await
}

/// What is plainly something else is not sent. The key of another gateway may look like anything.
fn checked(key: SecretString, gateway: bool) -> Result<SecretString, Error> {
    let text = key.expose_secret();
    let wrong = |what: &str, hint: &str| Err(Error::Usage { what: what.to_owned(), hint: hint.to_owned() });
    if !gateway && text.starts_with("sk-ant-oat") {
        return wrong(
            "this is an OAuth access token, not an API key",
            "log the account in with `proxyctl login claude`; a setup token goes into --setup-token-file",
        );
    }
    if !gateway && text.starts_with("sk-ant-ort") {
        return wrong(
            "this is an OAuth refresh token, not an API key",
            "log the account in instead: `proxyctl login claude`",
        );
    }
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_no_key_but_a_gateways_key_may_look_like_one() {
        for token in ["sk-ant-oat01-FAKE", "sk-ant-ort01-FAKE"] {
            assert!(checked(token.into(), false).is_err() && checked(token.into(), true).is_ok(), "{token}");
        }
        assert!(checked("sk-ant-api03-FAKE".into(), false).is_ok());
    }
}
