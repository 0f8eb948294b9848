//! What a configuration that was read anew would change. Pure.

use super::effect::{AtReload, at_reload};
use super::keys::Key;
use super::load::{Origin, Raw};

/// A key with its value as it is used, whichever source it is from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Valued {
    pub key: &'static Key,
    /// The machine's own, where the key says nothing.
    pub value: Raw,
    pub origin: Origin,
    /// The value as TOML, and without a password.
    pub shown: String,
}

/// A key whose value is to be another.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Difference {
    pub before: Valued,
    pub after: Valued,
    pub at_reload: AtReload,
}

/// Both hold every key, in the table's order. Where a value stands is no part of it.
pub fn between(running: &[Valued], wanted: &[Valued]) -> Vec<Difference> {
    let pairs = running.iter().zip(wanted);
    let different = pairs.filter(|(before, after)| before.value != after.value);
    let difference = |(before, after): (&Valued, &Valued)| Difference {
        before: before.clone(),
        after: after.clone(),
        at_reload: at_reload(before.key.path),
    };
    different.map(difference).collect()
}

/// What is in use once the changes of those keys are that `is_applied` names: of the others the old value, and of those that
/// did not change the new place.
pub fn merged(running: &[Valued], wanted: &[Valued], is_applied: impl Fn(&Key) -> bool) -> Vec<Valued> {
    let pairs = running.iter().zip(wanted);
    let chosen = pairs.map(
        |(before, after)| {
            if before.value == after.value || is_applied(after.key) { after } else { before }
        },
    );
    chosen.cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::keys::find;

    fn valued(key: &str, value: &str, line: usize) -> Valued {
        let origin = Origin::File { path: "/c.toml".into(), line, column: 1 };
        let value = Raw::Text(value.to_owned());
        Valued { key: find(key).unwrap(), shown: value.to_toml(), value, origin }
    }

    #[test]
    fn only_values_are_differences_and_each_says_what_becomes_of_it() {
        type Table = &'static [(&'static str, &'static str, &'static str)];
        let cases: &[(Table, &[&str])] = &[
            (&[], &[]),
            (&[("log.level", "info", "info")], &[]),
            (&[("log.level", "info", "debug")], &["log.level"]),
            (
                &[("auth.dir", "/a", "/b"), ("log.level", "info", "info"), ("pool.wait", "0s", "1s")],
                &["auth.dir", "pool.wait"],
            ),
        ];
        for (table, expected) in cases {
            let side = |new: bool| {
                let of = |(key, before, after): &(&str, &str, &str)| {
                    valued(key, if new { after } else { before }, usize::from(new))
                };
                table.iter().map(of).collect::<Vec<_>>()
            };
            let found = between(&side(false), &side(true));
            let keys: Vec<_> = found.iter().map(|difference| difference.after.key.path).collect();
            assert_eq!(keys, *expected);
            for Difference { before, after, at_reload: effect } in &found {
                assert_ne!(before.value, after.value);
                assert_eq!(*effect, at_reload(after.key.path));
            }
        }
    }

    #[test]
    fn what_is_not_applied_stays_with_its_old_place_and_what_did_not_change_moves() {
        let running =
            [valued("auth.dir", "/a", 1), valued("log.level", "info", 2), valued("pool.wait", "0s", 3)];
        let wanted =
            [valued("auth.dir", "/b", 4), valued("log.level", "info", 5), valued("pool.wait", "1s", 6)];
        let merged = merged(&running, &wanted, |key| key.path == "pool.wait");
        assert_eq!(merged, [running[0].clone(), wanted[1].clone(), wanted[2].clone()]);
        assert_eq!(between(&merged, &wanted).len(), 1);
    }
}
