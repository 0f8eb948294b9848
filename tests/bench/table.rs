//! The one table of a run, no wider than 120 columns, and the same as JSON.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use crate::contender::Who;
use crate::row::{Check, Metric, Row};
use crate::stats::{median, spread};

/// The head of the table.
pub(crate) fn head() -> String {
    let mut line = format!("{:<20}", "");
    for who in Who::ALL {
        let _written = write!(line, "{:>12}", who.name());
    }
    let _written = write!(line, "{:>19}{:>9}{:>9}", "proxyd from..to", "x hyper", "x direct");
    line
}

/// A work with its figures and a line for each target.
pub(crate) fn row(row: &Row) -> String {
    let mut text = format!("\n{} ({})\n", row.title, row.name);
    for metric in row.figures.names() {
        figures(&mut text, row, metric);
    }
    for check in &row.checks {
        let _written = writeln!(text, "  {}", verdict(check));
    }
    if let Some(failure) = &row.failure {
        let _written = writeln!(text, "  FAILED: {failure}");
    }
    text
}

fn figures(text: &mut String, row: &Row, metric: Metric) {
    let mut line = format!("  {metric:<18}");
    for who in Who::ALL {
        let values = row.figures.of(who, metric);
        let figure = if values.is_empty() { String::new() } else { number(median(values)) };
        let _written = write!(line, "{figure:>12}");
    }
    let (from, to) = spread(row.figures.of(Who::Proxyd, metric));
    let range = format!("{}..{}", number(from), number(to));
    let ratio = |of| {
        let ratios = row.figures.ratios(metric, Who::Proxyd, of);
        if ratios.is_empty() { String::new() } else { format!("{:.2}", median(&ratios)) }
    };
    let _written = write!(line, "{range:>19}{:>9}{:>9}", ratio(Who::HyperFloor), ratio(Who::Direct));
    let _written = writeln!(text, "{}", line.trim_end());
}

fn verdict(check: &Check) -> String {
    let word = if check.is_met { "ok    " } else { "MISSES" };
    let of = check.floor.map_or_else(String::new, |floor| format!(" x {floor}"));
    let shown = |value: f64| if check.floor.is_some() { format!("{value:.2}") } else { number(value) };
    let (value, from, to) = (shown(check.value), shown(check.from), shown(check.to));
    format!("{word} {}: {value}{of} ({from}..{to}), wanted {} {}", check.metric, check.sign, check.wanted)
}

/// With as many digits as tell something.
pub(crate) fn number(value: f64) -> String {
    let digits = match value.abs() {
        large if large >= 100.0 => 0,
        middle if middle >= 10.0 => 1,
        _ => 2,
    };
    let plain = format!("{value:.digits$}");
    let (sign, plain) = plain.strip_prefix('-').map_or(("", plain.as_str()), |rest| ("-", rest));
    let (whole, rest) = plain.split_at(plain.find('.').unwrap_or(plain.len()));
    let mut grouped = String::from(sign);
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped + rest
}

pub(crate) fn document(rows: &[Row], run: &Value) -> Value {
    let works: Vec<Value> = rows.iter().map(work).collect();
    json!({"run": run, "works": works})
}

fn work(row: &Row) -> Value {
    let mut figures = Map::new();
    for metric in row.figures.names() {
        let mut by = Map::new();
        for who in Who::ALL {
            let values = row.figures.of(who, metric);
            if !values.is_empty() {
                let (from, to) = spread(values);
                let all = json!({"median": median(values), "from": from, "to": to, "values": values});
                by.insert(who.name().to_owned(), all);
            }
        }
        figures.insert((*metric).to_owned(), by.into());
    }
    json!({
        "name": row.name, "title": row.title, "figures": figures, "checks": row.checks,
        "is_met": row.is_met(), "failure": row.failure,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{document, head, number, row};
    use crate::contender::Who;
    use crate::row::{Figures, RATE, Row, Target};

    fn measured() -> Row {
        let mut figures = Figures::default();
        for (who, rate) in [
            (Who::Direct, 71_000.0),
            (Who::HyperFloor, 34_000.0),
            (Who::Nginx, 36_000.5),
            (Who::Proxyd, 25_500.0),
        ] {
            figures.add(who, RATE, rate);
        }
        let checks = Target::AtLeast(RATE, 0.9, Who::HyperFloor).check(&figures).into_iter().collect();
        Row { name: "small", title: "Small answers", figures, checks, failure: None }
    }

    #[test]
    fn numbers_have_digits_that_tell_something() {
        let cases = [
            (0.0, "0.00"),
            (1.234, "1.23"),
            (-12.34, "-12.3"),
            (999.6, "1,000"),
            (1_234_567.0, "1,234,567"),
            (-1234.0, "-1,234"),
        ];
        for (value, text) in cases {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn a_row_shows_medians_ratios_and_verdicts_within_120_columns() {
        let text = head() + &row(&measured());
        assert!(text.lines().all(|line| line.chars().count() <= 120), "{text}");
        assert!(text.contains("34,000") && text.contains("25,500..25,500"), "{text}");
        assert!(text.contains("MISSES requests/s: 0.75 x hyper floor (0.75..0.75), wanted >= 0.9"), "{text}");
    }

    #[test]
    fn the_json_holds_every_value() {
        let all = document(&[measured()], &json!({"repetitions": 1}));
        assert_eq!(all.pointer("/works/0/figures/requests~1s/nginx/values/0"), Some(&json!(36_000.5)));
        assert_eq!(all.pointer("/works/0/is_met"), Some(&json!(false)));
        assert_eq!(all.pointer("/works/0/checks/0/is_met"), Some(&json!(false)));
    }
}
