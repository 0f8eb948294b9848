//! What the caller's own environment does to programs that are started from it. Pure: no variable's value is told but
//! addresses.

use url::{Host, Url};

use crate::json::{Finding, Severity};

const AREA: &str = "environment";
/// Each family's base URL.
const BASE_URLS: [&str; 3] = ["ANTHROPIC_BASE_URL", "OPENAI_BASE_URL", "OPENAI_API_BASE"];
/// Proxies of the environment that http requests go through.
const PROXIES: [&str; 4] = ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"];
/// With one of these Claude Code asks another provider, whatever the base URL.
const OTHER_PROVIDERS: [&str; 3] =
    ["CLAUDE_CODE_USE_BEDROCK", "CLAUDE_CODE_USE_VERTEX", "CLAUDE_CODE_USE_FOUNDRY"];

/// Everything that leads programs astray; `listen` are the daemon's addresses, as host:port.
pub(super) fn traps(variable: &dyn Fn(&str) -> Option<String>, listen: &[String]) -> Vec<Finding> {
    let mut findings = Vec::new();
    if variable("ANTHROPIC_API_KEY").is_some() && variable("ANTHROPIC_AUTH_TOKEN").is_some() {
        let found = "ANTHROPIC_API_KEY and ANTHROPIC_AUTH_TOKEN are both set: Claude Code warns, and which one a program sends differs";
        findings.push(warning(found).mended_by("unset ANTHROPIC_API_KEY"));
    }
    if variable("ANTHROPIC_BASE_URL").is_none() && variable("ANTHROPIC_API_KEY").is_some() {
        let found =
            "ANTHROPIC_API_KEY is set and ANTHROPIC_BASE_URL is not: programs go to the provider past proxyd";
        findings.push(Finding::new(AREA, Severity::Note, found).mended_by(set("ANTHROPIC_BASE_URL", listen)));
    }
    findings.extend(BASE_URLS.into_iter().filter_map(|name| base_url(name, &variable(name)?, listen)));
    for name in OTHER_PROVIDERS.into_iter().filter(|name| variable(name).is_some_and(|value| value != "0")) {
        let found = format!("{name} is set: Claude Code asks that provider and not ANTHROPIC_BASE_URL");
        findings.push(warning(&found).mended_by(format!("unset {name}")));
    }
    findings.extend(proxy(variable));
    if findings.is_empty() {
        findings.push(Finding::new(AREA, Severity::Ok, "nothing in it leads programs astray"));
    }
    findings
}

fn warning(found: &str) -> Finding {
    Finding::new(AREA, Severity::Warning, found)
}

fn set(name: &str, listen: &[String]) -> String {
    let own = listen.iter().find(|address| !address.contains('/')).map_or("127.0.0.1:8080", String::as_str);
    let path = if name.starts_with("OPENAI") { "/v1" } else { "" };
    format!("export {name}=http://{own}{path}")
}

fn base_url(name: &str, value: &str, listen: &[String]) -> Option<Finding> {
    let Ok(url) = Url::parse(value.trim()) else {
        return Some(warning(&format!("{name} is not a URL")).mended_by(set(name, listen)));
    };
    let (host, port) = (url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or_default());
    let is_ours = listen.is_empty() || listen.iter().any(|address| leads_to(&url, address));
    if !is_ours && is_loopback(&url) {
        let found = format!("{name} leads to port {port} of this machine, where this daemon does not listen");
        return Some(warning(&found).mended_by(set(name, listen)));
    }
    if !is_ours {
        let found = format!("{name} leads to {host}, not to this daemon");
        return Some(Finding::new(AREA, Severity::Note, found).mended_by(set(name, listen)));
    }
    if name.starts_with("ANTHROPIC") && url.path().trim_end_matches('/').ends_with("/v1") {
        let found = format!(
            "{name} ends in /v1: proxyd serves that, too, while other servers answer /v1/v1/messages with 404"
        );
        return Some(Finding::new(AREA, Severity::Note, found).mended_by(set(name, listen)));
    }
    None
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Whether a URL names an address that is listened on; on loopback the port tells.
fn leads_to(url: &Url, address: &str) -> bool {
    let Some((host, port)) = address.rsplit_once(':') else { return false };
    let same_port = port.parse().ok() == url.port_or_known_default();
    same_port && (is_loopback(url) || url.host_str() == Some(host))
}

/// Requests to loopback would go to a proxy that cannot reach it.
fn proxy(variable: &dyn Fn(&str) -> Option<String>) -> Option<Finding> {
    let name = PROXIES.into_iter().find(|name| variable(name).is_some())?;
    let exceptions = variable("no_proxy").or_else(|| variable("NO_PROXY")).unwrap_or_default();
    let mut exceptions = exceptions.split(',').map(str::trim);
    if exceptions.any(|host| matches!(host, "*" | "localhost" | "127.0.0.1" | "127.0.0.0/8")) {
        return None;
    }
    let found = format!(
        "{name} is set and NO_PROXY does not spare this machine: programs may send requests for proxyd to that proxy"
    );
    Some(
        warning(&found).mended_by("export NO_PROXY=localhost,127.0.0.1,::1 no_proxy=localhost,127.0.0.1,::1"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(variables: &[(&str, &str)]) -> Vec<Finding> {
        let variable = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        traps(
            &variable,
            &["127.0.0.1:8080".to_owned(), "[::1]:8080".to_owned(), "unix:/run/http.sock".to_owned()],
        )
    }

    #[test]
    fn an_environment_without_traps_is_well() {
        for variables in [
            &[][..],
            &[("ANTHROPIC_BASE_URL", "http://127.0.0.1:8080"), ("ANTHROPIC_AUTH_TOKEN", "FAKE")],
            &[("OPENAI_BASE_URL", "http://localhost:8080/v1"), ("OPENAI_API_KEY", "FAKE")],
            &[("http_proxy", "http://p.example"), ("no_proxy", "corp.example, localhost")],
            &[("CLAUDE_CODE_USE_BEDROCK", "0")],
        ] {
            let found = found(variables);
            assert_eq!((found.len(), found[0].severity), (1, Severity::Ok), "{variables:?}: {found:?}");
        }
    }

    #[test]
    fn each_trap_is_named_with_the_command_that_mends_it() {
        for (variables, severity, word, command) in [
            (
                &[
                    ("ANTHROPIC_API_KEY", "FAKE-secret"),
                    ("ANTHROPIC_AUTH_TOKEN", "FAKE-secret"),
                    ("ANTHROPIC_BASE_URL", "http://[::1]:8080"),
                ][..],
                Severity::Warning,
                "both set",
                "unset ANTHROPIC_API_KEY",
            ),
            (
                &[("ANTHROPIC_API_KEY", "FAKE-secret")],
                Severity::Note,
                "past proxyd",
                "export ANTHROPIC_BASE_URL=http://127.0.0.1:8080",
            ),
            (
                &[("ANTHROPIC_BASE_URL", "http://127.0.0.1:8080/v1/")],
                Severity::Note,
                "/v1",
                "export ANTHROPIC_BASE_URL=http://127.0.0.1:8080",
            ),
            (
                &[("OPENAI_BASE_URL", "http://127.0.0.1:9999/v1")],
                Severity::Warning,
                "9999",
                "export OPENAI_BASE_URL=http://127.0.0.1:8080/v1",
            ),
            (
                &[("OPENAI_BASE_URL", "https://api.example.com/v1")],
                Severity::Note,
                "api.example.com",
                "export OPENAI_BASE_URL=http://127.0.0.1:8080/v1",
            ),
            (
                &[("ANTHROPIC_BASE_URL", "127.0.0.1")],
                Severity::Warning,
                "not a URL",
                "export ANTHROPIC_BASE_URL=http://127.0.0.1:8080",
            ),
            (&[("CLAUDE_CODE_USE_VERTEX", "1")], Severity::Warning, "VERTEX", "unset CLAUDE_CODE_USE_VERTEX"),
            (
                &[("HTTP_PROXY", "http://me:FAKE-secret@p.example")],
                Severity::Warning,
                "HTTP_PROXY",
                "export NO_PROXY=localhost,127.0.0.1,::1 no_proxy=localhost,127.0.0.1,::1",
            ),
        ] {
            let found = found(variables);
            let [only] = found.as_slice() else { panic!("{variables:?}: {found:?}") };
            assert_eq!((only.severity, only.command.as_deref()), (severity, Some(command)), "{only:?}");
            assert!(only.found.contains(word) && !format!("{only:?}").contains("secret"), "{only:?}");
        }
    }
}
