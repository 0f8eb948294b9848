//! Manual pages: of the commands, section 1 or 8 a program, and of the configuration file, section 5.

use std::path::Path;

use clap::Command;
use clap_mangen::roff::{Roff, bold, roman};
use proxyd::config::{KEYS, Kind};

use super::Files;

/// How our help texts head what a manual has a section for.
const SECTIONS: &[(&str, &str)] = &[
    ("Examples:", "EXAMPLES"),
    ("Example:", "EXAMPLES"),
    ("Exit codes:", "EXIT STATUS"),
    ("Exit status:", "EXIT STATUS"),
];

/// The pages a reader may want next.
const MAIN_PAGES: &[(&str, &str)] = &[("proxyctl", "1"), ("proxyd.toml", "5"), ("proxyd", "8")];

/// A page of the command and of each below it.
pub(super) fn of_command(command: &Command, section: &str, files: &mut Files) {
    let mut command = command.clone();
    command.build();
    pages(&command, section, files);
}

fn pages(command: &Command, section: &str, files: &mut Files) {
    let name = command.get_display_name().unwrap_or_else(|| command.get_name());
    // What stands around the options becomes sections of its own below.
    let bare = command.clone().before_help(None::<&str>).after_help(None::<&str>);
    let mut page = Vec::new();
    let man = clap_mangen::Man::new(bare).section(section).manual("proxyd").source(source());
    man.render(&mut page).unwrap();
    for text in [command.get_after_help(), command.get_before_help()].into_iter().flatten() {
        page.extend(extra(&text.to_string()).to_roff().into_bytes());
    }
    let mut last = Roff::new();
    see_also(name, &mut last);
    page.extend(last.to_roff().into_bytes());
    files.insert(Path::new("man").join(format!("{name}.{section}")), page);
    for subcommand in command.get_subcommands() {
        pages(subcommand, section, files);
    }
}

/// Each paragraph that starts with a known heading is a section, laid out as it is written; other text is
/// notes.
fn extra(text: &str) -> Roff {
    let mut roff = Roff::new();
    for paragraph in text.split("\n\n") {
        let headed =
            SECTIONS.iter().find_map(|(heading, title)| Some((paragraph.strip_prefix(heading)?, title)));
        match headed {
            Some((lines, title)) => {
                roff.control("SH", [*title]).control("nf", []);
                let lines = lines.strip_prefix(['\n', ' ']).unwrap_or(lines);
                roff.text([roman(lines)]).control("fi", []);
            }
            None => {
                roff.control("SH", ["NOTES"]).text([roman(paragraph)]);
            }
        }
    }
    roff
}

/// The main pages but the page itself.
fn see_also(page: &str, roff: &mut Roff) {
    let mut texts = Vec::new();
    for (name, section) in MAIN_PAGES.iter().filter(|(name, _)| *name != page) {
        let between = if texts.is_empty() { "" } else { ", " };
        texts.extend([roman(between), bold(*name), roman(format!("({section})"))]);
    }
    roff.control("SH", ["SEE ALSO"]).text(texts);
}

fn source() -> String {
    format!("proxyd {}", env!("CARGO_PKG_VERSION"))
}

/// `proxyd.toml(5)`, from the table of keys.
pub(super) fn of_configuration() -> Vec<u8> {
    let mut roff = Roff::new();
    roff.control("TH", ["proxyd.toml", "5", "", &source(), "proxyd"]);
    roff.control("SH", ["NAME"]).text([roman("proxyd.toml - configuration of proxyd")]);
    roff.control("SH", ["DESCRIPTION"]).text([
        roman("The configuration of "),
        bold("proxyd"),
        roman(
            "(8) is TOML. Every key is optional. A key that does not exist is an error, and all mistakes are reported at once with \
             file, line and column. What each value is, and where it comes from, is printed by ",
        ),
        bold("proxyd print-config"),
        roman("."),
    ]);
    roff.control("PP", []).text([
        roman("Each key can also be given in the environment, as "),
        bold("PROXYD_HTTP__LISTEN"),
        roman(" for "),
        bold("http.listen"),
        roman(" (a list is separated by commas), and the main ones as flags. Flags win over the environment, that over drop-ins in the order of their names, those over the file, and that over the defaults."),
    ]);
    roff.control("SH", ["KEYS"]);
    for key in KEYS {
        let kind = match key.kind {
            Kind::Text => "text",
            Kind::Texts => "list of texts",
            Kind::Integer => "whole number",
            Kind::Boolean => "true or false",
        };
        roff.control("TP", []).text([bold(key.path), roman(format!(" ({kind})"))]);
        roff.text([roman(key.doc)]);
        if let Some(default) = key.default {
            roff.control("br", []).text([roman("Default: "), bold(default)]);
        }
    }
    roff.control("SH", ["FILES"]);
    for (path, what) in [
        ("/etc/proxyd/config.toml", "The system service's; drop-ins are config.d/*.toml beside it."),
        ("~/.config/proxyd/config.toml", "A user's own daemon's, with its drop-ins beside it."),
    ] {
        roff.control("TP", []).text([bold(path)]).text([roman(what)]);
    }
    see_also("proxyd.toml", &mut roff);
    roff.render().into_bytes()
}

#[test]
fn headed_paragraphs_become_sections() {
    let page = extra("Some words.\n\nExit codes:\n  0  well\n  1  not").to_roff();
    let (notes, status) = page.split_once(".SH \"EXIT STATUS\"").unwrap();
    assert!(notes.contains(".SH NOTES\nSome words."), "{notes}");
    assert!(status.contains("0  well\n  1  not"), "{status}");
}

#[test]
fn every_key_has_its_place_in_the_manual() {
    let page = String::from_utf8(of_configuration()).unwrap().replace("\\-", "-");
    for key in KEYS {
        assert!(page.contains(&format!("\\fB{}\\fR", key.path)), "{}", key.path);
        assert!(key.default.is_none_or(|default| page.contains(default)), "the default of {}", key.path);
    }
}
