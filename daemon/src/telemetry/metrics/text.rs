//! Metrics as text: Prometheus' own format (0.0.4), and OpenMetrics 1.0 for whoever asks for it. Both tell the same.

use std::fmt::{Display, Write as _};

use super::numbers::Observed;
use super::table::{Kind, Metric};

/// How metrics are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    Prometheus,
    OpenMetrics,
}

impl Format {
    /// What a request's `Accept` asks for.
    pub fn accepted(accept: &str) -> Self {
        if accept.contains("application/openmetrics-text") { Self::OpenMetrics } else { Self::Prometheus }
    }

    pub fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// What is written so far.
#[derive(Debug)]
pub(super) struct Text {
    out: String,
    format: Format,
}

impl Text {
    pub(super) fn new(format: Format) -> Self {
        Self { out: String::with_capacity(16 * 1024), format }
    }

    pub(super) fn finish(mut self) -> String {
        if self.format == Format::OpenMetrics {
            self.out.push_str("# EOF\n");
        }
        self.out
    }

    /// A metric without labels.
    pub(super) fn one(&mut self, metric: &Metric, number: impl Display) {
        self.all(metric, [([], number)]);
    }

    /// A metric with each of its numbers, by the values of its labels.
    pub(super) fn all<const N: usize, D: Display>(
        &mut self,
        metric: &Metric,
        numbers: impl IntoIterator<Item = ([&'static str; N], D)>,
    ) {
        self.named(metric, numbers.into_iter().map(|(values, number)| (values.map(str::to_owned), number)));
    }

    /// As [`Text::all`], where values are not known beforehand.
    pub(super) fn named<const N: usize, D: Display>(
        &mut self,
        metric: &Metric,
        numbers: impl IntoIterator<Item = ([String; N], D)>,
    ) {
        self.head(metric);
        for (values, number) in numbers {
            let values: Vec<_> = values.iter().map(String::as_str).collect();
            self.sample(metric, "", &values, None, number);
        }
    }

    /// A metric with each of its histograms.
    pub(super) fn histograms<const N: usize>(
        &mut self,
        metric: &Metric,
        histograms: impl IntoIterator<Item = ([&'static str; N], Observed)>,
    ) {
        self.head(metric);
        for (values, Observed { below, count, sum }) in histograms {
            for (bound, number) in below {
                // With a point in it, as OpenMetrics wants it.
                self.sample(metric, "_bucket", &values, Some(&format!("{bound:?}")), number);
            }
            self.sample(metric, "_bucket", &values, Some("+Inf"), count);
            self.sample(metric, "_sum", &values, None, sum);
            self.sample(metric, "_count", &values, None, count);
        }
    }

    fn head(&mut self, metric: &Metric) {
        let family = match (self.format, metric.kind) {
            (Format::OpenMetrics, Kind::Counter) => metric.name.strip_suffix("_total").unwrap_or(metric.name),
            _ => metric.name,
        };
        // Writing to a string cannot fail.
        let _written = write!(self.out, "# HELP {family} ");
        escape(metric.help, &mut self.out, self.format == Format::OpenMetrics);
        let _written = write!(self.out, "\n# TYPE {family} {}\n", metric.kind.name());
        if let (Format::OpenMetrics, Some(unit)) = (self.format, metric.unit) {
            let _written = writeln!(self.out, "# UNIT {family} {unit}");
        }
    }

    fn sample(
        &mut self,
        metric: &Metric,
        suffix: &str,
        values: &[&str],
        below: Option<&str>,
        number: impl Display,
    ) {
        self.out.push_str(metric.name);
        self.out.push_str(suffix);
        let labels = metric.labels.iter().copied().zip(values.iter().copied());
        let mut separator = '{';
        for (label, value) in labels.chain(below.map(|below| ("le", below))) {
            self.out.push(separator);
            self.out.push_str(label);
            self.out.push_str("=\"");
            escape(value, &mut self.out, true);
            self.out.push('"');
            separator = ',';
        }
        if separator == ',' {
            self.out.push('}');
        }
        let _written = writeln!(self.out, " {number}");
    }
}

fn escape(text: &str, out: &mut String, quotes: bool) {
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '"' if quotes => out.push_str("\\\""),
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COUNTER: Metric = Metric {
        name: "proxyd_a_total",
        kind: Kind::Counter,
        unit: None,
        help: "A \"word\".",
        labels: &["x"],
    };
    const TIMES: Metric = Metric {
        name: "proxyd_b_seconds",
        kind: Kind::Histogram,
        unit: Some("seconds"),
        help: "B.",
        labels: &["y"],
    };

    fn written(format: Format) -> String {
        let mut text = Text::new(format);
        text.named(&COUNTER, [(["a\"b\\c\nd".to_owned()], 3)]);
        let observed = Observed { below: vec![(0.5, 1), (1.0, 1)], count: 2, sum: 2.25 };
        text.histograms(&TIMES, [(["z"], observed)]);
        text.finish()
    }

    #[test]
    fn both_formats_tell_the_same_in_their_own_words() {
        let buckets = "proxyd_b_seconds_bucket{y=\"z\",le=\"0.5\"} 1\nproxyd_b_seconds_bucket{y=\"z\",le=\"1.0\"} 1\n\
                       proxyd_b_seconds_bucket{y=\"z\",le=\"+Inf\"} 2\nproxyd_b_seconds_sum{y=\"z\"} 2.25\n\
                       proxyd_b_seconds_count{y=\"z\"} 2\n";
        let sample = "proxyd_a_total{x=\"a\\\"b\\\\c\\nd\"} 3\n";
        assert_eq!(
            written(Format::Prometheus),
            format!(
                "# HELP proxyd_a_total A \"word\".\n# TYPE proxyd_a_total counter\n{sample}\
                 # HELP proxyd_b_seconds B.\n# TYPE proxyd_b_seconds histogram\n{buckets}"
            )
        );
        assert_eq!(
            written(Format::OpenMetrics),
            format!(
                "# HELP proxyd_a A \\\"word\\\".\n# TYPE proxyd_a counter\n{sample}\
                 # HELP proxyd_b_seconds B.\n# TYPE proxyd_b_seconds histogram\n# UNIT proxyd_b_seconds seconds\n{buckets}# EOF\n"
            )
        );
    }

    #[test]
    fn openmetrics_is_for_whoever_asks_for_it() {
        let asked = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.3";
        assert_eq!(
            [asked, "*/*", ""].map(Format::accepted),
            [Format::OpenMetrics, Format::Prometheus, Format::Prometheus]
        );
    }
}
