//! Whether the provider is reached, and whether our clock is right: its answers carry the time.

use url::Url;

use super::{Finding, Severity};
use crate::claude::{Answered, Miss, OAuthClient, Unanswered};
use crate::clock::SignedDuration;

const AREA: &str = "upstream";
/// A clock that is off by less harms nothing: tokens are refreshed earlier than by this.
const SKEW: SignedDuration = SignedDuration::from_secs(30);
/// From here on tokens are taken to be good that are not, or certificates to be bad that are good.
const GREAT_SKEW: SignedDuration = SignedDuration::from_mins(5);

/// Asks each host once.
pub(super) async fn look(oauth: &OAuthClient, hosts: &[Url]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut skew = None;
    for host in hosts {
        match oauth.reach(host).await {
            Ok(answered) => {
                skew = skew.or_else(|| answered.skew());
                findings.push(reached(host, &answered));
            }
            Err(unanswered) => findings.push(missed(host, &unanswered)),
        }
    }
    findings.extend(skew.map(clock));
    findings
}

fn name(origin: &Url) -> String {
    let host = origin.host_str().unwrap_or_default();
    origin.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

fn reached(origin: &Url, answered: &Answered) -> Finding {
    let by = if origin.scheme() == "https" { "its certificate is trusted" } else { "without TLS" };
    let found = format!("{} answered in {} ms; {by}", name(origin), answered.took.as_millis());
    Finding::new(AREA, Severity::Ok, found)
}

fn missed(origin: &Url, unanswered: &Unanswered) -> Finding {
    let (host, why) = (name(origin), &unanswered.why);
    let (found, command) = match unanswered.miss {
        Miss::Name => (
            format!("the name {host} cannot be resolved: {why}"),
            format!("getent hosts {}", origin.host_str().unwrap_or_default()),
        ),
        Miss::Certificate => (
            format!("the certificate of {host} is not trusted: {why}"),
            "apt install ca-certificates # or name the network's own root in upstream.ca_file".to_owned(),
        ),
        Miss::Time => (
            format!("the certificate of {host} is not valid at this time of ours: {why}"),
            "timedatectl set-ntp true".to_owned(),
        ),
        Miss::Proxy => (
            format!("the proxy does not lead to {host}: {why}"),
            "proxyd print-config # upstream.proxy_url".to_owned(),
        ),
        Miss::TimedOut => (format!("{host} did not answer in time: {why}"), format!("curl -sSI {origin}")),
        Miss::Connection => (format!("{host} is not reached: {why}"), format!("curl -sSI {origin}")),
    };
    Finding::new(AREA, Severity::Problem, found).mended_by(command)
}

/// Positive: ours is ahead.
fn clock(skew: SignedDuration) -> Finding {
    let size = skew.abs();
    let severity = match size {
        _ if size < SKEW => return Finding::new("clock", Severity::Ok, "agrees with upstream's"),
        _ if size < GREAT_SKEW => Severity::Warning,
        _ => Severity::Problem,
    };
    let side = if skew.is_negative() { "behind" } else { "ahead of" };
    let found =
        format!("this machine's clock is {:#} {side} upstream's", SignedDuration::from_secs(size.as_secs()));
    Finding::new("clock", severity, found).mended_by("timedatectl set-ntp true")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_judged_by_how_far_it_is_off() {
        for (seconds, severity) in [
            (0, Severity::Ok),
            (-29, Severity::Ok),
            (31, Severity::Warning),
            (-299, Severity::Warning),
            (301, Severity::Problem),
        ] {
            assert_eq!(clock(SignedDuration::from_secs(seconds)).severity, severity, "{seconds}");
        }
        assert!(clock(SignedDuration::from_secs(90)).found.contains("ahead of"));
        assert!(clock(SignedDuration::from_secs(-90)).found.contains("behind"));
    }

    #[test]
    fn each_way_of_not_getting_there_names_the_host_and_a_command() {
        let host = Url::parse("https://api.example.com").unwrap();
        for miss in [Miss::Name, Miss::Certificate, Miss::Time, Miss::Proxy, Miss::TimedOut, Miss::Connection]
        {
            let finding = missed(&host, &Unanswered { miss, why: "because".to_owned() });
            assert!(
                finding.found.contains("api.example.com") && finding.found.ends_with("because"),
                "{finding:?}"
            );
            assert!(finding.command.is_some() && finding.severity == Severity::Problem, "{finding:?}");
        }
    }
}
