//! `[switch]`: the bridge's own settings. Those of the spanning tree are checked here and put to use by a later version.

use toml::de::DeValue;

use super::diagnostic::Diagnostics;
use super::section::{Complaint, Section};
use super::value;

/// `[switch]`; the values of IEEE 802.1Q-2022, tables 13-5 and 8-6, where the file is silent and the standard is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SwitchConfig {
    /// Bridge priority, a multiple of 4096.
    pub stp_priority: u16,
    /// Seconds between BPDUs.
    pub hello_time_s: u16,
    /// Seconds until what a BPDU said is forgotten.
    pub max_age_s: u16,
    /// Seconds in each of the states before forwarding.
    pub forward_delay_s: u16,
    /// Seconds until an unused address is forgotten.
    pub ageing_time_s: u32,
    /// The most addresses that are learned.
    pub fdb_limit: u32,
}

impl Default for SwitchConfig {
    fn default() -> Self {
        Self {
            stp_priority: 32_768,
            hello_time_s: 2,
            max_age_s: 20,
            forward_delay_s: 15,
            ageing_time_s: 300,
            fdb_limit: 65_536,
        }
    }
}

/// Reads `[switch]`.
pub(super) fn switch(section: &mut Section<'_>, diagnostics: &mut Diagnostics<'_>) -> SwitchConfig {
    let default = SwitchConfig::default();
    let mut seconds = |section: &mut Section<'_>, key, range, default| {
        let parse = |value: &DeValue<'_>| value::integer_u16(value, range, "seconds");
        section.read(diagnostics, key, parse).unwrap_or(default)
    };
    let hello_time_s = seconds(section, "hello-time", 1..=10, default.hello_time_s);
    let max_age_s = seconds(section, "max-age", 6..=40, default.max_age_s);
    let forward_delay_s = seconds(section, "forward-delay", 4..=30, default.forward_delay_s);
    let switch = SwitchConfig {
        stp_priority: section
            .read(diagnostics, "stp-priority", stp_priority)
            .unwrap_or(default.stp_priority),
        hello_time_s,
        max_age_s,
        forward_delay_s,
        ageing_time_s: section
            .read(diagnostics, "ageing-time", |value| {
                wide(value, 10..=1_000_000)
            })
            .unwrap_or(default.ageing_time_s),
        fdb_limit: section
            .read(diagnostics, "fdb-limit", |value| {
                wide(value, 16..=1_048_576)
            })
            .unwrap_or(default.fdb_limit),
    };
    check_times(section, diagnostics, &switch);
    let keys = ["stp-priority", "hello-time", "max-age", "forward-delay"];
    section.not_yet(diagnostics, &keys);
    switch
}

fn stp_priority(value: &DeValue<'_>) -> Result<u16, Complaint> {
    let priority = value::integer_u16(value, 0..=61_440, "in steps of 4096")?;
    match priority % 4096 {
        0 => Ok(priority),
        _ => Err(format!(
            "is {priority}; choose a multiple of 4096 up to 61440"
        )),
    }
}

fn wide(value: &DeValue<'_>, range: std::ops::RangeInclusive<i64>) -> Result<u32, Complaint> {
    let number = value::integer(value, range, "")?;
    u32::try_from(number).map_err(|_| format!("is {number}; choose a smaller number"))
}

/// The relations of IEEE 802.1Q-2022, 13.25, that keep old information from outliving the tree.
fn check_times(section: &Section<'_>, diagnostics: &mut Diagnostics<'_>, switch: &SwitchConfig) {
    let (hello, age, delay) = (
        switch.hello_time_s,
        switch.max_age_s,
        switch.forward_delay_s,
    );
    if 2 * (delay - 1) < age {
        let key = if section.has("max-age") {
            "max-age"
        } else {
            "forward-delay"
        };
        let message = format!(
            "does not fit: 2 x (forward-delay {delay} - 1) must be at least max-age {age}; \
             raise forward-delay or lower max-age"
        );
        section.error(diagnostics, key, message);
    }
    if age < 2 * (hello + 1) {
        let key = if section.has("max-age") {
            "max-age"
        } else {
            "hello-time"
        };
        let message = format!(
            "does not fit: max-age {age} must be at least 2 x (hello-time {hello} + 1); raise \
             max-age or lower hello-time"
        );
        section.error(diagnostics, key, message);
    }
}
