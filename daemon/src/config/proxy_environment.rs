//! The proxy that the environment names, where a person asked for it. It stands in the place of `upstream.proxy_url`, with
//! its variable as origin, so that it is checked and shown as that key is.

use super::keys::Key;
use super::load::{Environment, Origin, Raw, Setting};

const ASKED: &str = "upstream.proxy_from_environment";
const PROXY: &str = "upstream.proxy_url";
/// The first that is set counts. `http_proxy` is for plain http, which goes to loopback only.
const PROXIES: [[&str; 2]; 2] = [["HTTPS_PROXY", "https_proxy"], ["ALL_PROXY", "all_proxy"]];
const EXCEPTIONS: [&str; 2] = ["NO_PROXY", "no_proxy"];

/// Puts the environment's proxy in. What comes back are the hosts that it is not for, where there is one.
pub(super) fn put_in(
    settings: &mut [(&'static Key, Setting)],
    environment: &Environment,
    mistakes: &mut Vec<String>,
) -> Option<String> {
    let value = |path: &str| settings.iter().find(|(key, _)| key.path == path).map(|(_, set)| &set.value);
    let is_empty = value(PROXY).is_some_and(|url| *url == Raw::Text(String::new()));
    if value(ASKED) != Some(&Raw::Boolean(true)) || !is_empty {
        return None;
    }
    let mut one = |names| one_of(names, environment).map_err(|mistake| mistakes.push(mistake)).ok().flatten();
    let (name, url) = PROXIES.into_iter().find_map(&mut one)?;
    let exceptions = one(EXCEPTIONS).map(|(_, hosts)| hosts.to_owned());
    // The field's programs take a proxy without a scheme for an http one.
    let url = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
    let (_, setting) = settings.iter_mut().find(|(key, _)| key.path == PROXY)?;
    *setting = Setting { value: Raw::Text(url), origin: Origin::Environment(name.to_owned()) };
    Some(exceptions.unwrap_or_default())
}

/// The variable that is set, by either name. Two that differ, or one that cannot be read, are a mistake: going out another
/// way than the person meant is worse than not starting. What they hold is not repeated: it may be a password.
fn one_of<'a>(
    names: [&'static str; 2],
    environment: &'a Environment,
) -> Result<Option<(&'static str, &'a str)>, String> {
    let mut set = names.into_iter().filter_map(|name| Some((name, environment.get(name)?)));
    let (first, second) = (set.next(), set.next());
    match (first, second) {
        (Some((name, value)), _) | (_, Some((name, value)))
            if value.contains(char::REPLACEMENT_CHARACTER) =>
        {
            Err(format!("environment {name}: {ASKED}: is not UTF-8"))
        }
        (Some((one, a)), Some((other, b))) if a != b => {
            Err(format!("environment {one}: {ASKED}: says something else than {other}: unset one of them"))
        }
        _ => Ok(first),
    }
}
