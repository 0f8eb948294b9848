//! `proxyctl keys`: the verbs.

mod create;
mod list;
mod revoke;
mod show;
mod view;

pub(super) use self::create::end;

use super::Context;
use crate::cli::Keys;
use crate::error::Error;
use crate::exit::Exit;

pub(super) async fn run(command: Keys, context: &mut Context<'_>) -> Result<Exit, Error> {
    match command {
        Keys::Create(args) => create::run(args, context).await,
        Keys::List => list::run(context).await,
        Keys::Show(args) => show::run(&args, context).await,
        Keys::Revoke(args) => revoke::run(&args, context).await,
    }
}
