//! The source tree as the rules see it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use syn::{Attribute, Expr, ExprLit, Item, Lit, Meta};

/// One Rust file.
pub(super) struct Source {
    /// From the root of the repository, as in `daemon/src/pool/mod.rs`.
    pub(super) path: String,
    pub(super) text: String,
    /// Compiled for tests only: declared under `#[cfg(test)]`, or below a file that is.
    pub(super) is_test: bool,
}

impl Source {
    pub(super) fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned(), is_test: false }
    }

    pub(super) fn parse(&self) -> syn::File {
        syn::parse_file(&self.text).unwrap_or_else(|error| panic!("{} is not Rust: {error}", self.path))
    }

    /// Where the modules lie that this file declares for tests, without the end of their names:
    /// `daemon/src/pool/tests`.
    fn test_modules(&self) -> Vec<String> {
        let (folder, name) = self.path.rsplit_once('/').unwrap_or(("", &self.path));
        let own = match name.strip_suffix(".rs") {
            Some("mod" | "lib" | "main") | None => folder.to_owned(),
            Some(name) => format!("{folder}/{name}"),
        };
        let declared = self.parse().items.into_iter().filter_map(|item| match item {
            Item::Mod(module) if module.content.is_none() && is_cfg_test(&module.attrs) => Some(module),
            _ => None,
        });
        declared
            .map(|module| match given_path(&module.attrs) {
                Some(path) => format!("{folder}/{}", path.trim_end_matches(".rs")),
                None => format!("{own}/{}", module.ident),
            })
            .collect()
    }

    /// The path below `daemon/src`, as in `pool/mod.rs`.
    pub(super) fn in_daemon(&self) -> &str {
        self.path.strip_prefix("daemon/src/").unwrap_or(&self.path)
    }

    /// The module's names from the crate's root, as in `["pool", "select"]`. `main` and `lib` count as
    /// modules.
    pub(super) fn module(&self) -> Vec<String> {
        let path = self.in_daemon();
        let path = path.strip_suffix("/mod.rs").or_else(|| path.strip_suffix(".rs")).unwrap_or(path);
        path.split('/').map(str::to_owned).collect()
    }
}

pub(super) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Every Rust file of the workspace, in the order of the paths, read once.
static TREE: LazyLock<Vec<Source>> = LazyLock::new(|| {
    let root = root();
    let mut found = Vec::new();
    let mut open: Vec<_> = ["daemon", "ctl", "proto", "tests"].map(|folder| root.join(folder)).into();
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.ends_with("clients") {
                open.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                let name = path.strip_prefix(&root).unwrap().to_str().unwrap();
                found.push(Source::new(name, &fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    mark_tests(&mut found);
    found
});

pub(super) fn everything() -> &'static [Source] {
    &TREE
}

/// What the product and the harness are built from, without their tests.
pub(super) fn product() -> impl Iterator<Item = &'static Source> {
    let is_built = |source: &&Source| !source.is_test && source.path.contains("/src/");
    TREE.iter().filter(is_built)
}

/// What the daemon is built from, without its tests.
pub(super) fn daemon() -> impl Iterator<Item = &'static Source> {
    product().filter(|source| source.path.starts_with("daemon/"))
}

fn mark_tests(sources: &mut [Source]) {
    let tests: Vec<_> = sources.iter().flat_map(Source::test_modules).collect();
    for source in sources {
        let is_within = |module: &String| {
            source.path.strip_prefix(module.as_str()).is_some_and(|rest| rest.starts_with(['.', '/']))
        };
        source.is_test = tests.iter().any(is_within);
    }
}

/// `#[cfg(test)]`, and nothing cleverer: what is compiled under other conditions too is part of the product.
pub(super) fn is_cfg_test(attributes: &[Attribute]) -> bool {
    let is_test =
        |attribute: &Attribute| attribute.parse_args::<syn::Path>().is_ok_and(|path| path.is_ident("test"));
    attributes.iter().any(|attribute| attribute.path().is_ident("cfg") && is_test(attribute))
}

/// What `#[path = "..."]` says.
fn given_path(attributes: &[Attribute]) -> Option<String> {
    attributes.iter().find_map(|attribute| match &attribute.meta {
        Meta::NameValue(given) if given.path.is_ident("path") => match &given.value {
            Expr::Lit(ExprLit { lit: Lit::Str(path), .. }) => Some(path.value()),
            _ => None,
        },
        _ => None,
    })
}

#[test]
fn a_file_is_a_test_where_it_is_declared_as_one_or_lies_below_one() {
    let mut sources = [
        Source::new("daemon/src/pool/mod.rs", "mod health; #[cfg(test)] mod checks;"),
        Source::new("daemon/src/pool/checks.rs", "mod tables;"),
        Source::new("daemon/src/pool/checks/tables.rs", ""),
        Source::new("daemon/src/pool/checks_that_serve.rs", ""),
        Source::new("daemon/src/pool/health.rs", "#[cfg(test)] mod tests;"),
        Source::new("daemon/src/pool/health/tests.rs", ""),
        Source::new("daemon/src/pool/select.rs", "#[cfg(test)] #[path = \"select_tests.rs\"] mod tests;"),
        Source::new("daemon/src/pool/select_tests.rs", ""),
    ];
    mark_tests(&mut sources);
    assert_eq!(sources.map(|source| source.is_test), [false, true, true, false, false, true, false, true]);
}
