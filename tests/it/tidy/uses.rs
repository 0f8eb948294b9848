//! What a file uses: every path of it, in `use` declarations, types, expressions, attributes and macro
//! arguments, outside of its tests; and where it waits.

use proc_macro2::{Spacing, TokenStream, TokenTree};
use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};
use syn::{ImplItem, Item, TraitItem, UseTree};

use super::source::{Source, is_cfg_test};

/// A path as if written from the outside: it starts with `crate` or, it may be, with the name of another
/// crate.
pub(super) struct Used {
    pub(super) path: Vec<String>,
    pub(super) line: usize,
}

impl Used {
    /// Whether it names this, or something in it: `std::fs` and `std::fs::File` are both within `std::fs`.
    pub(super) fn is_within(&self, prefix: &str) -> bool {
        let mut names = self.path.iter();
        prefix.split("::").all(|name| names.next().is_some_and(|own| own == name))
    }

    pub(super) fn name(&self) -> String {
        self.path.join("::")
    }
}

#[derive(Default)]
pub(super) struct Uses {
    pub(super) paths: Vec<Used>,
    /// The lines with `async` or `.await`.
    pub(super) waits: Vec<usize>,
}

pub(super) fn of(source: &Source) -> Uses {
    let mut module = source.module();
    let is_root = matches!(source.in_daemon(), "main.rs" | "lib.rs");
    if is_root {
        module.clear();
    }
    let mut collector = Collector { module, is_main: source.in_daemon() == "main.rs", uses: Uses::default() };
    collector.visit_file(&source.parse());
    collector.uses
}

struct Collector {
    /// Where `self` and `super` start.
    module: Vec<String>,
    /// The binary is a crate of its own, to which the library is `proxyd`.
    is_main: bool,
    uses: Uses,
}

impl Collector {
    fn add(&mut self, mut names: Vec<String>, line: usize) {
        let from_here = |above: usize| {
            let kept = self.module.len().saturating_sub(above);
            std::iter::once("crate".to_owned()).chain(self.module.iter().take(kept).cloned())
        };
        let path = match names.first().map(String::as_str) {
            Some("self") => from_here(0).chain(names.drain(1..)).collect(),
            Some("super") => {
                let above = names.iter().take_while(|name| *name == "super").count();
                from_here(above).chain(names.drain(above..)).collect()
            }
            Some("proxyd") if self.is_main => {
                std::iter::once("crate".to_owned()).chain(names.drain(1..)).collect()
            }
            _ => names,
        };
        self.uses.paths.push(Used { path, line });
    }

    fn tree(&mut self, before: &[String], tree: &UseTree) {
        let with = |name: String| before.iter().cloned().chain([name]).collect::<Vec<_>>();
        let line = tree.span().start().line;
        match tree {
            UseTree::Path(path) => self.tree(&with(path.ident.to_string()), &path.tree),
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.tree(before, tree)),
            UseTree::Name(name) if name.ident == "self" => self.add(before.to_vec(), line),
            UseTree::Name(name) => self.add(with(name.ident.to_string()), line),
            UseTree::Rename(rename) if rename.ident == "self" => self.add(before.to_vec(), line),
            UseTree::Rename(rename) => self.add(with(rename.ident.to_string()), line),
            UseTree::Glob(_) => self.add(with("*".to_owned()), line),
        }
    }

    /// Macro arguments are not parsed: a path in them is names joined by `::`.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut names: Vec<String> = Vec::new();
        let (mut line, mut colons) = (0, 0);
        for token in tokens {
            match token {
                TokenTree::Ident(ident) => {
                    if colons != 2 {
                        self.end_of_path(&mut names, line);
                    }
                    if names.is_empty() {
                        line = ident.span().start().line;
                    }
                    if ident == "async" || ident == "await" {
                        self.uses.waits.push(ident.span().start().line);
                    }
                    names.push(ident.to_string());
                    colons = 0;
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' => {
                    colons += if colons == 1 || punct.spacing() == Spacing::Joint { 1 } else { 3 };
                }
                other => {
                    self.end_of_path(&mut names, line);
                    colons = 0;
                    if let TokenTree::Group(group) = other {
                        self.tokens(group.stream());
                    }
                }
            }
        }
        self.end_of_path(&mut names, line);
    }

    fn end_of_path(&mut self, names: &mut Vec<String>, line: usize) {
        let names = std::mem::take(names);
        if names.len() > 1 {
            self.add(names, line);
        }
    }
}

impl<'ast> Visit<'ast> for Collector {
    fn visit_item(&mut self, item: &'ast Item) {
        let attributes = match item {
            Item::Const(item) => &item.attrs,
            Item::Enum(item) => &item.attrs,
            Item::Fn(item) => &item.attrs,
            Item::Impl(item) => &item.attrs,
            Item::Macro(item) => &item.attrs,
            Item::Mod(item) => &item.attrs,
            Item::Static(item) => &item.attrs,
            Item::Struct(item) => &item.attrs,
            Item::Trait(item) => &item.attrs,
            Item::Type(item) => &item.attrs,
            Item::Use(item) => &item.attrs,
            _ => return visit::visit_item(self, item),
        };
        if !is_cfg_test(attributes) {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item(&mut self, item: &'ast ImplItem) {
        if !matches!(item, ImplItem::Fn(function) if is_cfg_test(&function.attrs)) {
            visit::visit_impl_item(self, item);
        }
    }

    fn visit_trait_item(&mut self, item: &'ast TraitItem) {
        if !matches!(item, TraitItem::Fn(function) if is_cfg_test(&function.attrs)) {
            visit::visit_trait_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        self.module.push(item.ident.to_string());
        visit::visit_item_mod(self, item);
        self.module.pop();
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.tree(&[], &item.tree);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        // One name alone is a local one, or was imported.
        if path.segments.len() > 1 {
            let names = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
            self.add(names, path.span().start().line);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        visit::visit_macro(self, call);
        self.tokens(call.tokens.clone());
    }

    fn visit_meta_list(&mut self, list: &'ast syn::MetaList) {
        visit::visit_meta_list(self, list);
        self.tokens(list.tokens.clone());
    }

    fn visit_signature(&mut self, signature: &'ast syn::Signature) {
        self.uses.waits.extend(signature.asyncness.map(|keyword| keyword.span().start().line));
        visit::visit_signature(self, signature);
    }

    fn visit_expr_async(&mut self, block: &'ast syn::ExprAsync) {
        self.uses.waits.push(block.async_token.span().start().line);
        visit::visit_expr_async(self, block);
    }

    fn visit_expr_await(&mut self, wait: &'ast syn::ExprAwait) {
        self.uses.waits.push(wait.await_token.span().start().line);
        visit::visit_expr_await(self, wait);
    }

    fn visit_expr_closure(&mut self, closure: &'ast syn::ExprClosure) {
        self.uses.waits.extend(closure.asyncness.map(|keyword| keyword.span().start().line));
        visit::visit_expr_closure(self, closure);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(path: &str, text: &str) -> Vec<String> {
        of(&Source::new(path, text)).paths.iter().map(Used::name).collect()
    }

    #[test]
    fn groups_renames_and_globs_are_spelt_out() {
        let text = "use std::{fs::{self, File as F}, io::*};";
        assert_eq!(names("daemon/src/id.rs", text), ["std::fs", "std::fs::File", "std::io::*"]);
    }

    #[test]
    fn relative_paths_start_where_they_stand() {
        let text = "use super::guard::Peer; mod inner { use super::super::super::wire; use self::x::y; }";
        let found = names("daemon/src/http/peer.rs", text);
        assert_eq!(found, ["crate::http::guard::Peer", "crate::wire", "crate::http::peer::inner::x::y"]);
        assert_eq!(names("daemon/src/http/mod.rs", "use super::wire::sse;"), ["crate::wire::sse"]);
    }

    #[test]
    fn the_binary_knows_the_library_by_its_name() {
        assert_eq!(names("daemon/src/main.rs", "use proxyd::app::App;"), ["crate::app::App"]);
    }

    #[test]
    fn paths_are_found_in_types_calls_attributes_and_macro_arguments() {
        let text =
            "#[a::b] fn f(x: c::D<e::F>) { g::h(); m!(one, j::k::l(), two: n, crate::wire::sse { }); }";
        let found = names("daemon/src/id.rs", text);
        assert_eq!(found, ["a::b", "c::D", "e::F", "g::h", "j::k::l", "crate::wire::sse"]);
    }

    #[test]
    fn tests_may_use_what_they_like() {
        let text = "#[cfg(test)] use a::b; #[cfg(test)] mod tests { use c::d; } impl X { #[cfg(test)] fn f() { e::g() } }";
        assert!(names("daemon/src/id.rs", text).is_empty());
        assert_eq!(names("daemon/src/id.rs", "#[cfg(not(test))] use a::b;"), ["a::b"]);
    }

    #[test]
    fn waiting_is_found_wherever_it_is_written() {
        for text in [
            "async fn f() {}",
            "fn f() { x.await }",
            "fn f() { async { } }",
            "fn f() { async || 1 }",
            "fn f() { join!(x.await) }",
            "impl X { async fn f(&self) {} }",
        ] {
            assert!(!of(&Source::new("daemon/src/id.rs", text)).waits.is_empty(), "{text}");
        }
        assert!(of(&Source::new("daemon/src/id.rs", "#[cfg(test)] async fn f() {}")).waits.is_empty());
    }
}
