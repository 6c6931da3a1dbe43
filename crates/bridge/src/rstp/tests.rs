//! The machines against the standard's figures, and the façade.

mod facade;
mod figures;
mod figures_small;
mod role_transitions;

use super::config::RstpPortConfig;
use super::event::{RstpEvent, RstpSink};
use super::port::Port;
use crate::port::{PortId, PortState};
use wire::bpdu::Times;

/// The defaults of table 17-1.
const TIMES: Times = Times {
    message_age: 0,
    max_age: 20 * 256,
    hello_time: 2 * 256,
    forward_delay: 15 * 256,
};

fn port(id: u16) -> Port {
    Port::begin(PortId(id), RstpPortConfig::default(), TIMES, true)
}

/// Remembers everything.
#[derive(Debug, Default)]
struct Sink {
    sent: Vec<(PortId, Vec<u8>)>,
    states: Vec<(PortId, PortState)>,
    flushed: Vec<PortId>,
    events: Vec<RstpEvent>,
}

impl RstpSink for Sink {
    fn send(&mut self, port: PortId, frame: &[u8]) {
        self.sent.push((port, frame.to_vec()));
    }

    fn set_state(&mut self, port: PortId, state: PortState) {
        self.states.push((port, state));
    }

    fn flush(&mut self, port: PortId) {
        self.flushed.push(port);
    }

    fn event(&mut self, event: RstpEvent) {
        self.events.push(event);
    }
}

/// A transition of a figure: its name, the condition, and what the state that it enters does,
/// together with the one that this leaves for unconditionally.
type Row<T> = (&'static str, fn(&T) -> bool, fn(&mut T));

/// Takes `subject` one step and holds that against the rows that may be taken.
fn hold<T: Clone + std::fmt::Debug>(
    rows: &[Row<T>],
    subject: &T,
    step: impl FnOnce(&mut T) -> bool,
) {
    let mut after = subject.clone();
    let moved = step(&mut after);
    let after = format!("{after:?}");
    let open: Vec<_> = rows.iter().filter(|(_, when, _)| when(subject)).collect();
    let names: Vec<_> = open.iter().map(|(name, ..)| name).collect();
    assert_eq!(moved, !open.is_empty(), "{names:?} of {subject:?}");
    let results = open.iter().map(|(_, _, then)| {
        let mut result = subject.clone();
        then(&mut result);
        format!("{result:?}")
    });
    let results: Vec<_> = results.collect();
    let held = !moved && after == format!("{subject:?}") || results.contains(&after);
    assert!(
        held,
        "{names:?}\nfrom {subject:?}\nto {after}\nnot {results:#?}"
    );
}

/// Bit `at` of a number that enumerates combinations.
const fn bit(bits: u32, at: u32) -> bool {
    bits >> at & 1 != 0
}
