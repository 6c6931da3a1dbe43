//! The constants of the election, each with its reason. They must agree between gateways where it
//! says so.

use std::time::Duration;

/// Pause between two beacons: three may be lost before anything happens.
pub const BEACON_EVERY: Duration = Duration::from_millis(20);
/// A mate not heard for this long does not bind us any more: its last echo is then still fresh
/// enough ([`CLAIM_HOLD`]), so that the death of a gateway that does not forward disturbs nobody.
pub const MATE_QUIET: Duration = Duration::from_millis(55);
/// A claim lasts this long from the sending of the last beacon that a mate echoed. Below
/// [`MATE_DEAD`], by more than clocks differ.
pub const CLAIM_HOLD: Duration = Duration::from_millis(80);
/// A mate not heard for this long is gone: its VLANs are taken. Must agree.
pub const MATE_DEAD: Duration = Duration::from_millis(100);
/// A gateway that starts only listens for this long: ten beacons.
pub const LISTEN: Duration = Duration::from_millis(200);
/// An echo of a beacon sent longer ago proves nothing about a run that was not known.
pub const ECHO_FRESH: Duration = Duration::from_millis(1000);
/// Beacons of ours whose sending time is remembered: more than are sent in [`ECHO_FRESH`].
pub const BEACONS_REMEMBERED: usize = 64;
/// Two beacons sent because something changed are at least this far apart.
pub const BEACON_GAP: Duration = Duration::from_millis(1);
/// Both mates claim a VLAN and know it: after this long the one with the lower id gives way.
pub const CONTEST: Duration = Duration::from_millis(100);
/// Who heard no mate for this long need not listen again after it was stopped.
pub const LONELY_AFTER: Duration = Duration::from_secs(10);
/// A gateway that came back takes its VLANs back after this long, unless configured otherwise.
pub const REVERT_AFTER: Duration = Duration::from_secs(2);
/// Coming back again and again lengthens that up to here.
pub const REVERT_MAX: Duration = Duration::from_secs(60);
/// ... unless it stayed for this long.
pub const FLAP_DECAY: Duration = Duration::from_secs(60);

/// Pause between two LEASE messages: four get lost before a lease ends.
pub const LEASE_EVERY: Duration = Duration::from_millis(25);
/// The term of a lease, besides two round trips. It is what a frozen gateway costs.
pub const LEASE_TERM: Duration = Duration::from_millis(120);
/// No lease is granted for longer.
pub const LEASE_MAX: Duration = Duration::from_secs(2);
/// LEASE messages that are sent after everything was given back, in case one is lost.
pub const FAREWELLS: u8 = 3;
/// LEASE messages that can be answered.
pub const LEASES_REMEMBERED: usize = 128;
/// The answers of all remote gateways are waited for this long, before a new claim is used.
pub const SETTLE_MAX: Duration = Duration::from_millis(300);
/// A mate that a remote gateway heard this much later than we did is alive, and off our LAN.
pub const WITNESS_SLACK: Duration = Duration::from_millis(50);

/// Gateways of a site that hear nobody for this long may be two halves of a split LAN.
pub const SPLIT_AFTER: Duration = Duration::from_secs(3);
/// A sighting of an address counts for this long as evidence about a split.
pub const SIGHTING_LIFE: Duration = Duration::from_secs(5);
/// Sightings of one gateway that are remembered.
pub const MAX_SIGHTINGS: usize = 512;
/// Pause between two reports of local addresses while a gateway is alone.
pub const REPORT_EVERY: Duration = Duration::from_secs(1);
/// Addresses are told once more after this long, in case the first time was lost.
pub const TELL_AGAIN: Duration = Duration::from_millis(100);

/// After it took a VLAN over, a gateway ignores remote addresses on its LAN for this long: they may
/// be the last frames that its predecessor put there.
pub const TAKEOVER_GUARD: Duration = Duration::from_millis(100);

/// How much longer than the term the granter waits: clocks that run differently by up to 1.5 %,
/// and what a timer may be late.
#[must_use]
pub fn lease_margin(term: Duration) -> Duration {
    Duration::from_millis(5) + term / 64
}
