//! One path: a pair of uplinks, its packet numbers, and everything known about it.

use std::{
    net::{IpAddr, SocketAddr},
    ops::Range,
    time::{Duration, Instant},
};

use wire::{
    control::{
        Ack, AckHeader, Admin, PathState as WireState, Role, RoleCode, put_ack, put_padding,
    },
    datagram::{HEADER_LEN, Header, OVERHEAD, TAG_LEN},
    payload::{
        PieceWriter, fragment_payload_head, payload_len, write_fragment_payload, write_payload,
    },
};

use crate::{
    acks::Acks,
    controller::{AckSample, Controller},
    crypto::ReplayWindow,
    drops::{Drop, Drops},
    estimator::Estimator,
    inflight::{AckOutcome, Carried, InFlight, Purpose},
    keyring::Key,
    liveness::{Liveness, Patience, State},
    mtu::MtuSearch,
    params::BASE_MTU,
    sink::{DatagramSink, Target, UplinkId},
    timing::SendTimes,
};

/// Everything a path needs from its owner to send.
pub(crate) struct Sending<'a> {
    pub now: Instant,
    pub key: &'a Key,
    pub sink: &'a mut dyn DatagramSink,
    pub drops: &'a mut Drops,
}

/// How long an order to stop is repeated on the path it stops, unless the peer knows.
const TELL_ORDER_FOR: Duration = Duration::from_secs(10);

/// An address that wants to become the path's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moving {
    pub remote: SocketAddr,
    pub asked: Instant,
}

/// What the open datagram will be.
#[derive(Debug, Default)]
struct Open {
    pieces: PieceWriter,
    carried: Vec<Carried>,
    control: Vec<u8>,
    eliciting: bool,
    status: Option<u32>,
}

/// Counters of datagrams and their UDP payload.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Traffic {
    pub tx_bytes: u64,
    pub rx_bytes: u64,
    pub tx_datagrams: u64,
    pub rx_datagrams: u64,
}

/// One path of a session.
#[derive(Debug)]
pub(crate) struct Path {
    /// 1 to 255; 0 for the one pseudo-path on which unnamed pairs of uplinks meet.
    pub id: u8,
    pub uplink: UplinkId,
    pub remote_uplink: u8,
    pub remote: SocketAddr,
    pub local: Option<IpAddr>,
    pub local_role: RoleCode,
    pub remote_role: RoleCode,
    /// Our uplink's device is there and has carrier.
    pub present: bool,
    /// The peer knows the id, and its address answered our challenge.
    pub agreed: bool,
    pub moving: Option<Moving>,
    pub live: Liveness,
    pub estimator: Estimator,
    /// How fast it takes data.
    pub pacing: Controller,
    pub mtu: MtuSearch,
    pub flight: InFlight,
    pub times: SendTimes,
    pub acks: Acks,
    pub replay: ReplayWindow,
    pub admin: Admin,
    pub admin_version: u32,
    pub peer_state: WireState,
    pub peer_active: bool,
    pub traffic: Traffic,
    pub last_eliciting: Instant,
    pub last_arrival: Instant,
    /// When the last datagram that asks for an acknowledgement was sent, if it carried bulk.
    pub tail: Option<Instant>,
    /// When an ordered record last came by it.
    pub ordered_at: Option<Instant>,
    /// The last answer came back on the path itself.
    pub answered_here: bool,
    pub last_probe: Instant,
    /// Parts of lost datagrams above the base size, with the size, since one as large arrived: what a black hole may have swallowed.
    pub swallowed: Vec<(u16, Carried)>,
    open: Open,
}

impl Path {
    pub(crate) fn new(
        id: u8,
        uplink: UplinkId,
        remote_uplink: u8,
        remote: SocketAddr,
        epoch: Instant,
        now: Instant,
    ) -> Self {
        Self {
            id,
            uplink,
            remote_uplink,
            remote,
            local: None,
            local_role: RoleCode::default(),
            remote_role: RoleCode::default(),
            present: true,
            agreed: false,
            moving: None,
            live: Liveness::new(now),
            estimator: Estimator::new(now),
            pacing: Controller::new(epoch, now),
            mtu: MtuSearch::new(BASE_MTU, now),
            flight: InFlight::default(),
            times: SendTimes::default(),
            acks: Acks::new(now),
            replay: ReplayWindow::new(),
            admin: Admin::Up,
            admin_version: 0,
            peer_state: WireState::Usable,
            peer_active: false,
            traffic: Traffic::default(),
            last_eliciting: now,
            last_arrival: now,
            tail: None,
            ordered_at: None,
            answered_here: true,
            last_probe: now,
            swallowed: Vec::new(),
            open: Open::default(),
        }
    }

    /// The worse of both ends' roles.
    pub(crate) fn role(&self) -> Role {
        self.local_role.role.max(self.remote_role.role)
    }

    /// Whether frames may go on it.
    pub(crate) fn usable(&self) -> bool {
        self.agreed && self.present && self.live.state() == State::Up && self.admin == Admin::Up
    }

    /// Whether frames may go on it when nothing better is left: silent for a while, perhaps not for good.
    pub(crate) fn is_last_resort(&self) -> bool {
        self.agreed
            && self.present
            && self.live.state() == State::Suspect
            && self.admin == Admin::Up
    }

    /// Whether small messages may go on it: like [`Self::usable`], orders aside (a drained path still talks).
    pub(crate) fn answers(&self) -> bool {
        self.agreed && self.present && self.live.state() == State::Up && self.admin != Admin::Down
    }

    /// Ordered down lately: the order itself may still have to go this way, if it is the only one.
    pub(crate) fn tells_of_order(&self, now: Instant) -> bool {
        let lately = now.saturating_duration_since(self.live.since()) < TELL_ORDER_FOR;
        self.agreed && self.present && self.admin == Admin::Down && lately
    }

    /// Whether the path itself carries acknowledgements back, as far as we know.
    pub(crate) fn live_and_well(&self) -> bool {
        self.present && self.live.state() == State::Up && self.peer_state == WireState::Usable
    }

    pub(crate) fn patience(&self) -> Patience {
        Patience {
            suspicion: self.estimator.suspicion(),
            margin: self.estimator.margin(),
        }
    }

    /// Round trip for timers, before any was measured too.
    pub(crate) fn round_trip(&self) -> Duration {
        self.estimator
            .round_trip()
            .unwrap_or(Duration::from_millis(100))
    }

    /// Appends a control message to the open datagram; `write` appends at most ~600 bytes. Eliciting ones ask for an ACK.
    pub(crate) fn control(
        &mut self,
        eliciting: bool,
        sending: &mut Sending<'_>,
        write: impl FnOnce(&mut Vec<u8>),
    ) {
        if self.open.control.len() > usize::from(BASE_MTU) / 2 {
            self.flush(sending);
        }
        write(&mut self.open.control);
        self.open.eliciting |= eliciting;
    }

    /// Acknowledges what arrived on this path, on this path.
    pub(crate) fn acknowledge_here(&mut self, header: &AckHeader, sending: &mut Sending<'_>) {
        if self.open.control.len() > usize::from(BASE_MTU) / 2 {
            self.flush(sending);
        }
        put_ack(&mut self.open.control, header, self.acks.ranges());
    }

    /// Marks the open datagram as carrying STATUS number `sequence`.
    pub(crate) fn carries_status(&mut self, sequence: u32) {
        self.open.status = Some(sequence);
    }

    /// Appends `part` of `record` to the stream of this path. What fills whole datagrams is sent at once.
    pub(crate) fn append(
        &mut self,
        part: Carried,
        vnet: bool,
        record: &[u8],
        sending: &mut Sending<'_>,
    ) {
        let mut offset = part.offset as usize;
        let to = offset + part.len as usize;
        while offset < to {
            if !self.has_open() {
                let sent = self.emit_fragment(part, offset..to, vnet, record, sending);
                offset += sent;
                if sent > 0 {
                    continue;
                }
            }
            let room = usize::from(self.mtu.current()) - OVERHEAD - payload_len(0, 0);
            let taken = self.open.pieces.push_part(
                part.record,
                vnet,
                part.order(),
                record,
                offset..to,
                room,
            );
            if taken > 0 {
                self.open.carried.push(Carried {
                    offset: offset as u32,
                    len: taken as u32,
                    ..part
                });
                offset += taken;
            } else if self.open.pieces.is_empty() {
                sending.drops.count(Drop::FrameTooLong); // nothing can ever take it
                return;
            }
            if offset < to {
                self.flush(sending);
            }
        }
    }

    /// Sends the open datagram, if there is anything in it. Control that does not fit beside the records goes ahead alone.
    pub(crate) fn flush(&mut self, sending: &mut Sending<'_>) {
        let together = payload_len(self.open.control.len(), self.open.pieces.len()) + OVERHEAD;
        if !self.open.pieces.is_empty()
            && !self.open.control.is_empty()
            && together > usize::from(self.mtu.current())
        {
            let mut held = std::mem::take(&mut self.open.pieces);
            let carried = std::mem::take(&mut self.open.carried);
            self.emit(None, sending);
            std::mem::swap(&mut self.open.pieces, &mut held);
            self.open.carried = carried;
        }
        if !self.open.pieces.is_empty() || !self.open.control.is_empty() {
            self.emit(None, sending);
        }
    }

    /// Sends a datagram of exactly `size` bytes of UDP payload that carries nothing (RFC 8899 §4.1: probes travel alone).
    pub(crate) fn send_mtu_probe(&mut self, size: u16, sending: &mut Sending<'_>) {
        self.flush(sending);
        let head = OVERHEAD + payload_len(0, 0) + 2;
        wire::control::put_probe(&mut self.open.control, false);
        let used = head + self.open.control.len();
        put_padding(
            &mut self.open.control,
            usize::from(size).saturating_sub(used).max(3),
        );
        self.emit(Some(size), sending);
    }

    /// Drops what is being written, since the path cannot send now; the parts of records in it go to `parts`.
    pub(crate) fn discard_open_into(&mut self, parts: &mut Vec<Carried>) {
        parts.append(&mut self.open.carried);
        self.discard_open();
    }

    fn discard_open(&mut self) {
        self.open.pieces.clear();
        self.open.carried.clear();
        self.open.control.clear();
        self.open.eliciting = false;
        self.open.status = None;
    }

    /// An acknowledgement told what arrived on it.
    ///
    /// `round_trip`: if it came back on the path itself.
    pub(crate) fn on_delivery(
        &mut self,
        ack: &Ack<'_>,
        outcome: &AckOutcome,
        round_trip: Option<Duration>,
        now: Instant,
    ) {
        let sample = AckSample {
            received_bytes: ack.received_bytes,
            arrival_us: ack.arrival_us,
            newly_acked: outcome.newly_acked,
            lost: outcome.lost,
            largest_sent_at: outcome.largest_sent_at,
            in_flight: self.flight.bytes(),
            round_trip,
        };
        self.pacing.on_ack(&sample, now);
    }

    /// Whether its open datagram has only parts of ordered records: nobody misses them for a moment.
    pub(crate) fn waits_for_bulk(&self) -> bool {
        self.open.control.is_empty() && self.open.carried.iter().all(|part| part.ordered.is_some())
    }

    /// Whether anything waits to be flushed.
    pub(crate) fn has_open(&self) -> bool {
        !self.open.pieces.is_empty() || !self.open.control.is_empty()
    }

    /// Sends as much of `record[part]` as fills a datagram, without a detour through the open one. Returns how many bytes that
    /// were; 0: too few are left.
    fn emit_fragment(
        &mut self,
        carried: Carried,
        part: Range<usize>,
        vnet: bool,
        record: &[u8],
        sending: &mut Sending<'_>,
    ) -> usize {
        let payload = usize::from(self.mtu.current()) - OVERHEAD;
        let order = carried.order();
        let len = payload - fragment_payload_head(order);
        let Some(left) = part.len().checked_sub(len) else {
            return 0;
        };
        if left == 0 && part.len() == record.len() {
            return 0; // whole: no fragment
        }
        let sent = self.seal_into(self.target(), payload, sending, |body| {
            write_fragment_payload(body, carried.record, vnet, order, record, part.start) == len
        });
        let carried = Carried {
            offset: part.start as u32,
            len: len as u32,
            ..carried
        };
        self.note_sent(sent, payload, Purpose::Ordinary, &[carried], None, sending);
        len
    }

    fn emit(&mut self, mtu_probe: Option<u16>, sending: &mut Sending<'_>) {
        let open = std::mem::take(&mut self.open);
        let payload = payload_len(open.control.len(), open.pieces.len());
        let purpose = match mtu_probe {
            Some(_) => Purpose::MtuProbe,
            None if open.eliciting || !open.pieces.is_empty() => Purpose::Ordinary,
            None => Purpose::Silent,
        };
        let sent = self.seal_into(self.target(), payload, sending, |body| {
            write_payload(body, &open.control, open.pieces.bytes()) == payload
        });
        self.note_sent(sent, payload, purpose, &open.carried, open.status, sending);
        self.open = open;
        self.discard_open();
    }

    /// Books a datagram. One that found no place counts as sent: the network could have lost it as well.
    fn note_sent(
        &mut self,
        sent: bool,
        payload: usize,
        purpose: Purpose,
        carried: &[Carried],
        status: Option<u32>,
        sending: &mut Sending<'_>,
    ) {
        let size = OVERHEAD + payload;
        if sent {
            self.traffic.tx_bytes += size as u64;
            self.traffic.tx_datagrams += 1;
        } else {
            sending.drops.count(Drop::SendQueueFull);
        }
        self.pacing.on_sent(size, sending.now);
        if purpose != Purpose::Silent {
            let number = self.flight.next_number();
            self.times
                .push(number, sending.now, self.estimator.round_trip());
            self.last_eliciting = sending.now;
            let bulk = carried.iter().any(|part| part.ordered.is_some());
            self.tail = bulk.then_some(sending.now);
        }
        self.flight
            .push(sending.now, size, purpose, carried, status);
    }

    /// Sends one message to `target` instead of the path's own address, at once and on its own.
    pub(crate) fn send_aside(
        &mut self,
        target: Target,
        sending: &mut Sending<'_>,
        write: impl FnOnce(&mut Vec<u8>),
    ) {
        self.flush(sending);
        let mut control = std::mem::take(&mut self.open.control);
        write(&mut control);
        let payload = payload_len(control.len(), 0);
        let sent = self.seal_into(target, payload, sending, |body| {
            write_payload(body, &control, &[]) == payload
        });
        if !sent {
            sending.drops.count(Drop::SendQueueFull);
        }
        self.flight
            .push(sending.now, OVERHEAD + payload, Purpose::Silent, &[], None);
        control.clear();
        self.open.control = control;
    }

    pub(crate) fn target(&self) -> Target {
        Target {
            uplink: self.uplink,
            remote: self.remote,
            local: self.local,
        }
    }

    /// Seals a datagram with the next number and this much payload, as `write` writes it. False: it found no place.
    fn seal_into(
        &self,
        target: Target,
        payload: usize,
        sending: &mut Sending<'_>,
        write: impl FnOnce(&mut [u8]) -> bool,
    ) -> bool {
        let Some(slot) = sending.sink.reserve(&target, OVERHEAD + payload) else {
            return false;
        };
        let established = &sending.key.established;
        let header = Header {
            path: self.id,
            worker: 0,
            receiver: established.remote_index,
            number: self.flight.next_number(),
        };
        let aad = header.encode();
        let (head, rest) = slot.split_at_mut(HEADER_LEN);
        let (body, tag) = rest.split_at_mut(payload);
        head.copy_from_slice(&aad);
        if !write(body) {
            return false;
        }
        tag[..TAG_LEN].copy_from_slice(&established.sealing.seal(header.nonce(), &aad, body));
        sending.sink.commit();
        true
    }
}
