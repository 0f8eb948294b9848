//! The tables as a document.

use std::fmt::Write as _;

use super::{CHAT, COMPLETIONS, Fate, RESPONSES, Table};

impl Fate {
    const fn word(self) -> &'static str {
        match self {
            Self::Mapped => "mapped",
            Self::Answered => "answered",
            Self::Refused => "refused",
            Self::Needless => "not needed",
            Self::Dropped => "dropped",
        }
    }
}

const HEAD: &str = "\
# Translation, field by field

What becomes of each field of a request in one of OpenAI's dialects. This page is generated from the tables that the translation itself uses; \
a test sends each example and sees that it happens.

- **mapped**: it changes what Claude is asked.
- **answered**: it decides the form of the answer, or is repeated in it.
- **refused**: a 400 whose `param` names it, at least with the value shown.
- **not needed**: neither sent nor missed.
- **dropped**: not sent, for Claude has no counterpart. The answer's header `x-proxyd-dropped-fields` names it, and the metric \
`proxyd_dropped_fields_total` counts it. In strict mode (`translation.strict`, or the request header `x-proxyd-strict: true`) it is a 400.

A field that stands in no table is dropped, wherever in the request it is. `null` is the same as absent, and a field without a \
counterpart that says nothing (false, zero, or empty) is no loss.
";

/// The tables as Markdown.
pub fn document() -> String {
    let mut text = HEAD.to_owned();
    for table in [&CHAT, &RESPONSES, &COMPLETIONS] {
        section(table, &mut text);
    }
    text
}

fn section(table: &Table, text: &mut String) {
    // Writing to a string cannot fail.
    let _written = write!(text, "\n## {}\n\n`{}`\n\n", table.title, table.path);
    for (this, that) in table.same {
        let _written = writeln!(text, "What stands below `{this}` is as below `{that}`.\n");
    }
    text.push_str("| field | example | fate | |\n|---|---|---|---|\n");
    for field in table.fields {
        let (example, fate) = (cell(field.example), field.fate.word());
        let _written = writeln!(text, "| `{}` | `{example}` | {fate} | {} |", field.name, cell(field.note));
    }
}

/// Text that does not end a cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}
