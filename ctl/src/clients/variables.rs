//! The variables that point programs at the daemon. Pure.

use super::target::Target;

/// What an environment must and must not say.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Variables {
    pub(crate) set: Vec<(&'static str, String)>,
    /// What would lead the program elsewhere.
    pub(crate) unset: Vec<&'static str>,
}

/// A proxy of the environment that programs would go through even to this machine.
const PROXIES: [&str; 6] =
    ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];
/// Where not to. Programs differ in which of the two they read.
const DIRECT: [&str; 2] = ["NO_PROXY", "no_proxy"];

impl Variables {
    pub(crate) fn of<const N: usize>(set: [(&'static str, String); N]) -> Self {
        Self { set: set.into(), unset: vec![] }
    }

    pub(crate) fn without<const N: usize>(mut self, unset: [&'static str; N]) -> Self {
        self.unset.extend(unset);
        self
    }

    /// For a program that nobody knows: what the families of both APIs read.
    pub(crate) fn of_every_dialect(target: &Target) -> Self {
        Self::of([
            ("ANTHROPIC_BASE_URL", target.base.root()),
            // LangChain's and LiteLLM's own names.
            ("ANTHROPIC_API_URL", target.base.root()),
            ("ANTHROPIC_API_BASE", target.base.root()),
            ("ANTHROPIC_API_KEY", target.key.expose().to_owned()),
            ("OPENAI_BASE_URL", target.base.v1()),
            ("OPENAI_API_BASE", target.base.v1()),
            ("OPENAI_API_KEY", target.key.expose().to_owned()),
        ])
        // Beside a key it is sent as well.
        .without(["ANTHROPIC_AUTH_TOKEN"])
    }

    /// Past a proxy of the environment, which cannot reach this machine's loopback address.
    pub(crate) fn past_proxies(mut self, target: &Target, variable: impl Fn(&str) -> Option<String>) -> Self {
        if !target.base.is_loopback() || !PROXIES.iter().any(|name| variable(name).is_some()) {
            return self;
        }
        let host = target.base.host();
        for name in DIRECT {
            let direct = variable(name).unwrap_or_default();
            if direct.split(',').any(|entry| matches!(entry.trim(), "*") || entry.trim() == host) {
                continue;
            }
            let between = if direct.is_empty() { "" } else { "," };
            self.set.push((name, format!("{direct}{between}{host}")));
        }
        self
    }

    /// Whether a variable holds a credential.
    pub(crate) fn is_credential(name: &str) -> bool {
        ["_KEY", "_TOKEN"].iter().any(|end| name.ends_with(end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clients::target::{Base, Key};

    fn direct(variables: &[(&str, &str)], url: &str) -> Vec<(&'static str, String)> {
        let target = Target { base: Base::given(url).unwrap(), key: Key::Unused, models: vec![] };
        let of = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        Variables::default().past_proxies(&target, of).set
    }

    #[test]
    fn a_proxy_of_the_environment_is_not_asked_for_this_machine() {
        const HERE: &str = "http://127.0.0.1:8080";
        assert_eq!(direct(&[], HERE), []);
        assert_eq!(
            direct(&[("https_proxy", "http://p:1"), ("NO_PROXY", "a.example")], HERE),
            [("NO_PROXY", "a.example,127.0.0.1".to_owned()), ("no_proxy", "127.0.0.1".to_owned())]
        );
        assert_eq!(direct(&[("ALL_PROXY", "x"), ("NO_PROXY", "*"), ("no_proxy", "x, 127.0.0.1")], HERE), []);
        assert_eq!(direct(&[("ALL_PROXY", "x")], "https://gateway.example"), []);
    }
}
