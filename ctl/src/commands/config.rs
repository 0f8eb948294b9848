//! `proxyctl config`: the configuration that is in use, as `proxyd print-config` prints what a start would use.

use super::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::json::{Configuration, ConfigurationKey, Document};
use crate::text;

pub(super) async fn run(context: &mut Context<'_>) -> Result<Exit, Error> {
    let configuration = Configuration::from(context.connect().await?.configuration().await?);
    if context.output.is_json() {
        context.output.document(&Document::new(configuration))?;
    } else {
        context.output.data(&configuration.keys.iter().map(line).collect::<String>())?;
    }
    Ok(Exit::Ok)
}

fn line(key: &ConfigurationKey) -> String {
    let ConfigurationKey { key, value, origin, .. } = key;
    format!("{} = {}  # {}\n", text::clean(key), text::clean(value), text::clean(origin))
}
