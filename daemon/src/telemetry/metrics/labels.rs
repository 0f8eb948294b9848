//! The values of labels: few, and all of them ours. What a client or an upstream wrote is sorted into them, and never becomes
//! one.

use crate::wire::Dialect;

/// A label whose values are known beforehand, so that each has a number of its own from the start.
pub(super) trait Label: Copy + 'static {
    const ALL: &'static [Self];

    fn name(self) -> &'static str;
    /// Its place in [`Label::ALL`].
    fn place(self) -> usize;
}

macro_rules! labels {
    ($(#[$about:meta])* $label:ident { $($(#[$doc:meta])* $value:ident = $name:literal),+ $(,)? }) => {
        $(#[$about])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum $label { $($(#[$doc])* $value),+ }

        impl Label for $label {
            const ALL: &'static [Self] = &[$(Self::$value),+];

            fn name(self) -> &'static str {
                match self { $(Self::$value => $name),+ }
            }

            fn place(self) -> usize {
                self as usize
            }
        }
    };
}

labels! {
    /// What a request is for.
    Endpoint {
        Messages = "messages",
        CountTokens = "count_tokens",
        ChatCompletions = "chat_completions",
        Completions = "completions",
        Responses = "responses",
        InputTokens = "input_tokens",
        StoredResponses = "stored_responses",
        Models = "models",
        Files = "files",
        Batches = "batches",
        /// Whether and how the daemon runs.
        Status = "status",
        Metrics = "metrics",
        Other = "other",
    }
}

labels! {
    /// How a request ended.
    Ending {
        /// With the last byte of its answer.
        Complete = "complete",
        /// Its answer began and could not be brought to its end.
        BrokenOff = "broken_off",
        /// Its client left before.
        ClientGone = "client_gone",
    }
}

labels! {
    /// How a call upstream ended.
    Outcome {
        Answered = "answered",
        ClientFault = "client_fault",
        Unauthorized = "unauthorized",
        Forbidden = "forbidden",
        RateLimited = "rate_limited",
        SpendLimit = "spend_limit",
        NoSuchModel = "no_such_model",
        Overloaded = "overloaded",
        Redirected = "redirected",
        /// No answer came.
        Failed = "failed",
        /// The client left while it was waited for.
        GivenUp = "given_up",
    }
}

labels! {
    /// Why a request was refused before upstream was asked.
    Refusal {
        /// It could not be read in one way.
        Unreadable = "unreadable",
        Host = "host",
        WebPage = "web_page",
        /// No client key, a wrong one, or another user.
        Unauthenticated = "unauthenticated",
        /// Too many wrong keys.
        Throttled = "throttled",
        ContentType = "content_type",
        KeyLimit = "key_limit",
        /// What its key does not allow.
        KeyRules = "key_rules",
        Overloaded = "overloaded",
        Stopping = "stopping",
        /// Nobody can serve it.
        NoAccount = "no_account",
        /// All who could are limited.
        AccountsLimited = "accounts_limited",
    }
}

labels! {
    /// How a refresh ended.
    Refresh {
        Refreshed = "refreshed",
        NeedsLogin = "needs_login",
        /// The issuer refused for now, or could not be reached.
        Issuer = "issuer_failed",
        /// Nothing was asked, since what comes back could not be saved.
        NotSaved = "cannot_save",
        /// Nothing was asked, for another reason: the account is gone, or it is too soon.
        NotAsked = "not_asked",
        Aborted = "aborted",
    }
}

labels! {
    /// Which tokens.
    Tokens {
        Input = "input",
        CacheCreation = "cache_creation",
        CacheRead = "cache_read",
        Output = "output",
    }
}

labels! {
    /// What a model is of, by its name.
    Family {
        Opus = "opus",
        Sonnet = "sonnet",
        Haiku = "haiku",
        Fable = "fable",
        Other = "other",
    }
}

labels! {
    /// What a request waits for.
    Awaited {
        /// Its key's limit, or a place among those that are served.
        Place = "place",
        /// An account that comes back from a limit.
        Account = "account",
    }
}

labels! {
    /// What became of a request's trace.
    Trace {
        Exported = "exported",
        /// More came than are held.
        Dropped = "dropped",
        /// The collector did not take it.
        Refused = "refused",
    }
}

labels! {
    /// What an account is.
    AccountState {
        Ready = "ready",
        /// Limited for some models or endpoints.
        Partial = "partial",
        Cooling = "cooling",
        NeedsLogin = "needs_login",
        Disabled = "disabled",
        Invalid = "invalid",
    }
}

labels! {
    /// Why an answer is none, or did not come to its end.
    UpstreamError {
        Unreachable = "upstream_unreachable",
        ProxyUnreachable = "upstream_proxy_unreachable",
        ConnectTimeout = "upstream_connect_timeout",
        HeadTimeout = "upstream_head_timeout",
        HungUp = "upstream_hung_up",
        Reset = "upstream_reset",
        HeadTooLarge = "upstream_head_too_large",
        NotHttp = "upstream_not_http",
        Redirect = "upstream_redirect",
        Unreadable = "upstream_unreadable",
        Silent = "upstream_silent",
        Disconnected = "upstream_disconnected",
        Compression = "upstream_compression",
        AnswerTooLarge = "upstream_answer_too_large",
        EventTooLarge = "upstream_event_too_large",
    }
}

impl UpstreamError {
    /// That of the code which clients are told; `None` for one that is not upstream's.
    pub(super) fn of_code(code: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|error| error.name() == code)
    }
}

impl Family {
    /// As it is called.
    pub fn called(self) -> &'static str {
        self.name()
    }

    /// Of a model as upstream calls it.
    pub fn of(model: &str) -> Self {
        let named = |family: &&Self| **family != Self::Other && model.contains(family.name());
        Self::ALL.iter().find(named).copied().unwrap_or(Self::Other)
    }
}

impl Endpoint {
    /// Its word in logs and metrics.
    pub fn as_str(self) -> &'static str {
        self.name()
    }

    /// Somebody, often a machine, looks whether and how the daemon runs.
    pub fn is_a_look(self) -> bool {
        matches!(self, Self::Status | Self::Metrics)
    }

    /// Whether a model answers.
    pub fn is_of_models(self) -> bool {
        matches!(self, Self::Messages | Self::ChatCompletions | Self::Completions | Self::Responses)
    }
}

/// The dialects, and what has none.
pub(super) const DIALECTS: [&str; 5] = ["messages", "chat", "responses", "completions", "none"];

pub(super) fn dialect(dialect: Option<Dialect>) -> usize {
    match dialect {
        Some(Dialect::Messages) => 0,
        Some(Dialect::Chat) => 1,
        Some(Dialect::Responses) => 2,
        Some(Dialect::Completions) => 3,
        None => 4,
    }
}

/// Statuses that are told by themselves, then the classes of all others. The first is that of a request without an answer.
const STATUSES: [&str; 26] = [
    "none", "200", "400", "401", "402", "403", "404", "405", "408", "409", "413", "415", "421", "422", "429",
    "431", "500", "502", "503", "504", "529", "1xx", "2xx", "3xx", "4xx", "5xx",
];
pub(super) const STATUS_LABELS: &[&str] = &STATUSES;

/// The place of a status among [`STATUS_LABELS`].
pub(super) fn status(status: Option<u16>) -> usize {
    let Some(status) = status else { return 0 };
    let mut text = [0; 3];
    let digits = [status / 100, status / 10 % 10, status % 10];
    for (byte, digit) in text.iter_mut().zip(digits) {
        *byte = b'0' + u8::try_from(digit % 10).unwrap_or(0);
    }
    let by_itself = STATUSES.iter().position(|known| known.as_bytes() == text);
    let of_class = || STATUSES.iter().position(|known| known.as_bytes() == [text[0], b'x', b'x']);
    by_itself.or_else(of_class).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_stands_for_itself_or_for_its_class() {
        let label = |of: u16| STATUS_LABELS[status(Some(of))];
        assert_eq!(
            [200, 429, 529, 201, 302, 418, 599].map(label),
            ["200", "429", "529", "2xx", "3xx", "4xx", "5xx"]
        );
        assert_eq!(STATUS_LABELS[status(None)], "none");
        assert_eq!(label(999), "none");
    }

    #[test]
    fn a_model_is_of_a_family_whatever_else_its_name_says() {
        let names = [
            "claude-opus-5",
            "claude-3-5-sonnet-20241022",
            "claude-haiku-5-5",
            "claude-fable-5-1",
            "gpt-9",
            "",
        ];
        assert_eq!(
            names.map(|name| Family::of(name).name()),
            ["opus", "sonnet", "haiku", "fable", "other", "other"]
        );
    }

    #[test]
    fn dialects_are_called_as_everywhere() {
        for (place, of) in [Dialect::Messages, Dialect::Chat, Dialect::Responses, Dialect::Completions]
            .into_iter()
            .enumerate()
        {
            assert_eq!((dialect(Some(of)), DIALECTS[place]), (place, of.name()));
        }
    }
}
