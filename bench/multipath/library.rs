//! The scenarios there are.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::scenario::Scenario;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("multipath/scenarios")
}

/// Those with these names, in their order; all, by name, when there are none.
pub(crate) fn select(wanted: &[String]) -> Result<Vec<Scenario>> {
    let all = files(&folder())?;
    let mut chosen: Vec<PathBuf> = Vec::new();
    for name in wanted {
        let before = chosen.len();
        if name.ends_with(".toml") {
            chosen.push(name.into());
        } else {
            let fits = all.iter().filter(|file| fits(name, &stem(file)));
            chosen.extend(fits.cloned());
        }
        ensure!(
            chosen.len() > before,
            "there is no scenario {name:?}: see --list"
        );
    }
    if wanted.is_empty() {
        chosen = all;
    }
    chosen.iter().map(|file| read(file)).collect()
}

/// Whether a name is meant: itself, or the beginning before a `*`, in any case.
fn fits(wanted: &str, name: &str) -> bool {
    let (wanted, name) = (wanted.to_lowercase(), name.to_lowercase());
    match wanted.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => name == wanted,
    }
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("read {}", folder.display()))?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|end| end == "toml") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn stem(file: &Path) -> String {
    let stem = file.file_stem().unwrap_or_default();
    stem.to_string_lossy().into_owned()
}

fn read(file: &Path) -> Result<Scenario> {
    let text = fs::read_to_string(file).with_context(|| format!("read {}", file.display()))?;
    Scenario::parse(&stem(file), &text).with_context(|| file.display().to_string())
}

/// For people: each with its lines and what it is about.
pub(crate) fn listing(scenarios: &[Scenario]) -> String {
    let mut text = String::new();
    for scenario in scenarios {
        let lines: Vec<String> = scenario.lines.iter().map(|line| line.describe()).collect();
        let (name, lines) = (&scenario.name, lines.join(" + "));
        let about = scenario.description.trim();
        let _ = writeln!(
            text,
            "{name}: {lines}\n    {}",
            about.replace('\n', "\n    ")
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scenario_file_is_good_and_described() {
        let all = select(&[]).unwrap();
        assert!(all.len() >= 20, "{}", all.len());
        let text = listing(&all);
        for scenario in &all {
            assert!(text.contains(scenario.description.trim().lines().next().unwrap()));
        }
    }

    #[test]
    fn names_are_exact_or_begin_alike() {
        assert!(fits("agg-a", "AGG-A") && !fits("AGG", "AGG-A"));
        assert!(fits("AGG*", "AGG-A") && !fits("LOSS*", "AGG-A"));
        let names = |wanted: &str| -> Vec<String> {
            let chosen = select(&[wanted.to_owned()]).unwrap();
            chosen.into_iter().map(|scenario| scenario.name).collect()
        };
        assert_eq!(names("START"), ["START"]);
        assert!(names("AGG-*").len() > 3);
        let error = select(&["NO-SUCH".to_owned()]).unwrap_err().to_string();
        assert!(error.contains("NO-SUCH"), "{error}");
    }
}
