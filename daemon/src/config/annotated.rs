//! The configuration file that is shipped: every key with its meaning, made from the table of keys.

use super::keys::KEYS;

/// The annotated configuration file: every key with its meaning, commented out at its default.
pub fn annotated() -> String {
    let mut text = String::from(
        "# The configuration of proxyd. Every key is optional and stands here, commented out, with its default.\n\
         #\n\
         # proxyd reads config.toml from /etc/proxyd (under systemd) or ~/.config/proxyd, then config.d/*.toml beside it in the order of\n\
         # their names. Each key can also be given in the environment (PROXYD_HTTP__LISTEN for http.listen), the main ones as flags.\n\
         # Precedence: flag, environment, drop-in, file, default. `proxyd check-config` reports every mistake at once.\n",
    );
    let mut section = "";
    for key in KEYS {
        let (of, name) = key.path.rsplit_once('.').unwrap_or(("", key.path));
        if of != section {
            text.extend(["\n[", of, "]\n"]);
            section = of;
        }
        for line in wrap(key.doc, 110) {
            text.extend(["# ", &line, "\n"]);
        }
        text.extend(["#", name, " = ", key.default.unwrap_or("\"...\""), "\n"]);
    }
    text
}

fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.len() + word.len() < width => {
                if !line.is_empty() {
                    line.push(' ');
                }
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}
