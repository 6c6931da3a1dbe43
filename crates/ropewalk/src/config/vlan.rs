//! Lists of VLANs as people write them: `[10, "20-29"]`.

use std::fmt;

use toml::de::DeValue;

use super::section::Complaint;
use super::value::wrong_type;

/// The highest VLAN identifier that may be used; 4095 is reserved (IEEE 802.1Q-2022, table 9-2).
pub const VLAN_MAX: u16 = 4094;

/// A set of VLAN identifiers, 0 to [`VLAN_MAX`]; 0 stands for untagged frames.
#[derive(Clone, PartialEq, Eq)]
pub struct VlanSet {
    bits: Box<[u64; 64]>,
}

impl Default for VlanSet {
    /// The set with nothing in it.
    fn default() -> Self {
        Self {
            bits: Box::new([0; 64]),
        }
    }
}

impl VlanSet {
    /// Adds a VLAN; one above [`VLAN_MAX`] is left out.
    pub fn insert(&mut self, vlan: u16) {
        if vlan <= VLAN_MAX
            && let Some(word) = self.bits.get_mut(usize::from(vlan / 64))
        {
            *word |= 1 << (vlan % 64);
        }
    }

    /// Whether a VLAN is in the set.
    pub fn contains(&self, vlan: u16) -> bool {
        self.bits
            .get(usize::from(vlan / 64))
            .is_some_and(|word| word >> (vlan % 64) & 1 == 1)
    }

    /// The VLANs of the set in rising order.
    pub fn iter(&self) -> impl Iterator<Item = u16> {
        (0..=VLAN_MAX).filter(|vlan| self.contains(*vlan))
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.bits.iter().all(|word| *word == 0)
    }
}

impl FromIterator<u16> for VlanSet {
    fn from_iter<I: IntoIterator<Item = u16>>(vlans: I) -> Self {
        let mut set = Self::default();
        vlans.into_iter().for_each(|vlan| set.insert(vlan));
        set
    }
}

/// As `10,20-29`; an empty set as `none`.
impl fmt::Display for VlanSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("none");
        }
        let starts = self
            .iter()
            .filter(|vlan| *vlan == 0 || !self.contains(vlan - 1));
        for (nth, first) in starts.enumerate() {
            let last = (first..=VLAN_MAX)
                .take_while(|vlan| self.contains(*vlan))
                .last();
            let comma = if nth == 0 { "" } else { "," };
            match last.filter(|last| *last != first) {
                Some(last) => write!(f, "{comma}{first}-{last}")?,
                None => write!(f, "{comma}{first}")?,
            }
        }
        Ok(())
    }
}

impl fmt::Debug for VlanSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VlanSet({self})")
    }
}

/// One element of a VLAN list, as the inclusive range it stands for; `lowest` is 0 where
/// untagged frames may be named, else 1.
pub(super) fn range(value: &DeValue<'_>, lowest: u16) -> Result<(u16, u16), Complaint> {
    match value {
        DeValue::Integer(number) => {
            let vlan = u16::from_str_radix(number.as_str(), number.radix()).ok();
            let vlan = checked(vlan, lowest).ok_or_else(|| refused(&number.to_string(), lowest))?;
            Ok((vlan, vlan))
        }
        DeValue::String(text) => range_text(text, lowest),
        other => Err(wrong_type(other, "write VLANs as 10 or \"20-29\"")),
    }
}

fn range_text(text: &str, lowest: u16) -> Result<(u16, u16), Complaint> {
    let refused = || refused(&format!("{text:?}"), lowest);
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let bound = |text: &str| checked(text.trim().parse().ok(), lowest).ok_or_else(refused);
    let (first, last) = (bound(first)?, bound(last)?);
    if first > last {
        return Err(format!("{text:?} runs backwards; write \"{last}-{first}\""));
    }
    Ok((first, last))
}

fn checked(vlan: Option<u16>, lowest: u16) -> Option<u16> {
    vlan.filter(|vlan| (lowest..=VLAN_MAX).contains(vlan))
}

fn refused(what: &str, lowest: u16) -> Complaint {
    format!("{what} is no VLAN; write numbers from {lowest} to {VLAN_MAX}, ranges as \"20-29\"")
}

/// The set that a list of ranges stands for.
pub(super) fn set(ranges: Vec<(u16, u16)>) -> VlanSet {
    ranges
        .into_iter()
        .flat_map(|(first, last)| first..=last)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_as_it_is_written() {
        let set = set(vec![(20, 29), (10, 10), (0, 0), (4094, 4094), (28, 31)]);
        assert_eq!(set.to_string(), "0,10,20-31,4094");
        assert_eq!(VlanSet::default().to_string(), "none");
        assert_eq!(set.iter().count(), 15);
        assert!(!set.contains(9) && !set.contains(u16::MAX));
    }

    #[test]
    fn refuses_what_is_no_vlan() {
        for bad in ["4095", "x", "20-", "-5", "30-20", "0"] {
            assert!(range_text(bad, 1).is_err(), "{bad}");
        }
        assert_eq!(range_text("0-4094", 0), Ok((0, 4094)));
    }
}
