//! Which module of the daemon may use which.

use super::source::{self, Source};
use super::{hold, uses};

/// A module uses only modules of the rows before its own, and itself. `config` is late because it hands each
/// component that component's own `Config`.
const ROWS: &[&[&str]] = &[
    &["id", "secret", "seal", "clock", "chain", "tasks", "address", "users"],
    &["wire", "account", "events", "socket"],
    &["translate", "pool", "store", "telemetry", "systemd", "sandbox"],
    &["claude"],
    &["refresh", "owners", "stored", "keys", "otlp"],
    &["login", "reload", "admin", "usage", "notice", "announce", "keeper"],
    &["proxy", "diagnosis"],
    &["http", "control"],
    &["config"],
    &["cli", "app"],
    &["main", "lib"],
];

pub(super) fn row(module: &str) -> Option<usize> {
    ROWS.iter().position(|row| row.contains(&module))
}

fn broken(source: &Source) -> Vec<String> {
    let module = source.module().swap_remove(0);
    let Some(own) = row(&module) else {
        return vec![format!("{}: the module {module} stands in no row of the table", source.path)];
    };
    let uses = uses::of(source).paths;
    let others = uses.iter().filter_map(|used| match used.path.as_slice() {
        [first, other, ..] if first == "crate" && *other != module => Some((used, other)),
        _ => None,
    });
    let wrong = others.filter(|(_, other)| row(other).is_none_or(|row| row >= own));
    wrong
        .map(|(used, other)| {
            let row = row(other).map_or("no row".to_owned(), |row| format!("row {row}"));
            format!("{}:{}: {module} (row {own}) uses {other} ({row})", source.path, used.line)
        })
        .collect()
}

#[test]
fn a_module_uses_only_modules_of_the_rows_before_it() {
    let broken: Vec<_> = source::daemon().flat_map(broken).collect();
    hold("a module uses only modules of the rows before its own", &broken);
}

#[test]
fn each_module_of_the_table_exists() {
    let modules: Vec<_> = source::daemon().map(|source| source.module().swap_remove(0)).collect();
    for module in ROWS.iter().copied().flatten() {
        assert!(
            modules.iter().any(|found| found == module),
            "{module} is in the table and not in daemon/src"
        );
    }
}

#[test]
fn an_import_that_points_upwards_is_found() {
    for (path, text) in [
        ("daemon/src/wire/sse.rs", "use crate::pool::Pool;"),
        ("daemon/src/wire/sse.rs", "use super::super::pool::Pool;"),
        ("daemon/src/http/mod.rs", "fn f() { crate::control::serve(); }"),
        ("daemon/src/control/mod.rs", "use crate::{http::State, id};"),
        ("daemon/src/login/mod.rs", "use crate::admin::Admin;"),
        ("daemon/src/pool/mod.rs", "use crate::{clock::Clock, config::Config};"),
        ("daemon/src/pool/mod.rs", "fn f() { tracing::info!(x = crate::proxy::f()); }"),
        ("daemon/src/pool/mod.rs", "use crate::*;"),
        ("daemon/src/elsewhere.rs", ""),
    ] {
        assert_eq!(broken(&Source::new(path, text)).len(), 1, "{path}: {text}");
    }
}

#[test]
fn imports_that_point_downwards_and_inwards_are_fine() {
    for (path, text) in [
        ("daemon/src/http/mod.rs", "use crate::pool::Pool; use super::proxy; use self::guard::Peer;"),
        ("daemon/src/main.rs", "use proxyd::app::App; use proxyd::{config, cli};"),
        ("daemon/src/wire/sse.rs", "#[cfg(test)] mod tests { use crate::pool::Pool; }"),
    ] {
        assert!(broken(&Source::new(path, text)).is_empty(), "{path}: {text}");
    }
}
