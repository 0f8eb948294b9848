//! Words for people: times relative to now, durations, and foreign text made safe for a terminal.

use std::borrow::Cow;
use std::time::Duration;

use jiff::Timestamp;

/// Foreign text with each control character replaced, so that no name or message can steer the terminal.
pub(crate) fn clean(text: &str) -> Cow<'_, str> {
    if text.contains(char::is_control) {
        Cow::Owned(
            text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect(),
        )
    } else {
        Cow::Borrowed(text)
    }
}

/// The time from `now` to `then`, as in "in 3h 12m" or "2d 4h ago".
pub(crate) fn relative(then: Timestamp, now: Timestamp) -> String {
    let seconds = then.as_second().saturating_sub(now.as_second());
    let words = duration(Duration::from_secs(seconds.unsigned_abs()));
    match seconds {
        0 => "now".to_owned(),
        1.. => format!("in {words}"),
        _ => format!("{words} ago"),
    }
}

/// A duration by its two largest units, as in "3h 12m"; whole seconds at the least.
pub(crate) fn duration(length: Duration) -> String {
    let seconds = length.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    let (large, small) = if days > 0 {
        ((days, 'd'), (hours % 24, 'h'))
    } else if hours > 0 {
        ((hours, 'h'), (minutes % 60, 'm'))
    } else {
        ((minutes, 'm'), (seconds % 60, 's'))
    };
    match (large, small) {
        ((0, _), (count, unit)) | ((count, unit), (0, _)) => format!("{count}{unit}"),
        ((count, unit), (rest, part)) => format!("{count}{unit} {rest}{part}"),
    }
}

/// `None` for a text that says nothing.
pub(crate) fn not_empty(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

/// `a`, `a and b`, `a, b and c`.
pub(crate) fn listed(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// `1 account`, `2 accounts`.
pub(crate) fn count(number: u32, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_show_their_two_largest_units() {
        for (seconds, words) in [
            (0, "0s"),
            (59, "59s"),
            (60, "1m"),
            (61, "1m 1s"),
            (3600, "1h"),
            (3659, "1h"),
            (11_550, "3h 12m"),
            (86_400, "1d"),
            (90_000, "1d 1h"),
            (31_536_000, "365d"),
        ] {
            assert_eq!(duration(Duration::from_secs(seconds)), words, "{seconds}");
        }
    }

    #[test]
    fn times_are_told_from_now_in_both_directions() {
        let now = Timestamp::UNIX_EPOCH;
        for (second, words) in [(0, "now"), (45, "in 45s"), (-7260, "2h 1m ago")] {
            assert_eq!(relative(Timestamp::from_second(second).unwrap(), now), words);
        }
    }

    #[test]
    fn words_are_listed_as_a_person_lists_them() {
        for (words, list) in
            [(&[][..], ""), (&["a"], "a"), (&["a", "b"], "a and b"), (&["a", "b", "c"], "a, b and c")]
        {
            assert_eq!(listed(words), list);
        }
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert_eq!(clean("plain ünï"), "plain ünï");
        assert_eq!(clean("a\u{1b}[2Jb\nc\u{9b}"), "a\u{fffd}[2Jb\u{fffd}c\u{fffd}");
    }
}
