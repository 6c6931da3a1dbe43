//! VLAN identifiers and sets of them (IEEE 802.1Q).

use std::fmt;
use std::ops::RangeInclusive;

/// A VLAN, 0 to 4094. 0 is our name for frames without a VLAN tag; on the wire, IEEE 802.1Q
/// uses it for frames that have only a priority. 4095 is reserved by the standard.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VlanId(u16);

impl VlanId {
    /// The VLAN of frames without a tag.
    pub const UNTAGGED: Self = Self(0);
    /// The last VLAN.
    pub const MAX: Self = Self(4094);

    /// `None` above 4094.
    #[must_use]
    pub const fn new(id: u16) -> Option<Self> {
        if id <= Self::MAX.0 {
            Some(Self(id))
        } else {
            None
        }
    }

    /// The number, 0 to 4094.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl fmt::Display for VlanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

const WORDS: usize = 64;

/// A set of VLANs, as a bitmap of 512 bytes.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct VlanSet {
    words: [u64; WORDS],
}

impl VlanSet {
    /// No VLAN.
    #[must_use]
    pub const fn empty() -> Self {
        Self { words: [0; WORDS] }
    }

    /// Every VLAN, 0 (untagged) to 4094.
    #[must_use]
    pub const fn all() -> Self {
        let mut words = [u64::MAX; WORDS];
        words[WORDS - 1] = u64::MAX >> 1;
        Self { words }
    }

    /// The VLANs of all `ranges`; an inverted range is empty.
    #[must_use]
    pub fn from_ranges(ranges: impl IntoIterator<Item = RangeInclusive<VlanId>>) -> Self {
        let mut set = Self::empty();
        for range in ranges {
            set.insert_range(range);
        }
        set
    }

    /// Adds one VLAN.
    pub fn insert(&mut self, vlan: VlanId) {
        let (word, bit) = place(vlan);
        self.words[word] |= bit;
    }

    /// Adds the VLANs of a range.
    pub fn insert_range(&mut self, range: RangeInclusive<VlanId>) {
        for id in range.start().0..=range.end().0 {
            self.insert(VlanId(id));
        }
    }

    /// Removes one VLAN.
    pub fn remove(&mut self, vlan: VlanId) {
        let (word, bit) = place(vlan);
        self.words[word] &= !bit;
    }

    /// Whether `vlan` is in the set.
    #[must_use]
    pub fn contains(&self, vlan: VlanId) -> bool {
        let (word, bit) = place(vlan);
        self.words[word] & bit != 0
    }

    /// The VLANs of both sets.
    #[must_use]
    pub fn intersect(&self, other: &Self) -> Self {
        Self {
            words: std::array::from_fn(|i| self.words[i] & other.words[i]),
        }
    }

    /// The VLANs of either set.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        Self {
            words: std::array::from_fn(|i| self.words[i] | other.words[i]),
        }
    }

    /// The VLANs of this set that are not in the other.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        Self {
            words: std::array::from_fn(|i| self.words[i] & !other.words[i]),
        }
    }

    /// Whether every VLAN of this set is in the other.
    #[must_use]
    pub fn is_subset(&self, other: &Self) -> bool {
        let mut pairs = self.words.iter().zip(&other.words);
        pairs.all(|(one, other)| one & !other == 0)
    }

    /// Whether no VLAN is in the set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.words == [0; WORDS]
    }

    /// Whether every VLAN is in the set.
    #[must_use]
    pub fn is_all(&self) -> bool {
        *self == Self::all()
    }

    /// How many VLANs are in the set.
    #[must_use]
    pub fn len(&self) -> usize {
        self.words
            .iter()
            .map(|word| word.count_ones() as usize)
            .sum()
    }

    /// The VLANs in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = VlanId> + '_ {
        (0..=VlanId::MAX.0)
            .map(VlanId)
            .filter(|&vlan| self.contains(vlan))
    }

    /// The set as the fewest ranges, ascending; they neither touch nor overlap.
    pub fn ranges(&self) -> impl Iterator<Item = RangeInclusive<VlanId>> + '_ {
        let mut from = 0;
        std::iter::from_fn(move || {
            let first = (from..=VlanId::MAX.0).find(|&id| self.contains(VlanId(id)))?;
            let next = (first..=VlanId::MAX.0).find(|&id| !self.contains(VlanId(id)));
            from = next.unwrap_or(VlanId::MAX.0 + 1);
            Some(VlanId(first)..=VlanId(from - 1))
        })
    }
}

impl Default for VlanSet {
    fn default() -> Self {
        Self::empty()
    }
}

impl FromIterator<VlanId> for VlanSet {
    fn from_iter<I: IntoIterator<Item = VlanId>>(vlans: I) -> Self {
        let mut set = Self::empty();
        vlans.into_iter().for_each(|vlan| set.insert(vlan));
        set
    }
}

/// As in a configuration file: `10,20-29`.
impl fmt::Display for VlanSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, range) in self.ranges().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            let (first, last) = range.into_inner();
            if first == last {
                write!(f, "{comma}{first}")?;
            } else {
                write!(f, "{comma}{first}-{last}")?;
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

/// The word of a VLAN, below [`WORDS`] since a VLAN is below 4096, and its bit in there.
fn place(vlan: VlanId) -> (usize, u64) {
    (usize::from(vlan.0 / 64), 1 << (vlan.0 % 64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn vlan(id: u16) -> VlanId {
        VlanId::new(id).unwrap()
    }

    #[test]
    fn limits() {
        assert_eq!(VlanId::new(4094), Some(VlanId::MAX));
        assert_eq!(VlanId::new(4095), None);
        assert_eq!(VlanSet::all().len(), 4095);
        assert!(VlanSet::all().is_all() && !VlanSet::all().is_empty());
        assert!(VlanSet::empty().is_empty());
        let all: Vec<_> = VlanSet::all().ranges().collect();
        assert_eq!(all, [VlanId::UNTAGGED..=VlanId::MAX]);
    }

    #[test]
    fn shown_as_ranges() {
        let set = VlanSet::from_ranges([
            vlan(20)..=vlan(28),
            vlan(29)..=vlan(29),
            vlan(10)..=vlan(10),
            vlan(9)..=vlan(8),
            vlan(63)..=vlan(64),
        ]);
        assert_eq!(set.to_string(), "10,20-29,63-64");
        assert_eq!(format!("{set:?}"), "VlanSet(10,20-29,63-64)");
        assert_eq!(VlanSet::empty().to_string(), "");
    }

    proptest! {
        #[test]
        fn like_a_set(
            a in proptest::collection::btree_set(0u16..=4094, 0..60),
            b in proptest::collection::btree_set(0u16..=4094, 0..60),
            probe in 0u16..=4094,
        ) {
            let of = |ids: &BTreeSet<u16>| ids.iter().copied().map(vlan).collect::<VlanSet>();
            let (left, right) = (of(&a), of(&b));
            prop_assert_eq!(left.len(), a.len());
            prop_assert_eq!(left.contains(vlan(probe)), a.contains(&probe));
            let both: Vec<_> = a.intersection(&b).copied().map(vlan).collect();
            prop_assert_eq!(left.intersect(&right).iter().collect::<Vec<_>>(), both);
            let either: Vec<_> = a.union(&b).copied().map(vlan).collect();
            prop_assert_eq!(left.union(&right).iter().collect::<Vec<_>>(), either);
            let one: Vec<_> = a.difference(&b).copied().map(vlan).collect();
            prop_assert_eq!(left.difference(&right).iter().collect::<Vec<_>>(), one);
            prop_assert_eq!(left.is_subset(&right), a.is_subset(&b));
            prop_assert!(left.intersect(&right).is_subset(&left));
            prop_assert_eq!(&VlanSet::from_ranges(left.ranges()), &left);
            let ranges: Vec<_> = left.ranges().collect();
            prop_assert!(ranges.windows(2).all(|w| w[0].end().get() + 1 < w[1].start().get()));
            let mut without = left.clone();
            without.remove(vlan(probe));
            prop_assert!(!without.contains(vlan(probe)));
        }
    }
}
