//! Which local ports are watched for a network that drops frames of foreign stations.

use std::time::Instant;

use bridge::{PortId, foreign::ForeignWatch};
use wire::ethernet::{Frame, Mac};

/// By port; a port without a watch costs a look.
#[derive(Default)]
pub(crate) struct Watches(Vec<Option<ForeignWatch>>);

impl Watches {
    /// Begins to watch `port`, whose interface has the address `own`; `None`: ends it.
    pub(crate) fn set(&mut self, port: PortId, watch: Option<ForeignWatch>) {
        let at = usize::from(port.0);
        if self.0.len() <= at {
            self.0.resize(at + 1, None);
        }
        self.0[at] = watch;
    }

    pub(super) fn sent(&mut self, port: PortId, frame: &[u8], now: Instant) {
        if let Some(watch) = self.get_mut(port)
            && let Some(frame) = Frame::parse(frame)
        {
            watch.sent(frame.dst(), now);
        }
    }

    pub(super) fn received(&mut self, port: PortId, dst: Mac) {
        if let Some(watch) = self.get_mut(port) {
            watch.received(dst);
        }
    }

    /// Whether the network behind `port` seems to drop frames of foreign stations.
    pub(crate) fn is_blocked(&self, port: PortId, now: Instant) -> bool {
        let watch = self.0.get(usize::from(port.0));
        watch.is_some_and(|watch| watch.as_ref().is_some_and(|watch| watch.is_blocked(now)))
    }

    fn get_mut(&mut self, port: PortId) -> Option<&mut ForeignWatch> {
        self.0.get_mut(usize::from(port.0))?.as_mut()
    }
}
