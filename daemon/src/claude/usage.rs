//! The plan usage endpoint: how much of a subscription's windows is used. Best effort and undocumented, so the windows are
//! an open list: whatever looks like one is one.

use std::time::Duration;

use http::StatusCode;
use http::header::{AUTHORIZATION, HeaderValue};
use serde_json::{Map, Value};

use super::api::OAUTH_BETA;
use super::oauth::{OAuthClient, read};
use super::ratelimit;
use super::ways::Way;
use crate::clock::Timestamp;
use crate::secret::{AccessToken, sensitive_header};

/// A person may be waiting.
const TIMEOUT: Duration = Duration::from_secs(8);
/// Windows taken of one answer.
const MOST_WINDOWS: usize = 16;

/// One window of a plan.
#[derive(Clone, PartialEq, Debug)]
pub struct UsageWindow {
    /// As the provider calls it: `five_hour`, `seven_day` and others.
    pub name: String,
    /// Percent, from 0 to 100.
    pub used_percent: f64,
    pub resets_at: Option<Timestamp>,
}

/// Why there is no usage, by what is to be done next.
#[derive(Debug, thiserror::Error)]
pub enum UsageError {
    /// It will be no different the next time.
    #[error("the provider's usage endpoint answered {0}")]
    Refused(StatusCode),
    /// It may be asked again, and not before the time it named.
    #[error("the provider's usage endpoint has trouble")]
    Later { retry_at: Option<Timestamp> },
}

impl OAuthClient {
    /// Asks how much of its plan an account has used.
    pub async fn usage(&self, token: &AccessToken, way: &Way) -> Result<Vec<UsageWindow>, UsageError> {
        const LATER: UsageError = UsageError::Later { retry_at: None };
        let asked_at = self.clock.now();
        let bearer = sensitive_header(&format!("Bearer {}", token.expose())).map_err(|_| LATER)?;
        let request = |http: &reqwest::Client| {
            let request = http.get(self.config.usage_url.clone()).timeout(TIMEOUT);
            let request = request.header(AUTHORIZATION, bearer);
            request.header("anthropic-beta", HeaderValue::from_static(OAUTH_BETA))
        };
        let reply = self.send(way, request).await.map_err(|_| LATER)?;
        match reply.status() {
            status if status.is_success() => {}
            StatusCode::TOO_MANY_REQUESTS => {
                return Err(UsageError::Later {
                    retry_at: ratelimit::retry_after(reply.headers(), asked_at),
                });
            }
            status if status.is_server_error() => return Err(LATER),
            status => return Err(UsageError::Refused(status)),
        }
        let body = read(reply).await.map_err(|_| LATER)?;
        let body: Map<String, Value> = serde_json::from_slice(&body).map_err(|_| LATER)?;
        Ok(windows(&body))
    }
}

fn windows(body: &Map<String, Value>) -> Vec<UsageWindow> {
    let window = |(name, value): (&String, &Value)| {
        let used = value.get("utilization")?.as_f64().filter(|used| used.is_finite())?;
        let resets_at = value.get("resets_at").and_then(Value::as_str).and_then(|at| at.parse().ok());
        let name = name.chars().filter(|c| !c.is_control()).take(64).collect();
        Some(UsageWindow { name, used_percent: used.clamp(0.0, 100.0), resets_at })
    };
    body.iter().filter_map(window).take(MOST_WINDOWS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_looks_like_a_window_is_one_and_the_rest_is_passed_over() {
        let body = r#"{"five_hour":{"utilization":6.5,"resets_at":"2026-06-01T12:00:00.123+00:00"},
            "seven_day_opus":null,"seven_day":{"utilization":140,"resets_at":null},"extra_usage":{"is_enabled":false},
            "next_one":{"utilization":0,"resets_at":"soon"},"note":"x"}"#;
        let found = windows(&serde_json::from_str(body).unwrap());
        let shown: Vec<_> = found.iter().map(|window| (window.name.as_str(), window.used_percent)).collect();
        assert_eq!(shown, [("five_hour", 6.5), ("seven_day", 100.0), ("next_one", 0.0)]);
        assert!(found[0].resets_at.is_some() && found[1].resets_at.is_none() && found[2].resets_at.is_none());
    }
}
