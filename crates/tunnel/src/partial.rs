//! A super-frame that did not arrive whole: its segments that did, delivered as shorter super-frames.

use wire::{
    superframe::{Shape, SuperFrame},
    vnet::{VNET_LEN, VnetHeader},
};

use crate::assembly::{Arrived, Deliver, insert_range};

/// Delivers the segments of the super-frame `record` (with virtio-net header) that lie within `have` and are not in `written`,
/// and adds them there. Without its headers nothing of it can be delivered.
///
/// `have` are ascending, disjoint byte ranges of the record; the other bytes are not looked at. `written` are segments.
pub(crate) fn write_arrived(
    record: &[u8],
    have: &[(u32, u32)],
    written: &mut Vec<(u32, u32)>,
    scratch: &mut Vec<u8>,
    deliver: Deliver<'_>,
) {
    let Some(whole) = headers(record, have) else {
        return;
    };
    scratch.resize(record.len().max(scratch.len()), 0);
    for &(start, end) in have {
        let frame = |at: u32| (at as usize).saturating_sub(VNET_LEN);
        let arrived = whole.shape().segments_within(frame(start)..frame(end));
        let (mut from, to) = (arrived.start as u32, arrived.end as u32);
        while let Some(run) = next_run(from, to, written) {
            let (head, body) = scratch.split_at_mut(VNET_LEN);
            if let Some((header, len)) = whole.cut(run.0 as usize..run.1 as usize, body) {
                head.copy_from_slice(&header.encode());
                deliver(Arrived {
                    bytes: &scratch[..VNET_LEN + len],
                    vnet: true,
                    sent: None,
                });
            }
            insert_range(written, run);
            from = run.1;
        }
    }
}

/// The super-frame, if it is one and its headers have arrived.
fn headers<'a>(record: &'a [u8], have: &[(u32, u32)]) -> Option<SuperFrame<'a>> {
    let &(_, end) = have.first().filter(|(start, _)| *start == 0)?;
    let (header, frame) = record.split_first_chunk::<VNET_LEN>()?;
    let head = frame.get(..(end as usize).checked_sub(VNET_LEN)?)?;
    let header = VnetHeader::parse(header).ok()?;
    let shape = Shape::check(header, head, frame.len()).ok()?;
    let known = shape.segments() > 1 && shape.header_len() <= head.len();
    SuperFrame::new(shape, frame).filter(|_| known)
}

/// The first run of segments in `from..to` that is not in `written`.
fn next_run(from: u32, to: u32, written: &[(u32, u32)]) -> Option<(u32, u32)> {
    let mut start = from;
    for &(low, high) in written {
        if low > start {
            return Some((start, low.min(to))).filter(|(from, to)| from < to);
        }
        start = start.max(high);
    }
    (start < to).then_some((start, to))
}
