//! `storm-limit`: how many frames that go to many stations a port may bring in.

use toml::de::DeValue;

use super::value::{self, wrong_type};

/// What is counted each second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StormLimit {
    /// Frames.
    Frames(u32),
    /// Bits.
    Bits(u64),
}

/// One limit for each kind; `None`: no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StormLimits {
    /// To everybody.
    pub broadcast: Option<StormLimit>,
    /// To other groups.
    pub multicast: Option<StormLimit>,
    /// To single stations that are not known.
    pub unknown: Option<StormLimit>,
}

/// No network in order has a tenth of this many broadcasts; a loop has a hundred times as many. For
/// the other kinds no number is right everywhere: video is multicast, and a silent station's traffic
/// is to an unknown one.
const DEFAULT_BROADCAST: StormLimit = StormLimit::Frames(10_000);

impl Default for StormLimits {
    fn default() -> Self {
        Self {
            broadcast: Some(DEFAULT_BROADCAST),
            multicast: None,
            unknown: None,
        }
    }
}

const REMEDY: &str = "write frames a second, such as 1000, or a rate, such as \"10 Mbit/s\", or one \
                      for each kind: { broadcast = 1000, multicast = \"10 Mbit/s\", unknown = 1000 }";

/// One limit for all kinds, or a table; kinds that the table leaves out are not limited.
pub(super) fn limits(value: &DeValue<'_>) -> Result<StormLimits, String> {
    let DeValue::Table(table) = value else {
        let one = Some(limit(value)?);
        return Ok(StormLimits {
            broadcast: one,
            multicast: one,
            unknown: one,
        });
    };
    let mut limits = StormLimits {
        broadcast: None,
        multicast: None,
        unknown: None,
    };
    for (key, value) in table {
        let place = match key.get_ref().as_ref() {
            "broadcast" => &mut limits.broadcast,
            "multicast" => &mut limits.multicast,
            "unknown" => &mut limits.unknown,
            other => return Err(format!("{other:?} is no kind of frames; {REMEDY}")),
        };
        *place = Some(limit(value.get_ref())?);
    }
    Ok(limits)
}

fn limit(value: &DeValue<'_>) -> Result<StormLimit, String> {
    match value {
        DeValue::Integer(_) => {
            let frames = value::integer(value, 1..=100_000_000, "frames a second")?;
            Ok(StormLimit::Frames(
                u32::try_from(frames).unwrap_or(u32::MAX),
            ))
        }
        DeValue::String(_) => value::rate(value).map(StormLimit::Bits),
        other => Err(wrong_type(other, REMEDY)),
    }
}
