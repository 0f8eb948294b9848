//! Which accounts serve the model that a client names, and under which name each asks upstream. Pure.
//!
//! The name is read once, against the settings of all accounts:
//!
//! - **Prefix.** `PREFIX/MODEL`, where PREFIX is that of some account, is for accounts of this prefix only, and
//!   MODEL is what they are asked for. Where no account has the prefix the name stays as it is: gateways have
//!   models with slashes. A name without a prefix is for every account, those with a prefix too.
//! - **Alias.** If an account that the name is for has MODEL as an alias, only the accounts that have it serve the
//!   name, each as the model its own alias stands for. If none has, MODEL goes upstream as it is. An alias
//!   is resolved once: what it stands for is a model and never another alias.
//! - **Exclusion.** An account does not serve what one of its patterns matches, be it MODEL or the name upstream.
//!   `*` stands for any run of characters, case does not count.
//!
//! Prefixes and aliases are compared as they are written. What a name means depends on settings alone, not on how the
//! accounts are: one that is disabled or limited still owns its prefix and its aliases, or a request that a
//! person wanted at one account would silently go to another. A request about no model (the empty name)
//! is for every account.

use crate::account::Settings;

/// A model's name as a client gave it, read against the accounts of the pool.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wanted<'a> {
    /// The accounts it is for; all where there is none.
    prefix: Option<&'a str>,
    /// The name without the prefix.
    model: &'a str,
    /// Only accounts that have the name as an alias serve it.
    aliased: bool,
}

/// What one account does with a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Serving<'a> {
    /// It serves it, and this is the model's name upstream.
    As(&'a str),
    /// It would, but a person keeps the model from it.
    Excluded,
    /// The name is not for it.
    Not,
}

impl<'a> Wanted<'a> {
    /// Reads what a client asks for. `pool` are the settings of all accounts.
    pub fn read<'s>(asked: &'a str, pool: &(impl Iterator<Item = &'s Settings> + Clone)) -> Self {
        let prefixed = asked.split_once('/').filter(|(prefix, model)| {
            !model.is_empty() && pool.clone().any(|settings| settings.prefix.as_deref() == Some(*prefix))
        });
        let (prefix, model) = prefixed.map_or((None, asked), |(prefix, model)| (Some(prefix), model));
        let wanted = Self { prefix, model, aliased: false };
        let aliased =
            pool.clone().any(|settings| wanted.is_for(settings) && wanted.alias(settings).is_some());
        Self { aliased, ..wanted }
    }

    /// What the account with these settings does with it.
    pub fn by(&self, settings: &'a Settings) -> Serving<'a> {
        if self.model.is_empty() {
            return Serving::As(self.model);
        }
        if !self.is_for(settings) {
            return Serving::Not;
        }
        let upstream = match self.alias(settings) {
            Some(model) => model,
            None if self.aliased => return Serving::Not,
            None => self.model,
        };
        let excludes = |pattern: &String| matches(pattern, self.model) || matches(pattern, upstream);
        if settings.excluded.iter().any(excludes) { Serving::Excluded } else { Serving::As(upstream) }
    }

    fn is_for(&self, settings: &Settings) -> bool {
        self.prefix.is_none_or(|prefix| settings.prefix.as_deref() == Some(prefix))
    }

    fn alias<'s>(&self, settings: &'s Settings) -> Option<&'s str> {
        let entry = settings.aliases.iter().find(|entry| entry.alias == self.model)?;
        Some(&entry.model)
    }
}

/// Whether `pattern`, in which `*` stands for any run of characters, matches the whole of `name`.
pub fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.to_ascii_lowercase(), name.to_ascii_lowercase());
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == name };
    let (middle, end) = rest.rsplit_once('*').unwrap_or(("", rest));
    let Some(inner) = name.strip_prefix(start).and_then(|name| name.strip_suffix(end)) else {
        return false;
    };
    // Between the ends the first place of each part is the best: it leaves the most for the parts after it.
    let mut left = inner;
    middle.split('*').all(|part| match left.split_once(part) {
        Some((_, after)) => {
            left = after;
            true
        }
        None => false,
    })
}

#[cfg(test)]
#[path = "route_tests.rs"]
mod tests;
