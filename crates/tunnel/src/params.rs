//! Every constant of the peer's machines, with its reason.

use std::time::Duration;

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Payload that every path is assumed to carry (RFC 8899 `BASE_PLPMTU`): bytes of UDP payload.
pub const BASE_MTU: u16 = 1200;
/// The largest UDP payload ever probed for: a 9000-byte line less IPv4 and UDP headers.
pub const MAX_MTU: u16 = 8972;

/// Paths per peer.
pub const MAX_PATHS: usize = 16;
/// Addresses dialled per peer (configured and learned, times uplinks).
pub const MAX_CANDIDATES: usize = 64;
/// Events kept for the caller to poll.
pub const MAX_EVENTS: usize = 1024;

/// A session without frames for this long is idle: probes slow down.
pub const IDLE_AFTER: Duration = ms(10_000);
/// One exchange in this time on an idle path: 85-byte probes make 1.2 MB a day.
pub const IDLE_PROBE: Duration = ms(6_000);
/// The same on a metered standby: 0.4 MB a day.
pub const METERED_PROBE: Duration = ms(20_000);
/// A metered standby while a better line is in doubt.
pub const METERED_PROBE_ALERT: Duration = ms(200);
/// Fastest and slowest probing of a usable path while frames flow.
pub const ACTIVE_PROBE_MIN: Duration = ms(50);
/// See [`ACTIVE_PROBE_MIN`].
pub const ACTIVE_PROBE_MAX: Duration = ms(250);

/// An acknowledgement waits at most this long…
pub const ACK_DELAY: Duration = ms(5);
/// …or for this many datagrams.
pub const ACK_EVERY: u32 = 16;
/// Slack of the suspicion threshold for timers and scheduling at both ends.
pub const SUSPECT_SLACK: Duration = ms(5);
/// Bounds of the jitter term of the suspicion threshold.
pub const SUSPECT_JITTER_MIN: Duration = Duration::from_micros(2_500);
/// See [`SUSPECT_JITTER_MIN`].
pub const SUSPECT_JITTER_MAX: Duration = ms(30);
/// A path that has not been measured for long is judged no faster than this.
pub const YOUNG_GRACE: Duration = ms(250);
/// How many round trips make a path no longer young.
pub const YOUNG_SAMPLES: u32 = 4;
/// A suspect path is dead after this many silent periods.
pub const DEAD_PERIODS: u32 = 3;
/// The last usable path is given at least this long before it counts as dead.
pub const LAST_PATH_DEAD: Duration = ms(500);

/// First hold-down of a path that came back; doubles with every flap.
pub const HOLD_DOWN: Duration = ms(300);
/// Longest hold-down.
pub const HOLD_DOWN_MAX: Duration = ms(30_000);
/// Flaps are halved after each such time without one.
pub const FLAP_DECAY: Duration = ms(60_000);
/// A restored path that does not answer its second probe for this long is down again: longer than any round trip worth using.
pub const RESTORE_PATIENCE: Duration = ms(3_000);
/// How often the same part of a record is sent again at most (RFC 3366: link-level persistence is to be low).
pub const MAX_REINJECTIONS: u8 = 3;
/// What is older than this is not sent again: whoever waits for it has sent it anew.
pub const REINJECT_WITHIN: Duration = ms(1_000);

/// Probing of a dead path while nothing else carries, at first.
pub const DOWN_PROBE_URGENT: Duration = ms(100);
/// How long [`DOWN_PROBE_URGENT`] lasts.
pub const DOWN_URGENT_FOR: Duration = ms(5_000);
/// Probing of a dead path while frames flow.
pub const DOWN_PROBE: Duration = ms(500);
/// Probing of a dead path in an idle session, for the first [`DOWN_PATIENCE`].
pub const DOWN_PROBE_SLOW: Duration = ms(1_000);
/// After this an idle session probes its dead paths no more often than its good ones.
pub const DOWN_PATIENCE: Duration = ms(600_000);

/// First pause between handshakes on silent lines; doubles each time.
pub const HANDSHAKE_FIRST: Duration = ms(100);
/// Longest pause in the first minute of an outage, so that a peer which restarts without endpoints is found within a second.
pub const HANDSHAKE_CAP_EARLY: Duration = ms(1_000);
/// An address that can only be a second way between ends that have a good one is tried this rarely.
pub const COVERED_PAUSE: Duration = ms(60_000);
/// Longest pause later.
pub const HANDSHAKE_CAP: Duration = ms(5_000);
/// How long [`HANDSHAKE_CAP_EARLY`] holds.
pub const HANDSHAKE_EARLY_FOR: Duration = ms(60_000);
/// A handshake attempt is forgotten after this.
pub const HANDSHAKE_LIFE: Duration = ms(10_000);
/// Handshakes of ours waiting for their answer.
pub const MAX_ATTEMPTS: usize = 4;
/// Keys answered but not yet confirmed by the initiator: those it may still choose ([`MAX_ATTEMPTS`]) and as many that it
/// began while the answers were on their way.
pub const MAX_PENDING: usize = 2 * MAX_ATTEMPTS;

/// A key in use is replaced after this.
pub const REKEY_AFTER: Duration = ms(120_000);
/// The end that did not start the present key waits this much longer, so that normally only one starts.
pub const REKEY_RESPONDER_EXTRA: Duration = ms(15_000);
/// A key that carried no frame is replaced after this.
pub const REKEY_IDLE: Duration = ms(3_600_000);
/// A key opens and seals nothing after this, whatever happens.
pub const KEY_LIFE: Duration = ms(2 * 3_600_000);
/// A replaced key still opens for at least this long.
pub const OLD_KEY_LIFE: Duration = ms(10_000);

/// How long the quality of another path must be better before `failover` moves.
pub const SWITCH_AFTER: Duration = ms(3_000);
/// How long an equally good path that is preferred by order must have been there.
pub const REVERT_AFTER: Duration = ms(200);
/// Paths are ranked anew this often while frames flow.
pub const RANK_EVERY: Duration = ms(100);
/// Buckets of flows in `balance`.
pub const FLOW_BUCKETS: usize = 1024;
/// A flow that pauses for this long may be placed anew.
pub const FLOW_IDLE: Duration = ms(10_000);

/// Records remembered as delivered, below the highest seen.
pub const RECORD_WINDOW: u64 = 65_536;
/// The longest record with a virtio-net header: the header, an Ethernet header with two tags, and 64 KiB of IP packet.
pub const MAX_SUPER_RECORD: u32 = 12 + 22 + 65_535;
/// Records being put together at once.
pub const MAX_ASSEMBLIES: usize = 1024;
/// Bytes of records being put together at once.
pub const MAX_ASSEMBLY_BYTES: usize = 4 << 20;
/// Bytes of sent records kept for reinjection.
pub const MAX_HISTORY_BYTES: usize = 8 << 20;
/// Sent records younger than this are worth more memory (up to [`MAX_HISTORY_BYTES`]).
pub const HISTORY_KEEP: Duration = ms(500);
/// Datagrams in flight on one path whose fate is followed.
pub const MAX_IN_FLIGHT: usize = 65_536;

/// Whether bulk needs more paths, or fewer, is judged over so long…
pub const STRIPE_WINDOW: Duration = ms(50);
/// …another joins after so many windows in which what waits could as well have gone by it…
pub const STRIPE_JOIN: u32 = 2;
/// …one that is for overflow only after more: half a second…
pub const STRIPE_JOIN_OVERFLOW: u32 = 10;
/// …or three periods of so many in which most of the capacity was in use, and what waits did not grow…
pub const STRIPE_BUSY: u32 = 10;
/// …and the last leaves after so many in which the others were far from full.
pub const STRIPE_LEAVE: u32 = 80;
/// Frames are paced and spread as long as there were two ways to send them within this time.
pub const STRIPE_LINGER: Duration = ms(30_000);
/// How long after its last ordered record a flow is kept in order: longer than any record is held.
pub const ORDER_LINGER: Duration = ms(600);
/// The last bulk datagram of a path is asked for after so long without another.
pub const TAIL_PROBE: Duration = ms(4);
/// What was on a path that fell silent is sent again no later than when it is so old.
pub const DOUBT_MOST: Duration = ms(120);
/// Parts of records that wait to be sent again.
pub const MAX_AGAIN: usize = 4096;

/// A changed STATUS is repeated after this until it is acknowledged, then after twice as long, up to a second.
pub const STATUS_REPEAT: Duration = ms(50);

/// Address questions and answers kept while there is no path.
pub const MAX_WAITING: usize = 32;
/// How long they are kept: then kernels have asked again.
pub const WAITING_LIFE: Duration = ms(1_000);

/// Bytes of ordered records held until their time: twice what 300 Mbit/s bring in 100 ms.
pub const MAX_PLAYOUT_BYTES: usize = 8 << 20;
/// Ordered records held until their time.
pub const MAX_PLAYOUT_RECORDS: usize = 16_384;
/// The longest that an ordered record is held: of lines further apart the slower one is late.
pub const MAX_PLAYOUT_HOLD: Duration = ms(500);
/// Ordered records due within this are released together, to save wake-ups.
pub const PLAYOUT_SLACK: Duration = Duration::from_micros(200);
/// Added to the longest transit that was seen.
pub const PLAYOUT_MARGIN: Duration = ms(1);
/// So far the delay rises at once. With [`PLAYOUT_RISE`] nothing pauses for more than 1.5 times this; TCPs time out after 200 ms.
pub const PLAYOUT_STEP: Duration = ms(100);
/// Beyond it rises by one part in this many of the time.
pub const PLAYOUT_RISE: i64 = 3;
/// It falls by one part in this many of the time.
pub const PLAYOUT_FALL: i64 = 10;
/// After this without ordered records the delay is found anew: clocks drift.
pub const PLAYOUT_FORGET: Duration = ms(10_000);
/// For so long after a datagram was missing everything is held until that can have come again: losses come in company.
pub const GAP_PATIENCE: Duration = ms(1_000);
/// More than one ordered piece in this many sent again makes it worth waiting for them.
pub const AGAIN_SHARE: u64 = 2_000;
/// In how many eighths of a second of the last four some must have been.
pub const AGAIN_SPREAD: usize = 4;
/// Something sent again is waited for until three round trips of the fastest path and this after the slowest path's transit:
/// it may be lost a second time…
pub const AGAIN_MARGIN: Duration = ms(25);
/// …but for this long at least: when a path has died, what was on it comes by another, and slowly. TCPs time out after 200 ms.
pub const AGAIN_LEAST: Duration = ms(150);
