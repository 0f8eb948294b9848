//! What a change of each key does at a reload: which part of the daemon takes it, or why it waits for the next start.

use super::keys::Key;

/// A part of the daemon that takes another configuration while it runs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Part {
    /// Who is served over HTTP, and how much.
    Http,
    /// The addresses of HTTP.
    Listen,
    /// How accounts are chosen.
    Pool,
    /// How requests are carried.
    Requests,
    Responses,
    Refresh,
    /// How long upstream may take.
    Upstream,
    Log,
    /// Whether the configuration's own files are watched.
    Watch,
}

/// What becomes of a change.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AtReload {
    Applied(Part),
    /// Why it waits for the next start.
    Restart(&'static str),
}

const LOGINS: &str = "logins and refreshes that are under way began with it";
const WAY_OUT: &str = "every way to the outside is made of it at the start";
const CONTROL: &str = "the control socket is made at the start, and the connections on it would end";

/// Every key of the table of keys, each once.
const EFFECTS: &[(&[&str], AtReload)] = &[
    (&["http.listen"], AtReload::Applied(Part::Listen)),
    (
        &[
            "http.auth",
            "http.users",
            "http.groups",
            "http.hosts",
            "http.origins",
            "http.passthrough",
            "http.tls_cert",
            "http.tls_key",
            "http.max_connections",
            "http.max_requests",
            "http.max_waiting",
            "http.max_body_memory_mib",
            "http.first_byte_timeout",
            "http.header_timeout",
            "http.body_timeout",
            "http.idle_timeout",
            "http.send_timeout",
            "http.drain",
        ],
        AtReload::Applied(Part::Http),
    ),
    (&["pool.strategy", "pool.affinity", "pool.warn_percent"], AtReload::Applied(Part::Pool)),
    (
        &["http.keep_alive", "pool.wait", "pool.queue", "translation.strict", "translation.prompt_cache"],
        AtReload::Applied(Part::Requests),
    ),
    (&["responses.store", "responses.ttl", "responses.max_mib"], AtReload::Applied(Part::Responses)),
    (&["refresh.lead"], AtReload::Applied(Part::Refresh)),
    (
        &["upstream.connect_timeout", "upstream.head_timeout", "upstream.silence_timeout"],
        AtReload::Applied(Part::Upstream),
    ),
    (&["log.level"], AtReload::Applied(Part::Log)),
    (&["config.watch"], AtReload::Applied(Part::Watch)),
    (&["control.socket", "control.group", "control.group_rights"], AtReload::Restart(CONTROL)),
    (
        &["log.format"],
        AtReload::Restart("what is logged is written in one form for as long as the daemon runs"),
    ),
    (&["metrics.listen"], AtReload::Restart("its addresses are taken at the start")),
    (
        &["otlp.endpoint", "otlp.headers_file", "otlp.interval"],
        AtReload::Restart("the way to the collector is made at the start"),
    ),
    (
        &["auth.seal", "auth.seal_key_file", "auth.old_seal_key_file"],
        AtReload::Restart("every file is sealed, or put in clear, at the start"),
    ),
    (&["auth.dir"], AtReload::Restart("the daemon owns one auth directory for as long as it runs")),
    (
        &[
            "claude.oauth.authorize_url",
            "claude.oauth.token_url",
            "claude.oauth.revoke_url",
            "claude.oauth.profile_url",
            "claude.oauth.usage_url",
            "claude.oauth.client_id",
            "claude.oauth.scopes",
            "claude.oauth.callback_port",
            "claude.oauth.paste_redirect_uri",
        ],
        AtReload::Restart(LOGINS),
    ),
    (
        &["claude.api_base_url", "upstream.proxy_url", "upstream.proxy_from_environment", "upstream.ca_file"],
        AtReload::Restart(WAY_OUT),
    ),
    (&["sandbox.landlock"], AtReload::Restart("what a process closed to itself, it cannot open again")),
];

/// A key that stands in no row waits for the next start: a test sees to it that there is none.
pub(super) fn at_reload(path: &str) -> AtReload {
    let row = EFFECTS.iter().find(|(keys, _)| keys.contains(&path));
    row.map_or(AtReload::Restart("it is read at the start only"), |(_, effect)| *effect)
}

impl Key {
    /// What a change of it does at a reload.
    pub fn at_reload(&self) -> AtReload {
        at_reload(self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::KEYS;

    #[test]
    fn every_key_stands_in_one_row() {
        let mut rows: Vec<_> = EFFECTS.iter().flat_map(|(keys, _)| *keys).copied().collect();
        let mut keys: Vec<_> = KEYS.iter().map(|key| key.path).collect();
        rows.sort_unstable();
        keys.sort_unstable();
        assert_eq!(rows, keys, "say in config/effect.rs what a reload does with a key");
    }
}
