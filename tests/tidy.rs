//! The house rules that a compiler does not know: which layer may know which, and what a file looks like.
//!
//! `domain ← {documents, stores} ← actors ← {cluster, http} ← the rest` (see `ARCHITECTURE.md`). Reads the sources as text: every path that
//! starts at the crate's root, in `use` lines and inline, also by way of `super`.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// A layer and those that it may know, besides itself. What is not named here stands above all of them.
const LAYERS: [(&str, &[&str]); 6] = [
    ("domain", &[]),
    ("documents", &["domain"]),
    ("stores", &["domain"]),
    ("actors", &["domain", "documents", "stores"]),
    ("cluster", &["domain", "stores", "actors"]),
    ("http", &["domain", "documents", "stores", "actors"]),
];
const MAX_LINES: usize = 450;
/// Marks of unfinished work.
const UNFINISHED: [&str; 5] = ["todo!(", "unimplemented!(", "dbg!(", "TODO", "FIXME"];

fn sources(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).expect("a source folder") {
        let path = entry.expect("a folder entry").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// Module path of a file under `src/`: `domain/queue/mod.rs` is `[domain, queue]`.
fn modules(file: &Path) -> Vec<String> {
    let mut modules: Vec<_> =
        file.with_extension("").iter().map(|part| part.to_str().expect("UTF-8 file name").to_owned()).collect();
    if modules.last().is_some_and(|last| matches!(last.as_str(), "mod" | "lib" | "main")) {
        modules.pop();
    }
    modules
}

/// Words and marks, without comments and the contents of strings.
fn tokens(source: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    for line in source.lines() {
        let code = line.split("//").next().unwrap_or_default();
        let mut rest = code;
        while let Some(first) = rest.chars().next() {
            let is_word = |c: char| c.is_alphanumeric() || c == '_';
            let len = if is_word(first) {
                rest.find(|c| !is_word(c)).unwrap_or(rest.len())
            } else if first == '"' {
                rest.get(1..).and_then(|rest| rest.find('"')).map_or(rest.len(), |end| end + 2)
            } else if rest.starts_with("::") {
                2
            } else {
                first.len_utf8()
            };
            let (token, after) = rest.split_at(len);
            if !first.is_whitespace() {
                tokens.push(token);
            }
            rest = after;
        }
    }
    tokens
}

/// First segments of a path's rest: one, or those of a group in braces.
fn heads<'a>(tokens: &[&'a str]) -> Vec<&'a str> {
    if tokens.first() != Some(&"{") {
        return tokens.first().copied().into_iter().collect();
    }
    let mut heads = Vec::new();
    let mut depth = 0;
    let mut before = "";
    for &token in tokens {
        match token {
            "{" => depth += 1,
            "}" => depth -= 1,
            _ if depth == 1 && matches!(before, "{" | ",") => heads.push(token),
            _ => {}
        }
        if depth == 0 {
            break;
        }
        before = token;
    }
    heads
}

/// Modules at the crate's root that a file with this module path names.
fn roots_named<'a>(modules: &[String], source: &'a str) -> Vec<&'a str> {
    let tokens = tokens(source);
    let mut named = Vec::new();
    let mut index = 0;
    while index + 1 < tokens.len() {
        let ups = tokens[index..].chunks_exact(2).take_while(|pair| *pair == ["super", "::"]).count();
        let rest = match tokens[index..] {
            ["crate" | "onsale", "::", ..] => index + 2,
            _ if ups > 0 => index + 2 * ups,
            _ => {
                index += 1;
                continue;
            }
        };
        if ups == 0 || ups == modules.len() {
            named.extend(heads(&tokens[rest..]));
        }
        index = rest;
    }
    named
}

/// The names in `source` that a file of this module path must not know.
fn forbidden<'a>(modules: &[String], source: &'a str) -> Vec<&'a str> {
    let Some((layer, may_know)) = LAYERS.iter().find(|(layer, _)| modules.first().is_some_and(|first| first == layer))
    else {
        return Vec::new();
    };
    let mut named = roots_named(modules, source);
    named.retain(|name| name != layer && !may_know.contains(name));
    named
}

#[test]
fn arrows_point_inward_only() {
    let mut wrong = Vec::new();
    for path in sources(&src()) {
        let modules = modules(path.strip_prefix(src()).expect("under src"));
        let source = fs::read_to_string(&path).expect("a source file");
        wrong.extend(forbidden(&modules, &source).into_iter().map(|name| format!("{} knows {name}", path.display())));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn each_file_says_what_it_owns_and_is_short_and_finished() {
    let mut wrong = Vec::new();
    for path in sources(&src()) {
        let source = fs::read_to_string(&path).expect("a source file");
        let mut note = |what: String| wrong.push(format!("{}: {what}", path.display()));
        if !source.starts_with("//! ") {
            note("does not open with //!".to_owned());
        }
        let lines = source.lines().count();
        if lines > MAX_LINES {
            note(format!("{lines} lines are more than {MAX_LINES}"));
        }
        for mark in UNFINISHED.into_iter().filter(|mark| source.contains(mark)) {
            note(format!("contains {mark}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What a test arms must not be in what is released: it stands in a module that only a debug build has.
#[test]
fn the_variable_that_lets_a_process_die_is_known_to_debug_builds_only() {
    const NAME: &str = "ONSALE_TEST_CRASH_AT";
    let knows = |path: &PathBuf| fs::read_to_string(path).expect("a source file").contains(NAME);
    let found: Vec<_> = sources(&src()).into_iter().filter(knows).collect();
    assert_eq!(found, [src().join("stores/crash_point.rs")]);
    let source = fs::read_to_string(&found[0]).expect("a source file");
    let (released, armed) = source.split_once("#[cfg(debug_assertions)]\nmod armed {").expect("the module");
    assert!(!released.contains(NAME) && armed.contains(NAME));
}

#[test]
fn a_forbidden_arrow_is_found_however_it_is_written() {
    let found = |file: &str, source: &'static str| forbidden(&modules(Path::new(file)), source);
    let cases: &[(&str, &str, &[&str])] = &[
        ("domain/queue/room.rs", "use crate::domain::id::FanId;", &[]),
        ("domain/queue/room.rs", "use crate::stores::error::StoreError;", &["stores"]),
        ("domain/queue/room.rs", "use super::super::super::stores::error;", &["stores"]),
        ("domain/queue/mod.rs", "use super::super::stores::error;", &["stores"]),
        ("domain/money.rs", "use crate::{\n    domain::id::Id,\n    actors::{orders, http},\n};", &["actors"]),
        ("documents/pdf.rs", "use crate::{domain::id::FanId, stores::database::tickets};", &["stores"]),
        ("stores/queue.rs", "fn f() -> crate::actors::inventory::Handle {}", &["actors"]),
        ("stores/queue.rs", "// use crate::actors;\nconst A: &str = \"crate::actors\";", &[]),
        ("actors/mod.rs", "use crate::{boot, domain, stores};", &["boot"]),
        ("http/mod.rs", "use crate::cluster::Router;", &["cluster"]),
        ("cluster/mod.rs", "use crate::http::Server;", &["http"]),
        ("http/mod.rs", "use crate::{actors, domain, stores};", &[]),
        ("boot.rs", "use crate::{actors, cluster, domain, http, stores};", &[]),
        ("main.rs", "use onsale::{boot, http};", &[]),
    ];
    for (file, source, names) in cases {
        assert_eq!(found(file, source), *names, "{file}: {source}");
    }
}
