//! Echo requests from one machine's station to another's, and how long the answers took.

use std::time::{Duration, Instant};

use wire::checksum::Sum;

use crate::{
    frame::MARKER,
    world::{Happening, World},
};

const ECHO_REQUEST: u8 = 8;
const ICMP: u8 = 1;
/// Ethernet and IPv4.
const L4: usize = 34;
/// Bytes behind the ICMP header.
const DATA: usize = 56;

/// Echo requests, evenly spaced.
#[derive(Clone, Debug)]
pub struct Ping {
    /// Who asks, and who answers.
    pub machines: [usize; 2],
    /// Pause between them.
    pub every: Duration,
    /// When each was sent, and when its answer came.
    pub requests: Vec<(Instant, Option<Instant>)>,
}

impl Ping {
    /// Round trips of the requests sent from `from` to before `to`, sorted, and how many were not answered.
    #[must_use]
    pub fn round_trips(&self, from: Instant, to: Instant) -> (Vec<Duration>, usize) {
        let sent = self
            .requests
            .iter()
            .filter(|(at, _)| (from..to).contains(at));
        let all: Vec<_> = sent.map(|&(at, back)| Some(back? - at)).collect();
        let mut answered: Vec<Duration> = all.iter().flatten().copied().collect();
        answered.sort_unstable();
        let lost = all.len() - answered.len();
        (answered, lost)
    }
}

/// A frame with an echo request or answer.
fn frame(machines: [usize; 2], id: u16, number: u32, kind: u8) -> Vec<u8> {
    let [from, to] = machines.map(|machine| machine as u8);
    let [high, low] = id.to_be_bytes();
    let mut out = vec![2, 0x50, to, 0, high, low, 2, 0x50, from, 0, high, low, 8, 0];
    let total = (20 + 8 + DATA) as u8;
    let mut ip = [0x45, 0, 0, total, 0, 0, 0x40, 0, 64, ICMP, 0, 0].to_vec();
    ip.extend([192, 0, 2, from + 1, 192, 0, 2, to + 1]);
    let sum = Sum::new().bytes(&ip).checksum();
    ip[10..12].copy_from_slice(&sum.to_be_bytes());
    out.extend(ip);
    out.extend([kind, 0, 0, 0, high, low, (number >> 8) as u8, number as u8]);
    out.extend(MARKER);
    out.extend(number.to_be_bytes());
    out.resize(L4 + 8 + DATA, 0x33);
    let sum = Sum::new().bytes(&out[L4..]).checksum();
    out[L4 + 2..L4 + 4].copy_from_slice(&sum.to_be_bytes());
    out
}

/// The echo that a frame belongs to, and its number.
#[must_use]
pub fn identify(frame: &[u8]) -> Option<(u16, u32)> {
    let echo = frame.get(12..14)? == [8, 0] && *frame.get(23)? == ICMP;
    let id = u16::from_be_bytes(frame.get(L4 + 4..L4 + 6)?.try_into().ok()?);
    let number = u32::from_be_bytes(frame.get(L4 + 16..L4 + 20)?.try_into().ok()?);
    (echo && frame.get(L4 + 8..L4 + 16)? == MARKER).then_some((id, number))
}

impl World {
    /// Asks every `every` from now on; returns the number of these pings.
    pub fn add_ping(&mut self, machines: [usize; 2], every: Duration) -> usize {
        self.pings.push(Ping {
            machines,
            every,
            requests: Vec::new(),
        });
        let id = self.pings.len() - 1;
        self.schedule(self.now, Happening::Ping(id));
        id
    }

    pub(crate) fn on_ping(&mut self, id: usize) {
        let ping = &mut self.pings[id];
        let number = ping.requests.len() as u32;
        ping.requests.push((self.now, None));
        let (machines, next) = (ping.machines, self.now + ping.every);
        self.schedule(next, Happening::Ping(id));
        self.offer(
            machines[0],
            frame(machines, id as u16, number, ECHO_REQUEST),
        );
    }

    pub(crate) fn on_echo(&mut self, id: usize, number: u32) {
        let [asks, answers] = self.pings[id].machines;
        self.offer(answers, frame([answers, asks], id as u16, number, 0));
    }

    pub(crate) fn on_ping_frame(
        &mut self,
        host: usize,
        id: u16,
        number: u32,
    ) -> Result<(), String> {
        let (now, index) = (self.now, usize::from(id));
        let wrong = |what| format!("echo {number} of {id} {what}");
        let ping = self
            .pings
            .get_mut(index)
            .ok_or_else(|| wrong("of nobody"))?;
        if host == ping.machines[1] {
            self.schedule(now, Happening::Echo(index, number));
            return Ok(());
        }
        let request = ping.requests.get_mut(number as usize);
        let (_, answered) = request.ok_or_else(|| wrong("that was not sent"))?;
        match answered.replace(now) {
            None => Ok(()),
            Some(_) => Err(wrong("twice")),
        }
    }
}
