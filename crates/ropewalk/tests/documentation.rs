//! What the pages say, held against the code: names that changed, reasons that nobody explained, links that lead nowhere.

// A test may take its time from the machine.
#![allow(clippy::disallowed_methods)]

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use ropewalk::config::{Config, SecretKey};

/// Files in which every word-like string is a reason, a kind or a state.
const WORDS_OF: [&str; 5] = [
    "bridge/src/drop.rs",
    "tunnel/src/drops.rs",
    "tunnel/src/liveness.rs",
    "tunnel/src/scheduler.rs",
    "tunnel/src/snapshot.rs",
];

/// Files in which those with a hyphen are.
const HYPHENATED_OF: [&str; 8] = [
    "node/src/node.rs",
    "ropewalk/src/daemon/backend.rs",
    "ropewalk/src/daemon/lines.rs",
    "tunnel/src/crypto/cookie.rs",
    "tunnel/src/link/join.rs",
    "tunnel/src/link/mod.rs",
    "tunnel/src/link/status.rs",
    "tunnel/src/peer/observe.rs",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A source file up to its unit tests.
fn source(path: &str) -> String {
    let text = read(&format!("crates/{path}"));
    text.split("#[cfg(test)]")
        .next()
        .unwrap_or_default()
        .to_owned()
}

/// String literals of lower-case words joined by hyphens.
fn words(source: &str) -> BTreeSet<String> {
    let is_word = |text: &&str| {
        text.len() > 2
            && text
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    let code = source
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    let quoted = code.flat_map(|line| line.split('"').skip(1).step_by(2));
    quoted.filter(is_word).map(str::to_owned).collect()
}

/// What a page has between backticks.
fn quoted(page: &str) -> BTreeSet<String> {
    let lines = page.lines();
    lines
        .flat_map(|line| line.split('`').skip(1).step_by(2))
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_reason_kind_and_state_is_explained() {
    let page = quoted(&read("docs/operating.md"));
    let mut missing = Vec::new();
    for file in WORDS_OF {
        missing.extend(words(&source(file)).into_iter().map(|word| (file, word)));
    }
    for file in HYPHENATED_OF {
        let hyphenated = words(&source(file))
            .into_iter()
            .filter(|word| word.contains('-'));
        missing.extend(hyphenated.map(|word| (file, word)));
    }
    assert!(
        missing.len() > 50,
        "reasons are looked for in the wrong place: {missing:?}"
    );
    missing.retain(|(_, word)| !page.contains(word));
    assert!(
        missing.is_empty(),
        "docs/operating.md does not explain: {missing:?}"
    );
}

#[test]
fn every_field_of_status_is_explained() {
    let page = quoted(&read("docs/operating.md"));
    let source = source("ropewalk/src/status/mod.rs");
    let field = |line: &str| {
        line.trim()
            .strip_prefix("pub ")?
            .split_once(": ")
            .map(|(name, _)| name.to_owned())
    };
    let fields: Vec<String> = source.lines().filter_map(field).collect();
    assert!(fields.len() > 40, "{fields:?}");
    let missing: Vec<&String> = fields
        .iter()
        .filter(|field| !page.contains(*field))
        .collect();
    assert!(
        missing.is_empty(),
        "docs/operating.md does not explain: {missing:?}"
    );
}

#[test]
fn every_constant_of_the_peers_machines_is_in_the_table_of_bounds() {
    let page = quoted(&read("ARCHITECTURE.md"));
    let source = source("tunnel/src/params.rs");
    let name = |line: &str| {
        line.strip_prefix("pub const ")?
            .split_once(':')
            .map(|(name, _)| name.to_owned())
    };
    let constants: Vec<String> = source.lines().filter_map(name).collect();
    assert!(constants.len() > 30, "{constants:?}");
    let missing: Vec<&String> = constants
        .iter()
        .filter(|name| !page.contains(*name))
        .collect();
    assert!(
        missing.is_empty(),
        "ARCHITECTURE.md does not name: {missing:?}"
    );
}

#[test]
fn functions_that_the_architecture_names_exist() {
    let mut files = Vec::new();
    collect(&root().join("crates"), "rs", &mut files);
    let code: String = files
        .iter()
        .filter_map(|file| fs::read_to_string(file).ok())
        .collect();
    let named = quoted(&read("ARCHITECTURE.md"));
    let functions: Vec<&str> = named
        .iter()
        .filter_map(|name| name.split_once("::"))
        .map(|(_, function)| function)
        .filter(|function| {
            function
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte == b'_')
        })
        .collect();
    assert!(functions.len() > 20, "{functions:?}");
    for function in functions {
        // `std` keeps its own promises.
        let exists = function == "now" || code.contains(&format!("fn {function}"));
        assert!(exists, "ARCHITECTURE.md names {function}, which is gone");
    }
    for file in named.iter().filter(|name| name.ends_with(".rs")) {
        let (folder, rest) = file.split_once('/').unwrap_or(("", file));
        let candidates = [
            format!("crates/{folder}/src/{rest}"),
            format!("crates/{file}"),
            format!("crates/tunnel/src/{file}"),
            format!("crates/ropewalk/src/{file}"),
            file.clone(),
        ];
        let exists = candidates.iter().any(|path| root().join(path).exists());
        assert!(exists, "ARCHITECTURE.md names {file}, which is gone");
    }
}

#[test]
fn links_lead_somewhere() {
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        let folder = page.parent().unwrap();
        for target in text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            let target = target.split('#').next().unwrap_or_default();
            if !target.is_empty() && !target.contains(':') {
                assert!(folder.join(target).exists(), "{}: {target}", page.display());
            }
        }
    }
}

#[test]
fn configurations_on_the_pages_are_valid() {
    let mut tried = 0;
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        for block in text
            .split("```toml\n")
            .skip(1)
            .filter_map(|rest| rest.split("```").next())
        {
            let folder = tempfile::tempdir().unwrap();
            let key = folder.path().join("node.key");
            fs::write(&key, SecretKey::generate().unwrap().to_base64().as_str()).unwrap();
            fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
            let file = folder.path().join("x.toml");
            fs::write(&file, block).unwrap();
            let config =
                Config::load(&file).unwrap_or_else(|errors| panic!("{}: {errors}", page.display()));
            assert!(
                config.warnings.is_empty(),
                "{}: {:?}",
                page.display(),
                config.warnings
            );
            tried += 1;
        }
    }
    assert!(tried > 0, "no page has a configuration");
}

/// All pages of the project.
fn pages() -> Vec<PathBuf> {
    let mut pages: Vec<PathBuf> = fs::read_dir(root())
        .unwrap()
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect();
    for folder in ["docs", "packaging", "examples"] {
        collect(&root().join(folder), "md", &mut pages);
    }
    assert!(pages.len() > 5, "{pages:?}");
    pages
}

/// Files below `folder` with this extension.
fn collect(folder: &Path, extension: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().filter_map(Result::ok) {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, extension, found);
        } else if path.extension().is_some_and(|has| has == extension) {
            found.push(path);
        }
    }
}
