//! What is used of a plan as people read it: bars, and the one number that matters in a list. Pure.

use std::borrow::Cow;

use anstyle::{AnsiColor, Style};
use jiff::Timestamp;
use std::fmt::Write as _;

use crate::json::{Usage, UsageWindow};
use crate::text;

/// Cells of a bar.
const WIDTH: u32 = 20;

/// The windows as bars, one a line; or why there are none.
pub(super) fn bars(usage: &Usage, now: Timestamp) -> String {
    let mut text = String::new();
    if let Some(refusal) = &usage.refusal {
        let _infallible = writeln!(text, "  not told: {}", text::clean(refusal));
        return text;
    }
    let names: Vec<_> = usage.windows.iter().map(|window| name(&window.name)).collect();
    let width = names.iter().map(|name| name.chars().count()).max().unwrap_or_default();
    for (window, name) in usage.windows.iter().zip(&names) {
        let style = style(window.used_percent);
        let bar = bar(window.used_percent, WIDTH);
        let reset = window.resets_at.map(|at| format!("  resets {}", text::relative(at, now)));
        let _infallible = writeln!(
            text,
            "  {name:<width$}  [{style}{bar}{style:#}] {:>4} %{}",
            percent(window),
            reset.unwrap_or_default()
        );
    }
    if let Some(asked) = usage.asked_at {
        let _infallible = writeln!(text, "  as of {}", text::relative(asked, now));
    }
    text
}

/// The fullest window, as in "35 % of 5 hours".
pub(super) fn fullest(usage: Option<&Usage>) -> Option<String> {
    let windows = &usage?.windows;
    let fullest = windows.iter().max_by(|a, b| a.used_percent.total_cmp(&b.used_percent))?;
    Some(format!("{} % of {}", percent(fullest), name(&fullest.name)))
}

/// A window by either of its names: that of the usage report, and that of the headers.
pub(super) fn name(window: &str) -> Cow<'_, str> {
    let known = match window {
        "five_hour" | "5h" => "5 hours",
        "seven_day" | "7d" => "7 days",
        "seven_day_opus" | "7d_opus" => "7 days, Opus",
        "seven_day_sonnet" | "7d_sonnet" => "7 days, Sonnet",
        other => return Cow::Owned(text::clean(other).replace(['_', '-'], " ")),
    };
    Cow::Borrowed(known)
}

fn percent(window: &UsageWindow) -> String {
    format!("{:.0}", window.used_percent)
}

/// So many cells, as much of them filled as is used.
pub(super) fn bar(percent: f64, cells: u32) -> String {
    let filled = (percent / 100.0 * f64::from(cells)).round();
    (0..cells).map(|cell| if f64::from(cell) < filled { '#' } else { '-' }).collect()
}

pub(super) fn style(used_percent: f64) -> Style {
    match used_percent {
        used if used >= 90.0 => AnsiColor::Red.on_default(),
        used if used >= 70.0 => AnsiColor::Yellow.on_default(),
        _ => AnsiColor::Green.on_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(name: &str, used_percent: f64, resets: Option<i64>) -> UsageWindow {
        let resets_at = resets.map(|second| Timestamp::from_second(second).unwrap());
        UsageWindow { name: name.to_owned(), used_percent, resets_at }
    }

    #[test]
    fn each_window_is_a_bar_with_its_reset() {
        let usage = Usage {
            windows: vec![
                window("five_hour", 35.4, Some(11_550)),
                window("seven_day_opus", 100.0, None),
                window("x", 0.0, None),
            ],
            asked_at: Timestamp::from_second(-60).ok(),
            refusal: None,
        };
        let plain = anstream::adapter::strip_str(&bars(&usage, Timestamp::UNIX_EPOCH)).to_string();
        let expected = "  5 hours       [#######-------------]   35 %  resets in 3h 12m\n  \
                        7 days, Opus  [####################]  100 %\n  \
                        x             [--------------------]    0 %\n  as of 1m ago\n";
        assert_eq!(plain, expected);
        assert_eq!(fullest(Some(&usage)).as_deref(), Some("100 % of 7 days, Opus"));
    }

    #[test]
    fn a_refusal_says_so() {
        let usage = Usage { windows: vec![], asked_at: None, refusal: Some("403\u{1b}".to_owned()) };
        assert_eq!(bars(&usage, Timestamp::UNIX_EPOCH), "  not told: 403\u{fffd}\n");
        assert_eq!(fullest(Some(&usage)), None);
    }
}
