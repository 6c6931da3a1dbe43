//! Questions that tests ask of a world.

use std::time::{Duration, Instant};

use node::{PathSnapshot, PathState, UplinkId};

use crate::world::World;

impl World {
    /// The path of machine `host` that goes over `line` to where its other end is now.
    #[must_use]
    pub fn path(&self, host: usize, line: usize) -> Option<PathSnapshot> {
        let ends = self.lines[line].ends;
        let end = ends.iter().position(|&(machine, _)| machine == host)?;
        let (other, uplink) = ends[1 - end];
        let remote = self.public_ip(other, uplink);
        let snapshot = self.snapshot(host)?;
        let mut paths = snapshot.peers.into_iter().flat_map(|peer| peer.paths);
        paths.find(|path| path.uplink == UplinkId(ends[end].1) && path.remote.ip() == remote)
    }

    /// Whether both ends say that `line` is up.
    #[must_use]
    pub fn line_is_up(&self, line: usize) -> bool {
        self.lines[line].ends.iter().all(|&(host, _)| {
            self.path(host, line)
                .is_some_and(|path| path.state == PathState::Up)
        })
    }

    /// Whether both ends say that every line is up.
    #[must_use]
    pub fn all_lines_up(&self) -> bool {
        (0..self.lines.len()).all(|line| self.line_is_up(line))
    }

    /// Whether an end sends data over `line`.
    #[must_use]
    pub fn carries(&self, host: usize, line: usize) -> bool {
        self.path(host, line).is_some_and(|path| path.active)
    }

    /// Whether all peers of all running machines are up.
    #[must_use]
    pub fn all_peers_up(&self) -> bool {
        (0..self.hosts.len())
            .filter_map(|host| self.snapshot(host))
            .all(|snapshot| snapshot.peers.iter().all(|peer| peer.up))
    }

    /// Frames of all streams sent from `from` to before `to` that did not arrive.
    #[must_use]
    pub fn lost(&self, from: Instant, to: Instant) -> usize {
        self.streams
            .iter()
            .map(|stream| stream.lost(from, to))
            .sum()
    }

    /// Frames of all streams sent from `from` to before `to` that arrived.
    #[must_use]
    pub fn arrived(&self, from: Instant, to: Instant) -> usize {
        self.streams
            .iter()
            .map(|stream| stream.arrived(from, to))
            .sum()
    }

    /// How long after `since` the first frame sent after it arrived on the stream that took longest; `None`: one never.
    #[must_use]
    pub fn first_arrival_after(&self, since: Instant) -> Option<Duration> {
        let firsts = self
            .streams
            .iter()
            .map(|stream| stream.fates(since, self.now).flatten().min());
        firsts
            .collect::<Option<Vec<Instant>>>()?
            .into_iter()
            .max()
            .map(|at| at - since)
    }

    /// How often a drop reason applied at a machine.
    #[must_use]
    pub fn drops(&self, host: usize, reason: &str) -> u64 {
        let drops = self
            .snapshot(host)
            .map(|snapshot| snapshot.drops)
            .unwrap_or_default();
        drops
            .into_iter()
            .find(|&(name, _)| name == reason)
            .map_or(0, |(_, count)| count)
    }

    /// Prints what the machines show, for a failed test.
    pub fn print_state(&self) {
        for host in 0..self.hosts.len() {
            let Some(snapshot) = self.snapshot(host) else {
                continue;
            };
            for peer in snapshot.peers {
                eprintln!(
                    "{} sees {}: up {}, drops {:?}",
                    snapshot.name, peer.name, peer.up, snapshot.drops
                );
                for path in peer.paths {
                    eprintln!(
                        "  {:?} {} {:?} ({}) active {} rtt {:?} loss {:?} mtu {} {:?}",
                        path.uplink,
                        path.remote,
                        path.state,
                        path.reason,
                        path.active,
                        path.round_trip,
                        path.loss,
                        path.mtu,
                        path.excluded
                    );
                }
            }
        }
    }
}
