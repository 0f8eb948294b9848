//! How much an account may still send. Pure: it is told the time.
//!
//! Every answer says how much of each quota window is used and when the window begins anew. There are two kinds: the
//! *windows* of a plan (5 hours, 7 days), of which a share is used until they begin anew, and the *buckets* of an API key
//! (requests and tokens a minute), which fill again all the time.
//!
//! What is left is measured by its **pace**: the share that is left over the share of the window's time that is left.
//! 1 means that steady use from now on ends with the window; above it quota is left over, below it will run out. So a
//! window that ends soon with much left is used before one that has days to go. An account's pace is that of its
//! *binding* window, the one with the least. A bucket has no end to plan for: its pace is what is in it.

use serde::{Deserialize, Serialize};

use super::asked::LONGEST_MODEL;
use crate::clock::{SignedDuration, Timestamp};

/// What an answer says about one window.
#[derive(Clone, PartialEq, Debug)]
pub struct Reading {
    /// As upstream calls it: `5h`, `7d`, `7d_opus`; `tokens`, `requests`.
    pub name: String,
    pub kind: WindowKind,
    /// The used share, 0 to 1; more where upstream lets more be used than there is.
    pub used: f64,
    pub resets_at: Option<Timestamp>,
}

/// What becomes of a window with time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WindowKind {
    /// Begins anew at its reset.
    Plan,
    /// Fills all the time, and is full at its reset. Of one model.
    Bucket,
}

/// One window as it was last seen.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Window {
    pub name: String,
    pub kind: WindowKind,
    /// The model that a bucket was told for.
    pub model: Option<String>,
    /// The used share when it was seen.
    pub used: f64,
    pub resets_at: Option<Timestamp>,
    pub seen_at: Timestamp,
}

/// The windows of an account.
#[derive(Clone, Default, PartialEq, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Quota {
    windows: Vec<Window>,
}

/// What binds an account for one model.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Binding<'a> {
    pub window: &'a Window,
    /// The share that is left, 0 to 1.
    pub left: f64,
    pub pace: f64,
}

/// Windows that are remembered at once: buckets come for each model.
const MOST_WINDOWS: usize = 48;
/// Shares come as decimals.
const ROUNDING: f64 = 1e-9;
/// No pace is taken for more: what is left over is left over.
const HIGHEST_PACE: f64 = 16.0;

impl Quota {
    /// Takes over what an answer to a request for `model` says.
    pub fn observe<'a>(
        &mut self,
        readings: impl IntoIterator<Item = &'a Reading>,
        model: &str,
        now: Timestamp,
    ) {
        for reading in readings {
            let Reading { name, kind, used, resets_at } = reading;
            if *kind == WindowKind::Bucket && model.len() > LONGEST_MODEL {
                continue;
            }
            let model = (*kind == WindowKind::Bucket).then_some(model);
            let used = if used.is_finite() { used.max(0.0) } else { 0.0 };
            let (kind, resets_at, seen_at) = (*kind, *resets_at, now);
            if let Some(known) = self.windows.iter_mut().find(|known| known.is_called(name, model)) {
                (known.kind, known.used, known.resets_at, known.seen_at) = (kind, used, resets_at, seen_at);
            } else {
                let (name, model) = (name.clone(), model.map(str::to_owned));
                self.add(Window { name, kind, model, used, resets_at, seen_at });
            }
        }
    }

    /// Takes the buckets out.
    pub(super) fn take_buckets(&mut self) -> Self {
        let is_bucket = |window: &mut Window| window.kind == WindowKind::Bucket;
        Self { windows: self.windows.extract_if(.., is_bucket).collect() }
    }

    /// Takes over what another one knows; of one window what was seen last.
    pub(super) fn join(&mut self, other: &Self) {
        for window in &other.windows {
            let model = window.model.as_deref();
            match self.windows.iter_mut().find(|known| known.is_called(&window.name, model)) {
                Some(known) if known.seen_at < window.seen_at => *known = window.clone(),
                Some(_) => {}
                None => self.add(window.clone()),
            }
        }
    }

    /// The plan's windows that these readings show to be used up to `warn_at`, and that were not before, in words.
    pub fn running_low(
        &self,
        readings: &[Reading],
        model: &str,
        warn_at: f64,
        now: Timestamp,
    ) -> Vec<String> {
        let is_low = |used: f64| used >= warn_at;
        let was_low = |reading: &Reading| {
            let known = self.windows.iter().find(|window| {
                window.name == reading.name && window.model.as_deref().is_none_or(|of| of == model)
            });
            known.is_some_and(|window| is_low(1.0 - window.left(now)))
        };
        let plan = readings.iter().filter(|reading| reading.kind == WindowKind::Plan);
        let low = plan.filter(|reading| is_low(reading.used) && !was_low(reading));
        low.map(|Reading { name, used, resets_at, .. }| {
            let end = resets_at.map(|end| format!(", begins anew at {end:.0}")).unwrap_or_default();
            format!("{:.0} % of its {name} window is used{end}", used * 100.0)
        })
        .collect()
    }

    fn add(&mut self, window: Window) {
        if self.windows.len() >= MOST_WINDOWS {
            let oldest = self.windows.iter().enumerate().min_by_key(|(_, window)| window.seen_at);
            if let Some(index) = oldest.map(|(index, _)| index) {
                self.windows.swap_remove(index);
            }
        }
        self.windows.push(window);
    }

    /// In the order in which they were first seen.
    pub fn windows(&self) -> &[Window] {
        &self.windows
    }

    /// The window with the least pace of those that count for `model`.
    pub fn binding(&self, model: &str, now: Timestamp) -> Option<Binding<'_>> {
        let of_it = self.windows.iter().filter(|window| window.counts_for(model));
        let bindings = of_it.map(|window| Binding { window, left: window.left(now), pace: window.pace(now) });
        bindings.min_by(|a, b| a.pace.total_cmp(&b.pace))
    }

    /// Until when a share that a person keeps for something else must not be touched, if no more than that is left.
    /// Buckets hold nothing that could be kept.
    pub fn reserved_until(&self, model: &str, reserve: f64, now: Timestamp) -> Option<(Timestamp, &Window)> {
        if reserve <= 0.0 {
            return None;
        }
        let plan = self.windows.iter().filter(|w| w.kind == WindowKind::Plan && w.counts_for(model));
        let kept = plan.filter(|window| window.left(now) <= reserve + ROUNDING);
        let ends = kept.filter_map(|window| Some((window.resets_at.filter(|end| *end > now)?, window)));
        ends.max_by_key(|(end, _)| *end)
    }
}

impl Window {
    /// The share that is left: all of it once the window began anew. A bucket is taken to fill steadily.
    pub fn left(&self, now: Timestamp) -> f64 {
        let left = (1.0 - self.used).clamp(0.0, 1.0);
        let Some(end) = self.resets_at else { return left };
        if end <= now {
            return 1.0;
        }
        match self.kind {
            WindowKind::Plan => left,
            WindowKind::Bucket => {
                let (whole, passed) = (end.duration_since(self.seen_at), now.duration_since(self.seen_at));
                let filled = share(passed, whole).clamp(0.0, 1.0);
                left + (1.0 - left) * filled
            }
        }
    }

    /// See the module.
    pub fn pace(&self, now: Timestamp) -> f64 {
        let left = self.left(now);
        let Some(end) = self.resets_at.filter(|end| *end > now && self.kind == WindowKind::Plan) else {
            return left;
        };
        let to_go = end.duration_since(now);
        let length = length(&self.name).unwrap_or(to_go).max(to_go);
        // Close to its end any window would be preferred to all others for next to nothing.
        (left / share(to_go, length).max(0.02)).min(HIGHEST_PACE)
    }

    fn is_called(&self, name: &str, model: Option<&str>) -> bool {
        self.name == name && self.model.as_deref() == model
    }

    /// A bucket counts for its model, `7d_opus` for models with `opus` in their names, `7d` for all.
    fn counts_for(&self, model: &str) -> bool {
        match (&self.model, family(&self.name)) {
            (Some(of), _) => of == model,
            (None, Some(family)) => model.to_ascii_lowercase().contains(&family.to_ascii_lowercase()),
            // One of an unknown length may be of anything.
            (None, None) => length(&self.name).is_some(),
        }
    }
}

/// How long a window is that is called `5h`, `7d` or `7d_opus`.
fn length(name: &str) -> Option<SignedDuration> {
    let digits = name.bytes().take_while(u8::is_ascii_digit).count();
    let (number, rest) = name.split_at_checked(digits)?;
    let number: i64 = number.parse().ok()?;
    let hours = match rest.chars().next()? {
        'h' => number,
        'd' => number.checked_mul(24)?,
        _ => return None,
    };
    (1..=24 * 366).contains(&hours).then(|| SignedDuration::from_hours(hours))
}

/// The models that a window is of, where its name says it.
pub(crate) fn family(name: &str) -> Option<&str> {
    length(name)?;
    let (_, family) = name.split_once(['_', '-'])?;
    (!family.is_empty()).then_some(family)
}

fn share(part: SignedDuration, whole: SignedDuration) -> f64 {
    let whole = whole.as_secs_f64();
    if whole > 0.0 { part.as_secs_f64() / whole } else { 1.0 }
}

#[cfg(test)]
#[path = "quota_tests.rs"]
mod tests;
