//! `proxyctl env`: lines for a shell, and nothing else on standard output, so that it can run them as they are.

use super::Context;
use super::reach::{self, Making};
use crate::cli;
use crate::clients::variables::Variables;
use crate::clients::{self, Client, shell};
use crate::error::Error;
use crate::exit::Exit;
use crate::json::{ClientList, Document, Environment, Variable};
use crate::output;
use crate::table::Table;

pub(super) async fn run(args: &cli::Env, context: &mut Context<'_>) -> Result<Exit, Error> {
    let Some(client) = args.client.as_deref().and_then(clients::named) else {
        return list(context);
    };
    if !client.by_environment {
        return Err(by_file(client));
    }
    let target = reach::target(&args.reach, &[], Making::Keys, context).await?;
    let variables = (client.environment)(&target).past_proxies(&target, variable);
    if context.output.is_json() {
        let Variables { set, unset } = variables;
        let set = set.into_iter().map(|(name, value)| Variable { name, value }).collect();
        let url = target.base.root();
        context.output.document(&Document::new(Environment { client: client.name, url, set, unset }))?;
    } else {
        context.output.data(&shell::lines(&variables, args.shell))?;
    }
    Ok(Exit::Ok)
}

fn by_file(client: &Client) -> Error {
    let run = match client.commands.first() {
        Some(command) if client.arguments.is_some() => {
            format!(", or, for one run, `proxyctl run -- {command}`")
        }
        _ => String::new(),
    };
    Error::Usage {
        what: format!("{} takes its address from its own file, not from variables", client.title),
        hint: format!("`proxyctl setup {}`{run}", client.name),
    }
}

fn list(context: &mut Context<'_>) -> Result<Exit, Error> {
    let list = ClientList::of_all();
    if context.output.is_json() {
        context.output.document(&Document::new(list))?;
        return Ok(Exit::Ok);
    }
    let mut table = Table::with_header(["CLIENT", "PROGRAM", "SPEAKS", "ENV", "SETUP"]);
    for client in list.clients {
        table.push([
            client.name.into(),
            client.title.into(),
            client.speaks.join(",").into(),
            if client.env { "yes" } else { "-" }.into(),
            if client.setup { "its file" } else { "a snippet" }.into(),
        ]);
    }
    context.output.data(&table.render_within(output::width(), &["SPEAKS", "PROGRAM"]))?;
    Ok(Exit::Ok)
}

/// What the caller's environment says, as far as it says something.
#[expect(clippy::disallowed_methods, reason = "the environment that is changed is the one that is read")]
pub(super) fn variable(name: &str) -> Option<String> {
    let value = std::env::var_os(name).filter(|value| !value.is_empty())?;
    Some(value.to_string_lossy().into_owned())
}
