//! Curves as one picture: panels side by side, each with its axes, its points and the names of its lines.

use std::fmt::Write as _;

use crate::table::number;

/// A line through points, from left to right.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) name: &'static str,
    pub(crate) points: Vec<(f64, f64)>,
}

/// One diagram. Its x axis is logarithmic.
#[derive(Clone, Debug)]
pub(crate) struct Panel {
    pub(crate) title: &'static str,
    pub(crate) x: &'static str,
    pub(crate) y: &'static str,
    /// Whether y is logarithmic, too; otherwise it begins at 0.
    pub(crate) is_log: bool,
    pub(crate) lines: Vec<Line>,
}

const WIDTH: f64 = 400.0;
const HEIGHT: f64 = 320.0;
/// Around the axes: left, top, right, bottom.
const LEFT: f64 = 62.0;
const TOP: f64 = 44.0;
const RIGHT: f64 = 22.0;
const BOTTOM: f64 = 52.0;
const COLOURS: [&str; 3] = ["#1f5fa8", "#b5471b", "#6b6b6b"];

/// What an axis spans, and where on it a value lies between 0 and 1.
#[derive(Clone, Copy, Debug)]
struct Axis {
    from: f64,
    to: f64,
    is_log: bool,
}

impl Axis {
    fn log(values: &[f64]) -> Self {
        let least = values.iter().copied().fold(f64::INFINITY, f64::min).max(1e-9);
        let most = values.iter().copied().fold(least, f64::max);
        let (from, to) = (10_f64.powf(least.log10().floor()), 10_f64.powf(most.log10().ceil()));
        Self { from, to: if to > from { to } else { from * 10.0 }, is_log: true }
    }

    fn linear(values: &[f64]) -> Self {
        let most = values.iter().copied().fold(0.0, f64::max).max(1e-9) * 1.25;
        let unit = 10_f64.powf(most.log10().floor());
        Self { from: 0.0, to: (most / unit).ceil() * unit, is_log: false }
    }

    fn at(self, value: f64) -> f64 {
        if self.is_log {
            (value.max(self.from) / self.from).log10() / (self.to / self.from).log10()
        } else {
            value / self.to
        }
    }

    /// Values that are written at the axis.
    fn ticks(self) -> Vec<f64> {
        if self.is_log {
            let mut ticks = vec![self.from];
            while let Some(last) = ticks.last().copied()
                && last * 9.0 < self.to
            {
                ticks.push(last * 10.0);
            }
            ticks
        } else {
            (0..=4).map(|quarter| self.to * f64::from(quarter) / 4.0).collect()
        }
    }
}

/// A picture with a light background, since it is also seen on dark pages.
pub(crate) fn svg(panels: &[Panel]) -> String {
    let width = panels.iter().map(|_| WIDTH).sum::<f64>();
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"11\">\n<rect width=\"{width}\" height=\"{HEIGHT}\" fill=\"#ffffff\"/>\n"
    );
    let mut left = 0.0;
    for panel in panels {
        let _written = writeln!(text, "<g transform=\"translate({left},0)\">");
        draw(&mut text, panel);
        text.push_str("</g>\n");
        left += WIDTH;
    }
    text.push_str("</svg>\n");
    text
}

fn draw(text: &mut String, panel: &Panel) {
    let all = || panel.lines.iter().flat_map(|line| &line.points);
    let xs: Vec<f64> = all().map(|(x, _)| *x).collect();
    let ys: Vec<f64> = all().map(|(_, y)| *y).collect();
    let (x, y) = (Axis::log(&xs), if panel.is_log { Axis::log(&ys) } else { Axis::linear(&ys) });
    let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
    let across = |value| LEFT + x.at(value) * (right - LEFT);
    let up = |value| bottom - y.at(value) * (bottom - TOP);
    let mut put = |line: String| {
        let _written = writeln!(text, "{line}");
    };
    put(format!(
        "<text x=\"{LEFT}\" y=\"20\" font-size=\"13\" font-weight=\"bold\" fill=\"#222222\">{}</text>",
        panel.title
    ));
    for tick in y.ticks() {
        let at = up(tick);
        put(format!("<path d=\"M{LEFT} {at:.1}H{right}\" stroke=\"#e2e2e2\"/>"));
        put(format!(
            "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\" fill=\"#444444\">{}</text>",
            LEFT - 6.0,
            at + 4.0,
            short(tick)
        ));
    }
    for tick in x.ticks() {
        let at = across(tick);
        put(format!("<path d=\"M{at:.1} {bottom}v4\" stroke=\"#444444\"/>"));
        put(format!(
            "<text x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\" fill=\"#444444\">{}</text>",
            bottom + 17.0,
            short(tick)
        ));
    }
    put(format!("<path d=\"M{LEFT} {TOP}V{bottom}H{right}\" fill=\"none\" stroke=\"#444444\"/>"));
    put(format!(
        "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\" fill=\"#222222\">{}</text>",
        f64::midpoint(LEFT, right),
        bottom + 38.0,
        panel.x
    ));
    let middle = f64::midpoint(TOP, bottom);
    put(format!(
        "<text transform=\"translate(14,{middle:.1}) rotate(-90)\" text-anchor=\"middle\" fill=\"#222222\">{}</text>",
        panel.y
    ));
    let mut named = LEFT + 8.0;
    for (line, colour) in panel.lines.iter().zip(COLOURS.iter().cycle()) {
        let path: Vec<String> =
            line.points.iter().map(|(x, y)| format!("{:.1},{:.1}", across(*x), up(*y))).collect();
        put(format!(
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
            path.join(" ")
        ));
        for (x, y) in &line.points {
            put(format!("<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\" fill=\"{colour}\"/>", across(*x), up(*y)));
        }
        put(format!("<rect x=\"{named}\" y=\"30\" width=\"10\" height=\"3\" fill=\"{colour}\"/>"));
        put(format!("<text x=\"{}\" y=\"35\" fill=\"{colour}\">{}</text>", named + 14.0, line.name));
        named += 100.0;
    }
}

/// 1,000 and 1,000,000 take less room as 1k and 1M.
fn short(value: f64) -> String {
    match value {
        large if large >= 1e6 => format!("{}M", trimmed(large / 1e6)),
        middle if middle >= 1e3 => format!("{}k", trimmed(middle / 1e3)),
        small => trimmed(small),
    }
}

fn trimmed(value: f64) -> String {
    let text = number(value);
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// The same as text: a line for each line of a panel.
pub(crate) fn table(panel: &Panel) -> String {
    let mut text = format!("\n{}: {} by {}\n", panel.title, panel.y, panel.x);
    for line in &panel.lines {
        let _written = write!(text, "  {:<12}", line.name);
        for (x, y) in &line.points {
            let _written = write!(text, "{:>17}", format!("{} at {}", number(*y), short(*x)));
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Axis, Line, Panel, short, svg, table};

    fn panel() -> Panel {
        let points = vec![(1.0, 20.0), (100.0, 21.0), (10_000.0, 22.5)];
        let lines = vec![Line { name: "proxyd", points }];
        Panel { title: "Accounts", x: "accounts", y: "CPU us", is_log: false, lines }
    }

    #[test]
    fn an_axis_holds_all_values_and_has_ticks_from_end_to_end() {
        let axis = Axis::log(&[3.0, 4_000.0]);
        assert!((axis.at(1.0)).abs() < 1e-9 && (axis.at(10_000.0) - 1.0).abs() < 1e-9);
        assert_eq!(
            axis.ticks().iter().map(|tick| short(*tick)).collect::<Vec<_>>(),
            ["1", "10", "100", "1k", "10k"]
        );
        let axis = Axis::linear(&[22.5]);
        assert!(axis.at(22.5) < 1.0 && axis.at(0.0).abs() < 1e-9);
        assert_eq!(axis.ticks().len(), 5);
        let axis = Axis::log(&[10.0]);
        assert!(axis.to > axis.from);
    }

    #[test]
    fn a_picture_has_titles_axes_and_every_point_inside() {
        let picture = svg(&[panel(), panel()]);
        assert!(picture.starts_with("<svg") && picture.ends_with("</svg>\n"));
        assert_eq!(picture.matches("<circle").count(), 6);
        assert_eq!(picture.matches(">Accounts</text>").count(), 2);
        for part in picture.split("cy=\"").skip(1) {
            let at: f64 = part.split('"').next().unwrap().parse().unwrap();
            assert!((super::TOP..=super::HEIGHT - super::BOTTOM).contains(&at), "{at}");
        }
    }

    #[test]
    fn the_table_tells_each_point() {
        assert!(table(&panel()).contains("22.5 at 10k"));
    }
}
