//! What a proxy of the environment is not for, as the field's programs read `NO_PROXY`.

use http::Uri;
use hyper_util::client::proxy::matcher::Matcher;

/// Hosts, domains and networks, as the variable lists them; `*` is everything.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Exceptions(pub String);

impl Exceptions {
    /// Whether a call there goes without the proxy. Plain http does: it goes to loopback only.
    pub(super) fn has(&self, to: &Uri) -> bool {
        // Which proxy it is plays no part here.
        let matcher = Matcher::builder().https("http://proxy.invalid").no(self.0.as_str()).build();
        matcher.intercept(to).is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_what_is_below_them_networks_and_plain_http_go_without() {
        let exceptions = Exceptions("internal.example, .corp.example,10.0.0.0/8 ,::1".to_owned());
        for (to, without) in [
            ("https://api.anthropic.com/v1/messages", false),
            ("https://internal.example/", true),
            ("https://a.internal.example:8443/", true),
            ("https://notinternal.example/", false),
            ("https://x.corp.example/", true),
            ("https://10.1.2.3/", true),
            ("https://11.1.2.3/", false),
            ("https://[::1]/", true),
            ("http://127.0.0.1:9/", true),
        ] {
            assert_eq!(exceptions.has(&to.parse().unwrap()), without, "{to}");
        }
        assert!(Exceptions("*".to_owned()).has(&"https://api.anthropic.com/".parse().unwrap()));
        assert!(!Exceptions(String::new()).has(&"https://api.anthropic.com/".parse().unwrap()));
    }
}
