//! Sets of VLANs as they travel between gateways (protocol §16.1): as ranges while these are
//! shorter, else as a bitmap.

use crate::malformed::Malformed;
use crate::reader::Reader;
use crate::vlan::{VlanId, VlanSet};
use bytes::BufMut;

/// The longest a set can be, in bytes.
pub const MAX_VLAN_LIST_LEN: usize = 1 + BITMAP_LEN;

const BITMAP_LEN: usize = 512;
/// In place of a number of ranges.
const BITMAP: u8 = 0xff;
/// As many ranges take less room than the bitmap.
const MAX_RANGES: usize = 127;

/// Appends `vlans`; at most [`MAX_VLAN_LIST_LEN`] bytes.
pub fn put_vlans(out: &mut Vec<u8>, vlans: &VlanSet) {
    let count = vlans.ranges().take(MAX_RANGES + 1).count();
    if count <= MAX_RANGES {
        out.put_u8(count as u8);
        for range in vlans.ranges() {
            out.put_u16(range.start().get());
            out.put_u16(range.end().get());
        }
    } else {
        out.put_u8(BITMAP);
        let at = out.len();
        out.resize(at + BITMAP_LEN, 0);
        for vlan in vlans.iter() {
            let vlan = usize::from(vlan.get());
            out[at + vlan / 8] |= 1 << (vlan % 8);
        }
    }
}

/// Takes one set.
///
/// # Errors
/// [`Malformed`] when it ends early, names a VLAN above 4094, or a range runs backwards.
pub fn read_vlans(reader: &mut Reader<'_>) -> Result<VlanSet, Malformed> {
    let count = reader.u8()?;
    if count == BITMAP {
        return read_bitmap(reader.bytes(BITMAP_LEN)?);
    }
    if usize::from(count) > MAX_RANGES {
        return Err(Malformed::OutOfRange);
    }
    let mut vlans = VlanSet::empty();
    for _ in 0..count {
        let first = VlanId::new(reader.u16()?).ok_or(Malformed::OutOfRange)?;
        let last = VlanId::new(reader.u16()?).ok_or(Malformed::OutOfRange)?;
        if first > last {
            return Err(Malformed::OutOfRange);
        }
        vlans.insert_range(first..=last);
    }
    Ok(vlans)
}

fn read_bitmap(bitmap: &[u8]) -> Result<VlanSet, Malformed> {
    let mut vlans = VlanSet::empty();
    for (at, byte) in bitmap.iter().enumerate().filter(|(_, byte)| **byte != 0) {
        for bit in (0..8).filter(|bit| byte >> bit & 1 != 0) {
            let id = (8 * at + bit) as u16;
            vlans.insert(VlanId::new(id).ok_or(Malformed::OutOfRange)?);
        }
    }
    Ok(vlans)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn round_trip(vlans: &VlanSet) -> usize {
        let mut out = Vec::new();
        put_vlans(&mut out, vlans);
        let mut reader = Reader::new(&out);
        assert_eq!(read_vlans(&mut reader).as_ref(), Ok(vlans));
        assert!(reader.is_empty());
        for short in 0..out.len() {
            let cut = read_vlans(&mut Reader::new(&out[..short]));
            assert_eq!(cut, Err(Malformed::Truncated));
        }
        out.len()
    }

    #[test]
    fn the_shorter_of_ranges_and_bitmap() {
        let every_second: VlanSet = (0..4094).step_by(2).filter_map(VlanId::new).collect();
        assert_eq!(round_trip(&every_second), MAX_VLAN_LIST_LEN);
        assert_eq!(round_trip(&VlanSet::all()), 5);
        assert_eq!(round_trip(&VlanSet::empty()), 1);
    }

    #[test]
    fn vlans_that_do_not_exist_are_refused() {
        let mut bitmap = vec![BITMAP];
        bitmap.resize(MAX_VLAN_LIST_LEN, 0xff);
        let refused = Err(Malformed::OutOfRange);
        assert_eq!(read_vlans(&mut Reader::new(&bitmap)), refused);
        for bytes in [
            [1, 0x0f, 0xff, 0x0f, 0xff],
            [1, 0, 2, 0, 1],
            [128, 0, 0, 0, 0],
        ] {
            assert_eq!(read_vlans(&mut Reader::new(&bytes)), refused, "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn any_set_comes_back(ids in proptest::collection::btree_set(0u16..=4094, 0..300)) {
            let vlans: VlanSet = ids.into_iter().filter_map(VlanId::new).collect();
            prop_assert!(round_trip(&vlans) <= MAX_VLAN_LIST_LEN);
        }
    }
}
