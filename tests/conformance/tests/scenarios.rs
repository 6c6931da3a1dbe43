//! Every file of `scenarios/`.
//!
//! `ROPEWALK_RSTP_SCENARIO`: only the one of this name, told in full.

use conformance::scenario::run;
use std::fs;
use std::path::Path;

#[test]
fn every_scenario_holds() {
    let only = std::env::var("ROPEWALK_RSTP_SCENARIO").ok();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let mut files: Vec<_> = fs::read_dir(folder)
        .expect("the folder is there")
        .map(|entry| entry.expect("it can be read").path())
        .collect();
    files.sort();
    let mut failed = Vec::new();
    let mut count = 0;
    for file in &files {
        let name = file.file_stem().unwrap_or_default().to_string_lossy();
        if only.as_ref().is_some_and(|only| *only != name) {
            continue;
        }
        count += 1;
        let text = fs::read_to_string(file).expect("it is text");
        if let Err(error) = run(&text, only.is_some()) {
            failed.push(format!("{name}: {error}"));
        }
    }
    assert!(count > 0, "no scenario was found");
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn a_wrong_expectation_is_noticed() {
    let text = |port: &str| {
        format!(
            r#"
            what = "two bridges"
            clause = "-"
            bridge = {{ a = {{}}, b = {{}} }}
            lan = {{ ab = {{ ends = ["a.1", "b.1"] }} }}
            step = [{{ at = 1, expect = {{ port = {{ "a.1" = "{port}" }} }} }}]
            "#
        )
    };
    assert_eq!(run(&text("designated forwarding"), false), Ok(()));
    let error = run(&text("root forwarding"), false);
    let expected = "at 1 s: a.1 is designated forwarding, not root forwarding";
    assert_eq!(error, Err(expected.to_owned()));
}
