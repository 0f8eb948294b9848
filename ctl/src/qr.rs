//! Draws a URL as a QR code that the camera of a phone reads from the terminal. Pure.

use anstyle::AnsiColor;
use qrcode::render::unicode::Dense1x2;
use qrcode::{EcLevel, QrCode};

/// A drawing and the columns it takes.
#[derive(Debug)]
pub(crate) struct Drawing {
    pub(crate) columns: usize,
    pub(crate) lines: String,
}

/// `None` for a text that is too long for any code.
pub(crate) fn draw(text: &str) -> Option<Drawing> {
    // A screen does not get dirty: the least correction gives the smallest code.
    let code = QrCode::with_error_correction_level(text, EcLevel::L).ok()?;
    // The light modules are drawn, in white on black: a terminal is dark or is made so here.
    let picture = code.render::<Dense1x2>().dark_color(Dense1x2::Light).light_color(Dense1x2::Dark).build();
    let style = AnsiColor::BrightWhite.on(AnsiColor::Black);
    let columns = picture.lines().map(|line| line.chars().count()).max()?;
    let mut lines = String::new();
    for line in picture.lines() {
        lines.extend([&format!("{style}{line}{style:#}"), "\n"]);
    }
    Some(Drawing { columns, lines })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The modules of a drawing, read back from its half blocks: whether each is dark.
    fn read(drawing: &Drawing) -> Vec<Vec<bool>> {
        let mut rows = Vec::new();
        for line in anstream::adapter::strip_str(&drawing.lines).to_string().lines() {
            let light = |blocks: [char; 2]| line.chars().map(|c| !blocks.contains(&c)).collect();
            rows.push(light(['\u{2588}', '\u{2580}']));
            rows.push(light(['\u{2588}', '\u{2584}']));
        }
        rows
    }

    #[test]
    fn the_drawing_is_the_code_with_a_quiet_zone_around_it() {
        let url = "https://issuer.example/authorize?code=true&state=FAKE";
        let drawing = draw(url).unwrap();
        let rows = read(&drawing);
        let code = QrCode::with_error_correction_level(url, EcLevel::L).unwrap();
        let (width, zone) = (code.width(), 4);
        assert_eq!(drawing.columns, width + 2 * zone);
        assert!(rows[..zone].iter().flatten().all(|dark| !dark), "the quiet zone is light");
        let drawn: Vec<bool> =
            rows[zone..zone + width].iter().flat_map(|row| row[zone..zone + width].to_vec()).collect();
        let encoded: Vec<bool> =
            code.to_colors().into_iter().map(|color| color == qrcode::Color::Dark).collect();
        assert_eq!(drawn, encoded);
    }

    #[test]
    fn a_text_that_is_too_long_is_not_drawn() {
        assert!(draw(&"x".repeat(4000)).is_none());
    }
}
