//! `[auth]`: the keys that secrets at rest are sealed with. They are read here, too, so that one that cannot be used is a mistake like
//! any other; what was read is forgotten at once.

use std::path::PathBuf;

use super::{Check, optional};
use crate::chain::ErrorChain;
use crate::config::load::Environment;
use crate::store::{Config, Vault};

pub(super) fn config(check: &mut Check<'_>, environment: &Environment) -> Option<Config> {
    let key_file = check.text("auth.seal_key_file", file);
    let old_key_file = check.text("auth.old_seal_key_file", file);
    let seal = check.boolean("auth.seal");
    let credentials = environment.directory("CREDENTIALS_DIRECTORY");
    let config = Config { credentials, key_file: key_file?, old_key_file: old_key_file?, seal: seal? };
    let Err(error) = Vault::load(&config) else { return Some(config) };
    let problem = ErrorChain(&error).to_string();
    let Some(setting) = error.setting() else {
        check.mistakes.push(problem);
        return None;
    };
    check.mistake(setting, &problem)
}

/// Absolute, so that it means the same whatever happens.
fn file(text: &str) -> Result<Option<PathBuf>, String> {
    optional(text, |text| std::path::absolute(text).map_err(|_| "is not a usable path".to_owned()))
}
