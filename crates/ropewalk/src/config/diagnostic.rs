//! What is wrong with a configuration file, and exactly where.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Serialize;

/// One thing that is wrong, or will be, with the place in the file that says so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The configuration file.
    pub file: PathBuf,
    /// Line, from 1; 0 where the file itself is the trouble.
    pub line: u32,
    /// Column in characters, from 1; 0 where the file itself is the trouble.
    pub column: u32,
    /// The key as `table.key`, such as `peer.public-key`; empty for a syntax error.
    pub key: String,
    /// What is wrong, then after a semicolon what to do.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file.display())?;
        if self.line > 0 {
            write!(f, "{}:{}:", self.line, self.column)?;
        }
        if !self.key.is_empty() {
            write!(f, " {}:", self.key)?;
        }
        write!(f, " {}", self.message)
    }
}

/// Everything that keeps a configuration from being used, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", lines(errors))]
pub struct ConfigErrors {
    /// Never empty.
    pub errors: Vec<Problem>,
    /// What would have been warned of had there been no errors.
    pub warnings: Vec<Problem>,
}

fn lines(problems: &[Problem]) -> String {
    problems
        .iter()
        .map(Problem::to_string)
        .collect::<Vec<_>>()
        .join("\n")
}

/// Names a value in the file: table, its index among tables of that name, key.
type PlaceKey = (&'static str, usize, String);

/// Collects problems while a file is read, and remembers where each value stood so that checks
/// between tables can point at it later.
pub(super) struct Diagnostics<'s> {
    file: &'s Path,
    source: &'s str,
    places: BTreeMap<PlaceKey, Range<usize>>,
    found: Vec<(usize, Problem)>,
    warned: Vec<(usize, Problem)>,
}

impl<'s> Diagnostics<'s> {
    pub(super) fn new(file: &'s Path, source: &'s str) -> Self {
        Self {
            file,
            source,
            places: BTreeMap::new(),
            found: Vec::new(),
            warned: Vec::new(),
        }
    }

    /// The file being read; relative paths inside it start from its folder.
    pub(super) fn file(&self) -> &'s Path {
        self.file
    }

    pub(super) fn error(&mut self, at: &Range<usize>, key: &str, message: impl Into<String>) {
        let problem = self.problem(at, key, message.into());
        self.found.push((at.start, problem));
    }

    pub(super) fn warning(&mut self, at: &Range<usize>, key: &str, message: impl Into<String>) {
        let problem = self.problem(at, key, message.into());
        self.warned.push((at.start, problem));
    }

    /// Like [`Self::error`], for a value named by its table and key.
    pub(super) fn error_at(
        &mut self,
        table: &'static str,
        index: usize,
        key: &str,
        message: impl Into<String>,
    ) {
        let at = self.place_of(table, index, key);
        self.error(&at, &dotted(table, key), message);
    }

    /// Like [`Self::warning`], for a value named by its table and key.
    pub(super) fn warning_at(
        &mut self,
        table: &'static str,
        index: usize,
        key: &str,
        message: impl Into<String>,
    ) {
        let at = self.place_of(table, index, key);
        self.warning(&at, &dotted(table, key), message);
    }

    /// Remembers where a value stands. `key` may be `list.2` for an element of a list, or empty
    /// for the table itself.
    pub(super) fn remember(
        &mut self,
        table: &'static str,
        index: usize,
        key: &str,
        at: Range<usize>,
    ) {
        self.places.insert((table, index, key.to_owned()), at);
    }

    /// Where a key stands; where its table starts when the key is not there.
    fn place_of(&self, table: &'static str, index: usize, key: &str) -> Range<usize> {
        let parent = key.split_once('.').map_or("", |(parent, _)| parent);
        [key, parent, ""]
            .iter()
            .find_map(|key| self.places.get(&(table, index, (*key).to_owned())))
            .cloned()
            .unwrap_or(0..0)
    }

    fn problem(&self, at: &Range<usize>, key: &str, message: String) -> Problem {
        let (line, column) = line_and_column(self.source, at.start);
        Problem {
            file: self.file.to_owned(),
            line,
            column,
            key: key.to_owned(),
            message,
        }
    }

    pub(super) fn has_errors(&self) -> bool {
        !self.found.is_empty()
    }

    /// Where everything stood, for problems that are found after the file is let go.
    pub(super) fn places(&self) -> Places {
        let resolve = |at: &Range<usize>| line_and_column(self.source, at.start);
        Places(
            self.places
                .iter()
                .map(|(key, at)| (key.clone(), resolve(at)))
                .collect(),
        )
    }

    /// Errors and warnings in the order of the file.
    pub(super) fn into_problems(mut self) -> (Vec<Problem>, Vec<Problem>) {
        self.found.sort_by_key(|(offset, _)| *offset);
        self.warned.sort_by_key(|(offset, _)| *offset);
        let strip = |list: Vec<(usize, Problem)>| list.into_iter().map(|(_, p)| p).collect();
        (strip(self.found), strip(self.warned))
    }
}

/// Line and column of every table and value of a file.
#[derive(Debug, Clone, Default)]
pub(super) struct Places(BTreeMap<PlaceKey, (u32, u32)>);

impl Places {
    /// Where a key stands, else its list, else its table; (0, 0) when the file has none of them.
    pub(super) fn line_and_column(
        &self,
        table: &'static str,
        index: usize,
        key: &str,
    ) -> (u32, u32) {
        let parent = key.split_once('.').map_or("", |(parent, _)| parent);
        [key, parent, ""]
            .iter()
            .find_map(|key| self.0.get(&(table, index, (*key).to_owned())))
            .copied()
            .unwrap_or((0, 0))
    }
}

/// `peer` and `endpoints.2` make `peer.endpoints`: the column tells which element.
pub(super) fn dotted(table: &str, key: &str) -> String {
    match key.split('.').next() {
        None | Some("") => table.to_owned(),
        Some(key) => format!("{table}.{key}"),
    }
}

/// Line and column, both from 1, of a byte offset; columns count characters as editors do.
fn line_and_column(source: &str, offset: usize) -> (u32, u32) {
    let before = source.get(..offset).unwrap_or(source);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
    (
        u32::try_from(line).unwrap_or(u32::MAX),
        u32::try_from(column).unwrap_or(u32::MAX),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_characters_not_bytes() {
        assert_eq!(line_and_column("a\nöä = 1", 7), (2, 4));
        assert_eq!(line_and_column("", 0), (1, 1));
        assert_eq!(line_and_column("a\n", 99), (2, 1));
    }

    #[test]
    fn a_missing_key_is_reported_where_its_table_starts() {
        let mut diagnostics = Diagnostics::new(Path::new("x.toml"), "\n[node]\n");
        diagnostics.remember("node", 0, "", 1..7);
        diagnostics.error_at("node", 0, "name", "is missing; add it");
        let (errors, _) = diagnostics.into_problems();
        assert_eq!(
            errors[0].to_string(),
            "x.toml:2:1: node.name: is missing; add it"
        );
    }
}
