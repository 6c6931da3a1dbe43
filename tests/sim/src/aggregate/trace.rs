//! A time series of a run.

use std::{
    fmt::{self, Write as _},
    time::Instant,
};

use crate::{World, tcp::MSS};

/// What was counted when the last line was written.
#[derive(Debug, Default)]
pub struct Trace {
    began: Option<Instant>,
    last: Option<Instant>,
    /// Bytes per line and direction.
    carried: Vec<[u64; 2]>,
    lost: Vec<[u64; 2]>,
    /// Segments that reached the application, per transfer.
    received: Vec<u64>,
}

impl Trace {
    /// The names of the columns.
    #[must_use]
    pub fn header(world: &World) -> String {
        let mut out = format!("{:>6}", "s");
        for line in 0..world.lines.len() {
            let (name, [queue, state]) = (format!("line{line}"), ["qu.ms", "path"]);
            let _ = write!(
                out,
                " |{name:>6} {:>6} {queue:>5} {:>4} {state:<4}",
                "back", "lost"
            );
        }
        for id in 0..world.connections.len() {
            let name = format!("tcp{id}");
            let _ = write!(
                out,
                " |{name:>6} {:>5} {:>5} {:>6} {:>4} {:>3}",
                "cwnd", "fly", "srtt", "rtx", "rto"
            );
        }
        if !world.pings.is_empty() {
            let _ = write!(out, " |{:>6}", "ping");
        }
        out + " | Mbit/s, segments, ms"
    }

    /// The next line; `None` at the first call.
    pub fn line(&mut self, world: &World) -> Option<String> {
        let now = world.now;
        let began = *self.began.get_or_insert(now);
        let last = self.last.replace(now);
        let seconds = last.map(|last| (now - last).as_secs_f64());
        let mut out = format!("{:>6.1}", (now - began).as_secs_f64());
        let wrote = self.lines(world, seconds, &mut out);
        let wrote = wrote.and_then(|()| self.transfers(world, seconds, &mut out));
        if let (Some(ping), Some(last)) = (world.pings.first(), last) {
            let (times, _) = ping.round_trips(last - crate::ms(100), now);
            let worst = times.last().map(|t| t.as_secs_f64() * 1e3);
            let _ = write!(out, " |{:>6.1}", worst.unwrap_or(f64::NAN));
        }
        wrote.ok()?;
        last.map(|_| out)
    }

    fn lines(&mut self, world: &World, seconds: Option<f64>, out: &mut String) -> fmt::Result {
        self.carried.resize(world.lines.len(), [0; 2]);
        self.lost.resize(world.lines.len(), [0; 2]);
        for (id, line) in world.lines.iter().enumerate() {
            let carried = [0, 1].map(|end| line.directions[end].carried_bytes);
            let lost = [0, 1].map(|end| line.directions[end].lost);
            let rate = |end: usize| {
                let bytes = carried[end] - self.carried[id][end];
                bytes as f64 * 8e-6 / seconds.unwrap_or(1.0)
            };
            let ahead = &line.directions[0];
            let queue = ahead.waiting(world.now) as f64 * 8e3 / ahead.shape.rate.max(1) as f64;
            let new = lost[0] - self.lost[id][0];
            let (ahead, back, state) = (rate(0), rate(1), state(world, id));
            write!(
                out,
                " |{ahead:>6.2} {back:>6.2} {queue:>5.1} {new:>4} {state:<4}"
            )?;
            (self.carried[id], self.lost[id]) = (carried, lost);
        }
        Ok(())
    }

    fn transfers(&mut self, world: &World, seconds: Option<f64>, out: &mut String) -> fmt::Result {
        self.received.resize(world.connections.len(), 0);
        for (id, transfer) in world.connections.iter().enumerate() {
            let received = transfer.receiver.next();
            let bytes = (received - self.received[id]) * MSS as u64;
            let rate = bytes as f64 * 8e-6 / seconds.unwrap_or(1.0);
            self.received[id] = received;
            let sender = &transfer.sender;
            let srtt = sender.smoothed_round_trip().unwrap_or_default();
            write!(
                out,
                " |{rate:>6.2} {:>5} {:>5} {:>6.1} {:>4} {:>3}",
                sender.window(),
                sender.in_flight(),
                srtt.as_secs_f64() * 1e3,
                sender.counts.resent,
                sender.counts.timeouts,
            )?;
        }
        Ok(())
    }
}

/// What machine 0 thinks of its path over a line; with a star, it sends data there.
fn state(world: &World, line: usize) -> String {
    let Some(path) = world.path(0, line) else {
        return "-".to_owned();
    };
    let mut name = format!("{:?}", path.state);
    name.truncate(3);
    if path.active {
        name.push('*');
    }
    name
}
