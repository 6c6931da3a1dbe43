//! One table of the file, read key by key: what nobody asked for is unknown.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::diagnostic::Diagnostics;

/// What a parser says of a value it refuses: what is wrong, a semicolon, what to do.
pub(super) type Complaint = String;

/// A table being read. Every read notes its key as known; [`Section::finish`] reports the rest.
pub(super) struct Section<'t> {
    name: &'static str,
    index: usize,
    table: &'t DeTable<'t>,
    known: Vec<&'static str>,
}

impl<'t> Section<'t> {
    /// `index` counts the tables of the same name from 0.
    pub(super) fn new(
        diagnostics: &mut Diagnostics<'_>,
        name: &'static str,
        index: usize,
        table: &'t DeTable<'t>,
        at: Range<usize>,
    ) -> Self {
        diagnostics.remember(name, index, "", at);
        Self {
            name,
            index,
            table,
            known: Vec::new(),
        }
    }

    /// Reads one key with a parser; `None` when it is absent or was refused (and reported).
    pub(super) fn read<T>(
        &mut self,
        diagnostics: &mut Diagnostics<'_>,
        key: &'static str,
        parse: impl FnOnce(&DeValue<'_>) -> Result<T, Complaint>,
    ) -> Option<T> {
        let value = self.take(diagnostics, key)?;
        match parse(value.get_ref()) {
            Ok(parsed) => Some(parsed),
            Err(complaint) => {
                diagnostics.error_at(self.name, self.index, key, complaint);
                None
            }
        }
    }

    /// Like [`Self::read`], and reports the key when it is absent, with what to write.
    pub(super) fn require<T>(
        &mut self,
        diagnostics: &mut Diagnostics<'_>,
        key: &'static str,
        remedy: &str,
        parse: impl FnOnce(&DeValue<'_>) -> Result<T, Complaint>,
    ) -> Option<T> {
        if !self.table.contains_key(key) {
            let message = format!("is missing; {remedy}");
            diagnostics.error_at(self.name, self.index, key, message);
        }
        self.read(diagnostics, key, parse)
    }

    /// Reads a list, or one value as a list of one; each refused element is reported at its own
    /// place. `None` when the key is absent or any element was refused, so that positions in the
    /// result are those in the file.
    pub(super) fn list<T>(
        &mut self,
        diagnostics: &mut Diagnostics<'_>,
        key: &'static str,
        mut parse: impl FnMut(&DeValue<'_>) -> Result<T, Complaint>,
    ) -> Option<Vec<T>> {
        let value = self.take(diagnostics, key)?;
        let DeValue::Array(array) = value.get_ref() else {
            return self
                .element(diagnostics, key, 0, value, &mut parse)
                .map(|one| vec![one]);
        };
        let mut parsed = Vec::with_capacity(array.len());
        for (at, value) in array.iter().enumerate() {
            parsed.extend(self.element(diagnostics, key, at, value, &mut parse));
        }
        (parsed.len() == array.len()).then_some(parsed)
    }

    fn element<T>(
        &self,
        diagnostics: &mut Diagnostics<'_>,
        key: &'static str,
        at: usize,
        value: &Spanned<DeValue<'_>>,
        parse: &mut impl FnMut(&DeValue<'_>) -> Result<T, Complaint>,
    ) -> Option<T> {
        let key = format!("{key}.{at}");
        diagnostics.remember(self.name, self.index, &key, value.span());
        match parse(value.get_ref()) {
            Ok(parsed) => Some(parsed),
            Err(complaint) => {
                diagnostics.error_at(self.name, self.index, &key, complaint);
                None
            }
        }
    }

    fn take(
        &mut self,
        diagnostics: &mut Diagnostics<'_>,
        key: &'static str,
    ) -> Option<&'t Spanned<DeValue<'t>>> {
        self.known.push(key);
        let value = self.table.get(key)?;
        diagnostics.remember(self.name, self.index, key, value.span());
        Some(value)
    }

    /// True when the table has this key.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// Reports a complaint at one of this table's keys.
    pub(super) fn error(
        &self,
        diagnostics: &mut Diagnostics<'_>,
        key: &str,
        complaint: impl Into<String>,
    ) {
        diagnostics.error_at(self.name, self.index, key, complaint);
    }

    /// Warns at one of this table's keys.
    pub(super) fn warning(
        &self,
        diagnostics: &mut Diagnostics<'_>,
        key: &str,
        message: impl Into<String>,
    ) {
        diagnostics.warning_at(self.name, self.index, key, message);
    }

    /// Warns of each of these keys that is present and does nothing in this version.
    pub(super) fn not_yet(&self, diagnostics: &mut Diagnostics<'_>, keys: &[&str]) {
        for key in keys.iter().filter(|key| self.has(key)) {
            self.warning(diagnostics, key, NOT_YET);
        }
    }

    /// Reports every key that no read asked for.
    pub(super) fn finish(self, diagnostics: &mut Diagnostics<'_>) {
        for (key, _) in self.table {
            let name = key.get_ref().as_ref();
            if !self.known.contains(&name) {
                let dotted = format!("{}.{name}", self.name);
                diagnostics.error(&key.span(), &dotted, unknown_key(name, &self.known));
            }
        }
    }
}

/// Said of a key that is checked but does nothing yet, so that nobody relies on it.
const NOT_YET: &str = "is not yet in effect in this version; it is checked and otherwise ignored";

/// What to say of a key that does not exist: the nearest one, or all of them.
pub(super) fn unknown_key(name: &str, known: &[&str]) -> Complaint {
    let wanted = name.to_lowercase().replace('_', "-");
    let nearest = known
        .iter()
        .map(|key| (strsim::damerau_levenshtein(&wanted, key), key))
        .min()
        .filter(|(distance, key)| *distance <= 1 + key.len() / 4);
    match nearest {
        Some((_, key)) => format!("is no key of this table; did you mean {key}?"),
        None => format!(
            "is no key of this table; the keys here are {}",
            known.join(", ")
        ),
    }
}
