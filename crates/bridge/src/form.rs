//! The tag with which a frame leaves a port.

use wire::ethernet::{Frame, Tag, pop_tag, write_tagged};
use wire::vlan::VlanId;

/// How a frame leaves a port.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Form {
    /// Exactly as it came: VLAN 0 on transparent and peer ports, where a priority tag stays too.
    AsIs,
    /// Without C-VLAN tag.
    Untagged,
    /// With a C-VLAN tag of this VLAN, never 0.
    Tagged(VlanId),
}

/// What must be done to a frame to give it a [`Form`].
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Rewrite {
    /// Nothing: send the bytes there are.
    Keep,
    /// Insert a C-VLAN tag with this tag control information behind the addresses: 4 bytes longer.
    Push(u16),
    /// Put this tag control information into the tag there is.
    Replace(u16),
    /// Take the outer C-VLAN tag away: 4 bytes shorter.
    Pop,
}

impl Form {
    /// What `frame` needs to leave in this form. Priority and drop eligibility of its tag stay; a
    /// frame without one gets priority 0. A tag of another type (0x88a8) is never touched.
    #[must_use]
    pub fn rewrite(self, frame: &Frame<'_>) -> Rewrite {
        match (self, frame.tag()) {
            (Self::AsIs, _) | (Self::Untagged, None) => Rewrite::Keep,
            (Self::Untagged, Some(_)) => Rewrite::Pop,
            (Self::Tagged(vlan), Some(tag)) if tag.vlan == vlan.get() => Rewrite::Keep,
            (Self::Tagged(vlan), Some(tag)) => Rewrite::Replace(
                Tag {
                    vlan: vlan.get(),
                    ..tag
                }
                .tci(),
            ),
            (Self::Tagged(vlan), None) => Rewrite::Push(vlan.get()),
        }
    }
}

/// Writes `frame` to `out` in the form with which it leaves, and returns its length: that of the
/// frame, or 4 bytes more or less. Returns 0 when `out` is too short or the frame is a runt.
#[must_use]
pub fn encode(frame: &[u8], form: Form, out: &mut [u8]) -> usize {
    let Some(frame) = Frame::parse(frame) else {
        return 0;
    };
    let written = match form.rewrite(&frame) {
        Rewrite::Keep => out.get_mut(..frame.bytes().len()).map(|out| {
            out.copy_from_slice(frame.bytes());
            out.len()
        }),
        Rewrite::Push(tci) | Rewrite::Replace(tci) => write_tagged(out, &frame, tci),
        Rewrite::Pop => pop_tag(out, &frame),
    };
    written.unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TAGGED_10: &[u8] = &[0x81, 0, 0xb0, 10, 8, 0, 9];
    const PRIORITY: &[u8] = &[0x81, 0, 0xb0, 0, 8, 0, 9];
    const PLAIN: &[u8] = &[8, 0, 9];
    const DOUBLE: &[u8] = &[0x88, 0xa8, 0, 5, 0x81, 0, 0, 6, 8, 0, 9];

    fn frame(tail: &[u8]) -> Vec<u8> {
        [&[2; 12][..], tail].concat()
    }

    #[test]
    fn every_form_of_every_frame() {
        let ten = Form::Tagged(VlanId::new(10).unwrap());
        let eleven = Form::Tagged(VlanId::new(11).unwrap());
        let push = |tail: &[u8]| [&[0x81, 0, 0, 10][..], tail].concat();
        for (tail, form, expected) in [
            (PLAIN, Form::AsIs, PLAIN.to_vec()),
            (PRIORITY, Form::AsIs, PRIORITY.to_vec()),
            (DOUBLE, Form::AsIs, DOUBLE.to_vec()),
            (PLAIN, Form::Untagged, PLAIN.to_vec()),
            (PRIORITY, Form::Untagged, PLAIN.to_vec()),
            (TAGGED_10, Form::Untagged, PLAIN.to_vec()),
            (DOUBLE, Form::Untagged, DOUBLE.to_vec()),
            (PLAIN, ten, push(PLAIN)),
            (PRIORITY, ten, TAGGED_10.to_vec()),
            (TAGGED_10, ten, TAGGED_10.to_vec()),
            (TAGGED_10, eleven, vec![0x81, 0, 0xb0, 11, 8, 0, 9]),
            (DOUBLE, ten, push(DOUBLE)),
        ] {
            let mut out = [0; 64];
            let len = encode(&frame(tail), form, &mut out);
            assert_eq!(out[..len], frame(&expected), "{tail:x?} {form:?}");
            assert_eq!(encode(&frame(tail), form, &mut out[..len - 1]), 0);
        }
        assert_eq!(encode(&[2; 13], Form::AsIs, &mut [0; 64]), 0);
    }

    proptest! {
        #[test]
        fn hostile_frames(bytes in proptest::collection::vec(any::<u8>(), 0..40), vlan in 1u16..4095) {
            let mut out = [0; 64];
            for form in [Form::AsIs, Form::Untagged, Form::Tagged(VlanId::new(vlan).unwrap())] {
                let len = encode(&bytes, form, &mut out);
                prop_assert!(len == 0 || len.abs_diff(bytes.len()) <= 4);
            }
        }
    }
}
