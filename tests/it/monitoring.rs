//! The dashboard and the alert rules that are shipped use metrics that there are, with labels that they have, as what they are:
//! a rate is one of a counter, and a quantile one of a histogram.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use proxyd::telemetry::metrics::table::{Kind, METRICS, Metric};
use serde_json::Value;
use yaml_rust2::{Yaml, YamlLoader};

/// What Prometheus, Alertmanager and Grafana add by themselves.
const THEIRS: &[&str] = &["instance", "job", "le"];
/// Functions of ranges of a counter.
const OF_COUNTERS: &[&str] = &["rate", "increase", "irate", "resets"];

fn shipped(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging").join(path)).unwrap()
}

/// One word, number or sign of `PromQL`; strings lose what they hold.
fn tokens(expr: &str) -> Vec<String> {
    let (mut tokens, mut rest) = (Vec::new(), expr);
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '"' => rest[1..].find('"').map_or(rest.len(), |end| end + 2),
            c if c.is_ascii_alphanumeric() || "_:$".contains(c) => {
                let is_word = |c: char| c.is_ascii_alphanumeric() || "_:$.".contains(c);
                rest.find(|c| !is_word(c)).unwrap_or(rest.len())
            }
            c => c.len_utf8(),
        };
        let (token, after) = rest.split_at(length);
        if !token.trim().is_empty() {
            tokens.push(if first == '"' { "\"\"".to_owned() } else { token.to_owned() });
        }
        rest = after;
    }
    tokens
}

/// The metric that a name is one of, and whether it is a part of its histogram.
fn metric(name: &str) -> Option<(&'static Metric, bool)> {
    let whole = METRICS.iter().find(|metric| metric.name == name).map(|metric| (metric, false));
    let part = || {
        let base = ["_bucket", "_sum", "_count"].iter().find_map(|part| name.strip_suffix(part))?;
        let metric = METRICS.iter().find(|metric| metric.name == base)?;
        (metric.kind == Kind::Histogram).then_some((metric, true))
    };
    whole.or_else(part)
}

/// The metrics of an expression, and what is wrong with how it uses them.
fn judged(expr: &str) -> (Vec<&'static str>, Vec<String>) {
    let tokens = tokens(expr);
    let (mut names, mut wrong, mut labels) = (Vec::new(), Vec::new(), BTreeSet::<&str>::new());
    for (place, token) in tokens.iter().enumerate() {
        if !(token.starts_with("proxyd_") || token.starts_with("process_")) {
            continue;
        }
        let Some((metric, is_part)) = metric(token) else {
            wrong.push(format!("there is no metric {token}"));
            continue;
        };
        names.push(metric.name);
        labels.extend(metric.labels);
        // The selector after it.
        let selector = tokens
            .get(place + 1)
            .filter(|next| *next == "{")
            .map(|_| tokens[place + 2..].iter().take_while(|token| *token != "}").collect::<Vec<_>>());
        for pair in selector.iter().flat_map(|of| of.windows(2)) {
            let is_label = ["=", "!"].contains(&pair[1].as_str())
                && pair[0].starts_with(|c: char| c.is_ascii_alphabetic());
            if is_label && !metric.labels.contains(&pair[0].as_str()) && !THEIRS.contains(&pair[0].as_str()) {
                wrong.push(format!("{token} has no label {}", pair[0]));
            }
        }
        let function = (place >= 2 && tokens[place - 1] == "(").then(|| tokens[place - 2].as_str());
        let as_counter = function.is_some_and(|function| OF_COUNTERS.contains(&function));
        match metric.kind {
            Kind::Histogram if !is_part => {
                wrong.push(format!("{token} is a histogram: use its buckets, sum or count"));
            }
            Kind::Gauge if as_counter => wrong.push(format!("{token} is a gauge and has no rate")),
            Kind::Counter | Kind::Histogram if !as_counter => {
                wrong.push(format!("{token} only grows: use its rate"));
            }
            Kind::Counter | Kind::Histogram | Kind::Gauge => {}
        }
        let quantile = tokens[..place].iter().rposition(|token| token == "histogram_quantile");
        if quantile.is_some_and(|quantile| depth(&tokens[quantile..place]) > 0) && !token.ends_with("_bucket")
        {
            wrong.push(format!("{token} has no buckets to take a quantile of"));
        }
    }
    for (place, token) in tokens.iter().enumerate() {
        if ["by", "on", "without", "ignoring"].contains(&token.as_str())
            && tokens.get(place + 1).is_some_and(|next| next == "(")
        {
            let of =
                tokens[place + 2..].iter().take_while(|token| *token != ")").filter(|token| *token != ",");
            let unknown =
                of.filter(|label| !labels.contains(label.as_str()) && !THEIRS.contains(&label.as_str()));
            wrong.extend(unknown.map(|label| format!("no metric of it has the label {label}")));
        }
    }
    (names, wrong)
}

fn depth(tokens: &[String]) -> i32 {
    tokens.iter().map(|token| i32::from(token == "(") - i32::from(token == ")")).sum()
}

/// Every string of this key, however deep.
fn strings<'a>(value: &'a Value, key: &str, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(map) => {
            for (name, value) in map {
                match value {
                    Value::String(text) if name == key => found.push(text),
                    value => strings(value, key, found),
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| strings(value, key, found)),
        _ => {}
    }
}

#[test]
fn the_dashboard_shows_metrics_as_what_they_are() {
    let dashboard: Value = serde_json::from_str(&shipped("grafana/proxyd.json")).unwrap();
    let (mut exprs, mut queries) = (Vec::new(), Vec::new());
    strings(&dashboard, "expr", &mut exprs);
    strings(&dashboard, "definition", &mut queries);
    assert!(exprs.len() >= 30, "{exprs:?}");
    let mut shown = BTreeSet::new();
    for expr in exprs {
        let (names, wrong) = judged(expr);
        assert!(wrong.is_empty() && !names.is_empty(), "{expr}: {wrong:?}");
        shown.extend(names);
    }
    for query in queries {
        let inner = query.strip_prefix("label_values(").and_then(|rest| rest.strip_suffix(')')).unwrap();
        let (name, label) = inner.split_once(", ").unwrap();
        let known = metric(name).unwrap_or_else(|| panic!("{name}")).0;
        assert!(known.labels.contains(&label) || THEIRS.contains(&label), "{query}");
    }
    let unseen: Vec<_> =
        METRICS.iter().map(|metric| metric.name).filter(|name| !shown.contains(name)).collect();
    assert!(unseen.is_empty(), "these are on no panel: {unseen:?}");
    let panels = dashboard["panels"].as_array().unwrap();
    let ids: BTreeSet<_> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len());
}

#[test]
fn each_alert_is_about_metrics_that_there_are_and_says_what_to_do() {
    let documents = YamlLoader::load_from_str(&shipped("prometheus/alerts.yml")).unwrap();
    let groups = documents[0]["groups"].as_vec().unwrap();
    let rules: Vec<&Yaml> = groups.iter().flat_map(|group| group["rules"].as_vec().unwrap()).collect();
    let names: BTreeSet<_> = rules.iter().map(|rule| rule["alert"].as_str().unwrap()).collect();
    assert!(rules.len() == names.len() && rules.len() >= 12, "{names:?}");
    for rule in rules {
        let (name, expr) = (rule["alert"].as_str().unwrap(), rule["expr"].as_str().unwrap());
        let (used, wrong) = judged(expr);
        assert!(wrong.is_empty() && !used.is_empty(), "{name}: {wrong:?}");
        assert!(["warning", "critical"].contains(&rule["labels"]["severity"].as_str().unwrap()), "{name}");
        for text in ["summary", "description"] {
            assert!(rule["annotations"][text].as_str().is_some_and(|text| text.len() > 10), "{name}: {text}");
        }
        assert!(rule["for"].as_str().is_some(), "{name}");
    }
    let example = YamlLoader::load_from_str(&shipped("prometheus/prometheus.yml")).unwrap();
    assert_eq!(example[0]["rule_files"][0].as_str(), Some("alerts.yml"));
}

#[test]
fn a_metric_that_is_used_wrongly_is_found() {
    for (expr, wrong) in [
        ("proxyd_nothing > 0", "there is no metric proxyd_nothing"),
        ("rate(proxyd_accounts[5m])", "proxyd_accounts is a gauge and has no rate"),
        ("sum(proxyd_requests_total) > 0", "proxyd_requests_total only grows: use its rate"),
        ("proxyd_accounts{estate=\"x\"}", "proxyd_accounts has no label estate"),
        ("proxyd_accounts{state!~\"estate=\",kind=\"x\"}", "proxyd_accounts has no label kind"),
        ("sum by (model) (rate(proxyd_attempts_total[5m]))", "no metric of it has the label model"),
        ("histogram_quantile(0.9, rate(proxyd_request_duration_seconds_sum[5m]))", "has no buckets"),
        ("rate(proxyd_request_duration_seconds[5m])", "is a histogram"),
        ("rate(proxyd_requests_total_bucket[5m])", "there is no metric proxyd_requests_total_bucket"),
    ] {
        let (_, found) = judged(expr);
        assert!(found.len() == 1 && found[0].contains(wrong), "{expr}: {found:?}");
    }
    let right = "sum by (le) (rate(proxyd_time_to_first_byte_seconds_bucket{endpoint=~\"messages\"}[$__rate_interval])) > 0 and proxyd_streams_open";
    assert_eq!(judged(right).1, Vec::<String>::new());
}
