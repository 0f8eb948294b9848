//! Keeps the man pages and completions under `packaging/` what the command line says. Run with `UPDATE_GENERATED=1` to
//! write them anew after a change of `ctl/src/cli.rs`.

#![cfg(test)]
#![expect(
    clippy::disallowed_methods,
    reason = "a test that reads one variable and writes files of the source tree"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use clap::Command;
use clap_complete::Shell;

/// What belongs under `packaging/`, by path.
fn generated() -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut command = proxyctl::cli::command();
    for (shell, name) in
        [(Shell::Bash, "proxyctl.bash"), (Shell::Zsh, "_proxyctl"), (Shell::Fish, "proxyctl.fish")]
    {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut command, "proxyctl", &mut script);
        files.insert(Path::new("completions").join(name), script);
    }
    command.build();
    man_pages(&command, &mut files);
    files
}

fn man_pages(command: &Command, files: &mut BTreeMap<PathBuf, Vec<u8>>) {
    let name = command.get_display_name().unwrap_or_else(|| command.get_name());
    let mut page = Vec::new();
    let source = format!("proxyctl {}", env!("CARGO_PKG_VERSION"));
    clap_mangen::Man::new(command.clone()).manual("proxyd").source(source).render(&mut page).unwrap();
    let mut page = String::from_utf8(page).unwrap().replace(".SH EXTRA\nExamples:\n", ".SH EXAMPLES\n");
    page = page.replace(".SH EXTRA\nExample:\n", ".SH EXAMPLES\n");
    if let Some(codes) = command.get_before_help() {
        let codes = codes.to_string();
        page.push_str(".SH \"EXIT STATUS\"\n.nf\n");
        page.push_str(codes.trim_start_matches("Exit codes:\n"));
        page.push_str("\n.fi\n");
    }
    files.insert(Path::new("man").join(format!("{name}.1")), page.into_bytes());
    for subcommand in command.get_subcommands() {
        man_pages(subcommand, files);
    }
}

/// What lies under `packaging/` already.
fn committed(packaging: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for folder in ["man", "completions"] {
        for entry in fs::read_dir(packaging.join(folder)).into_iter().flatten() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            if name.contains("proxyctl") {
                files.insert(Path::new(folder).join(name), fs::read(entry.path()).unwrap());
            }
        }
    }
    files
}

#[test]
fn man_pages_and_completions_are_what_the_command_line_says() {
    let packaging = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging");
    let (expected, found) = (generated(), committed(&packaging));
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        for path in found.keys().filter(|path| !expected.contains_key(*path)) {
            fs::remove_file(packaging.join(path)).unwrap();
        }
        for (path, content) in &expected {
            let path = packaging.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        return;
    }
    let differing: Vec<_> = expected
        .keys()
        .chain(found.keys().filter(|path| !expected.contains_key(*path)))
        .filter(|path| expected.get(*path) != found.get(*path))
        .collect();
    assert!(
        differing.is_empty(),
        "out of date under packaging/: {differing:?}; run `UPDATE_GENERATED=1 cargo test -p proxyctl --test generated`"
    );
}
