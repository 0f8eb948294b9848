//! Every configuration key, once: its name, what it takes, what it is without being set, and what it means.
//! Loading, `print-config`, the environment's names and the annotated file under `packaging/` all come from
//! this table.

/// What a key takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Text,
    Texts,
    Integer,
    Boolean,
}

/// One key.
#[derive(PartialEq, Eq, Debug)]
pub struct Key {
    /// Section and name, joined by dots.
    pub path: &'static str,
    pub kind: Kind,
    /// As TOML; `None` where it depends on the machine.
    pub default: Option<&'static str>,
    /// For the person who reads the annotated file.
    pub doc: &'static str,
}

pub const KEYS: &[Key] = &[
    Key {
        path: "http.listen",
        kind: Kind::Texts,
        default: Some(r#"["127.0.0.1:8080"]"#),
        doc: "Where HTTP is served: ip:port, or unix:/path for a unix socket. An address that other machines can reach needs client keys \
              (proxyctl keys create).",
    },
    Key {
        path: "http.auth",
        kind: Kind::Text,
        default: Some(r#""peer-or-key""#),
        doc: "Who is served: peer-or-key (programs of the user that proxyd runs as, of root and of those below; everybody else needs a client \
              key), key (everybody needs one), or none-i-know (whoever reaches the address).",
    },
    Key {
        path: "http.users",
        kind: Kind::Texts,
        default: Some("[]"),
        doc: "Further users, by name or number, whose programs need no key.",
    },
    Key {
        path: "http.groups",
        kind: Kind::Texts,
        default: Some("[]"),
        doc: "Groups whose members' programs need no key.",
    },
    Key {
        path: "http.hosts",
        kind: Kind::Texts,
        default: Some("[]"),
        doc: "Names of this machine that requests may be for (their Host), beside the addresses themselves and localhost: name, or name:port.",
    },
    Key {
        path: "http.origins",
        kind: Kind::Texts,
        default: Some("[]"),
        doc: "Web pages that may call, by their origin, as in http://localhost:3000. Every other page is refused.",
    },
    Key {
        path: "http.passthrough",
        kind: Kind::Boolean,
        default: Some("false"),
        doc: "Whether a request that brings a credential of the provider's of its own (sk-ant-..., as Bearer or x-api-key) goes upstream with \
              exactly that, past the pool. Client keys then travel as x-proxyd-key.",
    },
    Key {
        path: "http.tls_cert",
        kind: Kind::Text,
        default: Some(r#""""#),
        doc: "A PEM file with the certificate, and those that it depends on, for TLS on every TCP address. Read again when it changes. Empty: \
              plain HTTP.",
    },
    Key {
        path: "http.tls_key",
        kind: Kind::Text,
        default: Some(r#""""#),
        doc: "The PEM file with its private key.",
    },
    Key {
        path: "http.max_connections",
        kind: Kind::Integer,
        default: Some("20000"),
        doc: "Connections of clients at once; fewer where the limit of open files asks for it. One more takes the place of the one that waits \
              longest for a request.",
    },
    Key {
        path: "http.max_requests",
        kind: Kind::Integer,
        default: Some("12000"),
        doc: "Requests that are served at once; fewer where the limit of open files asks for it.",
    },
    Key {
        path: "http.max_waiting",
        kind: Kind::Integer,
        default: Some("1000"),
        doc: "Requests above that wait in line, for ten seconds at most. Those above these are refused with retry-after.",
    },
    Key {
        path: "http.max_body_memory_mib",
        kind: Kind::Integer,
        default: Some("256"),
        doc: "Memory that the bodies of requests may take together until they are answered, in MiB. Requests above that wait in line, too.",
    },
    Key {
        path: "http.first_byte_timeout",
        kind: Kind::Text,
        default: Some(r#""60s""#),
        doc: "How long a connection may say nothing before its first request.",
    },
    Key {
        path: "http.header_timeout",
        kind: Kind::Text,
        default: Some(r#""30s""#),
        doc: "How long the headers of a request may take from their first byte.",
    },
    Key {
        path: "http.body_timeout",
        kind: Kind::Text,
        default: Some(r#""60s""#),
        doc: "How long nothing may come of a request's body.",
    },
    Key {
        path: "http.idle_timeout",
        kind: Kind::Text,
        default: Some(r#""5m""#),
        doc: "How long a connection is kept for its next request.",
    },
    Key {
        path: "http.send_timeout",
        kind: Kind::Text,
        default: Some(r#""60s""#),
        doc: "How long a client may take nothing of what it is sent.",
    },
    Key {
        path: "http.drain",
        kind: Kind::Text,
        default: Some(r#""30s""#),
        doc: "How long open streams may go on after a stop was asked for. Then they end with an error event.",
    },
    Key {
        path: "http.keep_alive",
        kind: Kind::Text,
        default: Some(r#""15s""#),
        doc: "A stream's client that was sent nothing for this long gets a ping or a comment, so that it does not give up a stream that lives. \
              A stream that upstream has not begun after 45 seconds begins with them, and an error is then an event in it. 0s: never.",
    },
    Key {
        path: "control.socket",
        kind: Kind::Text,
        default: None,
        doc: "The unix socket of the control plane. Without it: $RUNTIME_DIRECTORY/control.sock under systemd, else \
              $XDG_RUNTIME_DIR/proxyd/control.sock, else run/control.sock in the private state directory.",
    },
    Key {
        path: "control.group",
        kind: Kind::Text,
        default: Some(r#""""#),
        doc: "A group whose members may use the control socket beside root and the user that proxyd runs as. The socket then belongs to it \
              (0660). Empty: none.",
    },
    Key {
        path: "control.group_rights",
        kind: Kind::Text,
        default: Some(r#""read""#),
        doc: "What members of that group may do: read, or all. Importing and exporting files stays with root and the user that proxyd runs \
              as.",
    },
    Key {
        path: "auth.dir",
        kind: Kind::Text,
        default: None,
        doc: "The auth directory: one private file per account. Without it: $STATE_DIRECTORY/auth under systemd, else auth in the XDG \
              state home (~/.local/state/proxyd/auth).",
    },
    Key {
        path: "auth.seal_key_file",
        kind: Kind::Text,
        default: Some(r#""""#),
        doc: "A private file with the key that encrypts tokens and API keys in the auth directory: 32 random bytes, as they are or as 64 hex \
              digits or base64. Under systemd the credential proxyd.seal-key does as well. Without either they lie there in clear.",
    },
    Key {
        path: "auth.old_seal_key_file",
        kind: Kind::Text,
        default: Some(r#""""#),
        doc: "The seal key before that one (or the credential proxyd.seal-key.old): it opens what it sealed and seals nothing.",
    },
    Key {
        path: "auth.seal",
        kind: Kind::Boolean,
        default: Some("true"),
        doc: "Whether files are encrypted where there is a seal key. false, with that key, puts all in clear at the next start.",
    },
    Key {
        path: "refresh.lead",
        kind: Kind::Text,
        default: Some(r#""30m""#),
        doc: "A token is refreshed after 70 % of its life, and never later than this before its end.",
    },
    Key {
        path: "pool.strategy",
        kind: Kind::Text,
        default: Some(r#""quota""#),
        doc: "How an account is chosen among those of the highest priority that are ready: quota (more to those with more of it left for \
              the time until it begins anew), round-robin, weighted, or fill-first (one after the other).",
    },
    Key {
        path: "pool.affinity",
        kind: Kind::Boolean,
        default: Some("true"),
        doc: "Whether a conversation stays with an account as long as that one is ready: its prompt cache lives there.",
    },
    Key {
        path: "pool.wait",
        kind: Kind::Text,
        default: Some(r#""0s""#),
        doc: "How long a request waits for an account to come back when all are out until a time that was named. 0s: it is refused at once, \
              with that time.",
    },
    Key {
        path: "pool.queue",
        kind: Kind::Integer,
        default: Some("100"),
        doc: "No more requests than these wait at once; the others are refused at once.",
    },
    Key {
        path: "pool.warn_percent",
        kind: Kind::Integer,
        default: Some("90"),
        doc: "An event tells when this much of a window of an account's plan is used.",
    },
    Key {
        path: "responses.store",
        kind: Kind::Boolean,
        default: Some("true"),
        doc: "Whether responses are stored where a client of /v1/responses does not say store: false, so that it can go on from them by \
              previous_response_id. They hold what was asked and answered, and lie in private files below the auth directory.",
    },
    Key {
        path: "responses.ttl",
        kind: Kind::Text,
        default: Some(r#""7d""#),
        doc: "A stored response is deleted when it was not used for this long.",
    },
    Key {
        path: "responses.max_mib",
        kind: Kind::Integer,
        default: Some("256"),
        doc: "Stored responses take this many MiB at most; the longest unused go first.",
    },
    Key {
        path: "translation.strict",
        kind: Kind::Boolean,
        default: Some("false"),
        doc: "Whether a request in one of OpenAI's dialects is refused when a field of it cannot be sent. A request's header x-proxyd-strict: \
              true or false decides for that request. Without it such fields are dropped and named in the answer's header \
              x-proxyd-dropped-fields.",
    },
    Key {
        path: "translation.prompt_cache",
        kind: Kind::Boolean,
        default: Some("true"),
        doc: "Whether prompts of OpenAI's dialects are marked to be cached: the tools, the system prompt and the last two turns. A request \
              with markers of its own is left as it is.",
    },
    Key {
        path: "log.level",
        kind: Kind::Text,
        default: Some(r#""info""#),
        doc: "error, warn, info, debug or trace.",
    },
    Key {
        path: "log.format",
        kind: Kind::Text,
        default: Some(r#""auto""#),
        doc: "How log lines are written: journal (to systemd's journal, with structured fields), text or json (to stderr, a line each), or \
              auto: journal when systemd started proxyd, text otherwise. Where the journal cannot be reached they are text.",
    },
    Key {
        path: "claude.api_base_url",
        kind: Kind::Text,
        default: Some(r#""https://api.anthropic.com""#),
        doc: "Where model traffic goes. Plain http is accepted for loopback addresses only, here and below.",
    },
    Key {
        path: "claude.oauth.authorize_url",
        kind: Kind::Text,
        default: Some(r#""https://claude.ai/oauth/authorize""#),
        doc: "The page on which a person allows a login.",
    },
    Key {
        path: "claude.oauth.token_url",
        kind: Kind::Text,
        default: Some(r#""https://platform.claude.com/v1/oauth/token""#),
        doc: "Exchanges codes and refreshes tokens.",
    },
    Key {
        path: "claude.oauth.revoke_url",
        kind: Kind::Text,
        default: Some(r#""https://platform.claude.com/v1/oauth/revoke""#),
        doc: "Revokes a login.",
    },
    Key {
        path: "claude.oauth.profile_url",
        kind: Kind::Text,
        default: Some(r#""https://api.anthropic.com/api/oauth/profile""#),
        doc: "Tells who a token belongs to, where the login did not.",
    },
    Key {
        path: "claude.oauth.usage_url",
        kind: Kind::Text,
        default: Some(r#""https://api.anthropic.com/api/oauth/usage""#),
        doc: "Tells how much of its plan a login has used.",
    },
    Key {
        path: "claude.oauth.client_id",
        kind: Kind::Text,
        default: Some(r#""9d1c250a-e61b-44d9-88ed-5944d1962f5e""#),
        doc: "The public OAuth client that logins are made for.",
    },
    Key {
        path: "claude.oauth.scopes",
        kind: Kind::Texts,
        default: Some(
            r#"["user:profile", "user:inference", "user:sessions:claude_code", "user:mcp_servers", "user:file_upload"]"#,
        ),
        doc: "What a login asks for.",
    },
    Key {
        path: "claude.oauth.callback_port",
        kind: Kind::Integer,
        default: Some("54545"),
        doc: "The loopback port on which proxyctl waits for the browser; proxyctl login --callback-port overrides it.",
    },
    Key {
        path: "claude.oauth.paste_redirect_uri",
        kind: Kind::Text,
        default: Some(r#""https://platform.claude.com/oauth/code/callback""#),
        doc: "The provider's own page that shows a login's code to copy: where proxyctl login --paste sends the browser.",
    },
    Key {
        path: "upstream.proxy_url",
        kind: Kind::Text,
        default: Some(r#""""#),
        doc: "An http, https, socks5 or socks5h proxy for everything that goes out. Empty: none, unless the next key says otherwise.",
    },
    Key {
        path: "upstream.proxy_from_environment",
        kind: Kind::Boolean,
        default: Some("false"),
        doc: "Whether HTTPS_PROXY, else ALL_PROXY (both in either case) of proxyd's own environment stands for an empty upstream.proxy_url, \
              except to the hosts in NO_PROXY. Plain http, which goes to loopback only, takes no proxy of the environment.",
    },
    Key {
        path: "upstream.connect_timeout",
        kind: Kind::Text,
        default: Some(r#""20s""#),
        doc: "How long the making of a connection may take, through the proxy and with TLS.",
    },
    Key {
        path: "upstream.head_timeout",
        kind: Kind::Text,
        default: Some(r#""15m""#),
        doc: "How long upstream may take to its answer's head: a large answer that is not streamed can take ten minutes. An upload may take \
              longer for as long as it goes on.",
    },
    Key {
        path: "upstream.silence_timeout",
        kind: Kind::Text,
        default: Some(r#""5m""#),
        doc: "An answer of which nothing came from upstream for this long is given up; upstream sends pings in between.",
    },
    Key {
        path: "upstream.ca_file",
        kind: Kind::Text,
        default: Some(r#""""#),
        doc: "A PEM file of certificates to trust beside the system's.",
    },
    Key {
        path: "config.watch",
        kind: Kind::Boolean,
        default: Some("false"),
        doc: "Whether proxyd reads its configuration anew when a file of it changes. Without it: at SIGHUP (systemctl reload proxyd) and at \
              proxyctl reload.",
    },
    Key {
        path: "metrics.listen",
        kind: Kind::Texts,
        default: Some("[]"),
        doc: "Where metrics are served alone (GET /metrics and /healthz), without a key, as in [\"127.0.0.1:9464\"]: for a Prometheus that runs as \
              another user. Whoever reaches the address may read them. They are at /metrics of http.listen in any case, for those who may \
              call there.",
    },
    Key {
        path: "otlp.endpoint",
        kind: Kind::Text,
        default: Some(r#""""#),
        doc: "The collector that traces and metrics of requests are sent to, by OTLP over HTTP, as in http://127.0.0.1:4318. Needs a proxyd that \
              was built with the feature otlp. Empty: nothing is sent.",
    },
    Key {
        path: "otlp.headers_file",
        kind: Kind::Text,
        default: Some(r#""""#),
        doc: "A file of headers that the collector wants, a line each, as in authorization: Bearer ... Nobody but its owner may read it.",
    },
    Key {
        path: "otlp.interval",
        kind: Kind::Text,
        default: Some(r#""10s""#),
        doc: "How often it is sent what came since.",
    },
    Key {
        path: "sandbox.landlock",
        kind: Kind::Text,
        default: Some(r#""required""#),
        doc: "required: proxyd closes itself, by the kernel's landlock, to every file that it does not use, and does not start where the kernel \
              cannot do all of that (it can since Linux 5.13). off: for older kernels.",
    },
];

/// The key of this name.
pub(super) fn find(path: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.path == path)
}

/// Whether keys stand below this name.
pub(super) fn is_section(path: &str) -> bool {
    KEYS.iter().any(|key| key.path.strip_prefix(path).is_some_and(|rest| rest.starts_with('.')))
}

/// The known name nearest to a mistyped one.
pub(super) fn nearest(path: &str) -> Option<&'static str> {
    let distance = |key: &&Key| strsim::damerau_levenshtein(key.path, path);
    let key = KEYS.iter().min_by_key(distance)?;
    (distance(&key) <= 3.max(path.len() / 4)).then_some(key.path)
}
