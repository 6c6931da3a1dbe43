//! Bridge protocol data units (IEEE 802.1D-2004 clause 9): Configuration, Topology Change
//! Notification and Rapid Spanning Tree BPDUs, and the LLC frames that carry them.

use crate::ethernet::{HEADER_LEN, Mac};
use crate::reader::{Reader, Truncated};
use std::fmt;

/// Where BPDUs go, the Bridge Group Address (table 7-10): 01:80:c2:00:00:00.
pub const BRIDGE_GROUP_ADDRESS: Mac = Mac([0x01, 0x80, 0xc2, 0, 0, 0]);
/// Bytes of a frame that [`Bpdu::write_frame`] writes: the least that Ethernet carries, without FCS.
pub const FRAME_LEN: usize = 60;
/// Times are given in this many parts of a second (clause 9.2.8).
pub const TICKS_PER_SECOND: u16 = 256;

/// Both service access points of the spanning tree, and "unnumbered information".
const LLC: [u8; 3] = [0x42, 0x42, 0x03];
/// The largest value of the type field that is a length (IEEE 802.3 §3.2.6).
const MAX_LENGTH: u16 = 1500;
const TYPE_CONFIG: u8 = 0;
const TYPE_RST: u8 = 2;
const TYPE_TCN: u8 = 0x80;
const RST_VERSION: u8 = 2;
const CONFIG_LEN: usize = 35;
const RST_LEN: usize = 36;
const TCN_LEN: usize = 4;

const TOPOLOGY_CHANGE: u8 = 1;
const PROPOSAL: u8 = 1 << 1;
const ROLE_SHIFT: u8 = 2;
const LEARNING: u8 = 1 << 4;
const FORWARDING: u8 = 1 << 5;
const AGREEMENT: u8 = 1 << 6;
const TOPOLOGY_CHANGE_ACK: u8 = 1 << 7;

/// A bridge identifier (clause 9.2.5): the lower one is the better one.
#[derive(Copy, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BridgeIdentifier(u64);

impl BridgeIdentifier {
    /// From a priority, whose lower 12 bits are the system identifier extension, and an address.
    #[must_use]
    pub const fn new(priority: u16, address: Mac) -> Self {
        let [a, b, c, d, e, f] = address.0;
        Self((priority as u64) << 48 | u64::from_be_bytes([0, 0, a, b, c, d, e, f]))
    }

    /// The upper 16 bits.
    #[must_use]
    pub const fn priority(self) -> u16 {
        (self.0 >> 48) as u16
    }

    /// The bridge's address.
    #[must_use]
    pub const fn address(self) -> Mac {
        let [_, _, a, b, c, d, e, f] = self.0.to_be_bytes();
        Mac([a, b, c, d, e, f])
    }
}

/// As in `32768.02:00:00:00:00:01`.
impl fmt::Display for BridgeIdentifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.priority(), self.address())
    }
}

impl fmt::Debug for BridgeIdentifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A port identifier (clause 9.2.7): 4 bits of priority, 12 bits of number. The lower is the better.
#[derive(Copy, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortIdentifier(u16);

impl PortIdentifier {
    /// Of the priority the upper 4 bits count, of the number the lower 12.
    #[must_use]
    pub const fn new(priority: u8, number: u16) -> Self {
        Self(((priority & 0xf0) as u16) << 8 | number & 0x0fff)
    }

    /// The priority, 0 to 240 in steps of 16.
    #[must_use]
    pub const fn priority(self) -> u8 {
        (self.0 >> 8) as u8 & 0xf0
    }

    /// The number, 0 to 4095.
    #[must_use]
    pub const fn number(self) -> u16 {
        self.0 & 0x0fff
    }
}

/// As in `128.1`.
impl fmt::Display for PortIdentifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.priority(), self.number())
    }
}

impl fmt::Debug for PortIdentifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The times of a BPDU, in 1/256 s (clause 9.2.8).
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Times {
    /// How old the information is.
    pub message_age: u16,
    /// At which age it is worth nothing any more.
    pub max_age: u16,
    /// Between two BPDUs of a designated port.
    pub hello_time: u16,
    /// In each of the states before forwarding.
    pub forward_delay: u16,
}

/// What Configuration and Rapid Spanning Tree BPDUs have in common.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Message {
    /// The bridge that the sender takes for the root.
    pub root: BridgeIdentifier,
    /// The sender's cost to get there.
    pub root_path_cost: u32,
    /// The sender.
    pub bridge: BridgeIdentifier,
    /// The sender's port.
    pub port: PortIdentifier,
    /// The times in force.
    pub times: Times,
}

/// The port role of a Rapid Spanning Tree BPDU (clause 9.2.9).
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum BpduRole {
    /// To be read as if the BPDU was a Configuration BPDU.
    #[default]
    Unknown,
    /// Alternate or backup.
    Alternate,
    /// Root.
    Root,
    /// Designated.
    Designated,
}

/// A Configuration BPDU (clause 9.3.1).
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ConfigBpdu {
    /// The topology has changed: forget addresses soon.
    pub topology_change: bool,
    /// A notification has arrived.
    pub topology_change_ack: bool,
    /// Who says it.
    pub message: Message,
}

/// A Rapid Spanning Tree BPDU (clause 9.3.3).
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct RstBpdu {
    /// The topology has changed: forget addresses.
    pub topology_change: bool,
    /// The sender wants to forward here at once.
    pub proposal: bool,
    /// The sender's role on this LAN.
    pub role: BpduRole,
    /// The sender learns addresses here.
    pub learning: bool,
    /// The sender forwards here.
    pub forwarding: bool,
    /// The other end may forward at once.
    pub agreement: bool,
    /// Who says it.
    pub message: Message,
}

/// A BPDU.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum Bpdu {
    /// Of the Spanning Tree Protocol (type 0).
    Config(ConfigBpdu),
    /// Topology Change Notification (type 0x80).
    Tcn,
    /// Of the Rapid Spanning Tree Protocol (type 2).
    Rst(RstBpdu),
}

/// Why bytes are not a BPDU that counts (clause 9.3.4).
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BpduError {
    /// Another destination, an EtherType, or another LLC header.
    #[error("not a frame that carries a BPDU")]
    NotBpdu,
    /// Fewer bytes than the type has.
    #[error("the BPDU is cut short")]
    Truncated,
    /// The protocol identifier is not 0, or the type or version is none that is known.
    #[error("neither STP nor RSTP")]
    UnknownProtocol,
    /// A Configuration BPDU that is already too old.
    #[error("the message is older than its max age")]
    Expired,
}

impl From<Truncated> for BpduError {
    fn from(_: Truncated) -> Self {
        Self::Truncated
    }
}

impl Bpdu {
    /// Reads an untagged Ethernet frame, without FCS.
    ///
    /// # Errors
    /// See [`BpduError`].
    pub fn parse_frame(frame: &[u8]) -> Result<Self, BpduError> {
        let mut reader = Reader::new(frame);
        let destination = Mac(reader.array()?);
        reader.bytes(6)?;
        let length = reader.u16()?;
        if destination != BRIDGE_GROUP_ADDRESS || length > MAX_LENGTH {
            return Err(BpduError::NotBpdu);
        }
        let mut data = Reader::new(reader.bytes(length.into())?);
        if data.array()? != LLC {
            return Err(BpduError::NotBpdu);
        }
        Self::parse(data.rest())
    }

    /// Reads a BPDU behind its LLC header. Bytes after its last field are ignored.
    ///
    /// # Errors
    /// All of [`BpduError`] but `NotBpdu`.
    pub fn parse(bytes: &[u8]) -> Result<Self, BpduError> {
        let mut reader = Reader::new(bytes);
        let (protocol, version, kind) = (reader.u16()?, reader.u8()?, reader.u8()?);
        match (protocol, kind) {
            (0, TYPE_TCN) => Ok(Self::Tcn),
            (0, TYPE_CONFIG) => {
                let (flags, message) = (reader.u8()?, message(&mut reader)?);
                if message.times.message_age >= message.times.max_age {
                    return Err(BpduError::Expired);
                }
                Ok(Self::Config(ConfigBpdu {
                    topology_change: flags & TOPOLOGY_CHANGE != 0,
                    topology_change_ack: flags & TOPOLOGY_CHANGE_ACK != 0,
                    message,
                }))
            }
            (0, TYPE_RST) if version >= RST_VERSION => {
                let (flags, message) = (reader.u8()?, message(&mut reader)?);
                // The length of what version 1 would have had, which is nothing.
                reader.u8()?;
                Ok(Self::Rst(RstBpdu {
                    topology_change: flags & TOPOLOGY_CHANGE != 0,
                    proposal: flags & PROPOSAL != 0,
                    role: role(flags),
                    learning: flags & LEARNING != 0,
                    forwarding: flags & FORWARDING != 0,
                    agreement: flags & AGREEMENT != 0,
                    message,
                }))
            }
            _ => Err(BpduError::UnknownProtocol),
        }
    }

    /// The common part; a notification has none.
    #[must_use]
    pub const fn message(&self) -> Option<&Message> {
        match self {
            Self::Config(config) => Some(&config.message),
            Self::Rst(rst) => Some(&rst.message),
            Self::Tcn => None,
        }
    }

    /// The frame in which `source` sends this, padded to [`FRAME_LEN`].
    #[must_use]
    pub fn write_frame(&self, source: Mac) -> [u8; FRAME_LEN] {
        let mut out = [0; FRAME_LEN];
        let length = (LLC.len() + self.len()) as u16;
        let (header, data) = out.split_at_mut(HEADER_LEN);
        let (addresses, kind) = header.split_at_mut(12);
        addresses[..6].copy_from_slice(&BRIDGE_GROUP_ADDRESS.0);
        addresses[6..].copy_from_slice(&source.0);
        kind.copy_from_slice(&length.to_be_bytes());
        let (llc, bpdu) = data.split_at_mut(LLC.len());
        llc.copy_from_slice(&LLC);
        bpdu[..RST_LEN].copy_from_slice(&self.encode());
        out
    }

    /// How many bytes of [`Bpdu::encode`] count: 35, 4 or 36.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a BPDU is never empty")]
    pub const fn len(&self) -> usize {
        match self {
            Self::Config(_) => CONFIG_LEN,
            Self::Tcn => TCN_LEN,
            Self::Rst(_) => RST_LEN,
        }
    }

    /// The bytes behind the LLC header, the first [`Bpdu::len`] of these; the rest is 0.
    #[must_use]
    pub fn encode(&self) -> [u8; RST_LEN] {
        let mut out = [0; RST_LEN];
        let (version, kind, flags) = match self {
            Self::Config(config) => (0, TYPE_CONFIG, config.flags()),
            Self::Tcn => (0, TYPE_TCN, 0),
            Self::Rst(rst) => (RST_VERSION, TYPE_RST, rst.flags()),
        };
        (out[2], out[3], out[4]) = (version, kind, flags);
        let Some(message) = self.message() else {
            return out;
        };
        let times = [
            message.times.message_age,
            message.times.max_age,
            message.times.hello_time,
            message.times.forward_delay,
        ];
        out[5..13].copy_from_slice(&message.root.0.to_be_bytes());
        out[13..17].copy_from_slice(&message.root_path_cost.to_be_bytes());
        out[17..25].copy_from_slice(&message.bridge.0.to_be_bytes());
        out[25..27].copy_from_slice(&message.port.0.to_be_bytes());
        for (place, time) in out[27..35].as_chunks_mut().0.iter_mut().zip(times) {
            *place = time.to_be_bytes();
        }
        out
    }
}

impl ConfigBpdu {
    const fn flags(&self) -> u8 {
        let change = bit(self.topology_change, TOPOLOGY_CHANGE);
        change | bit(self.topology_change_ack, TOPOLOGY_CHANGE_ACK)
    }
}

impl RstBpdu {
    const fn flags(&self) -> u8 {
        let role = match self.role {
            BpduRole::Unknown => 0,
            BpduRole::Alternate => 1,
            BpduRole::Root => 2,
            BpduRole::Designated => 3,
        };
        bit(self.topology_change, TOPOLOGY_CHANGE)
            | bit(self.proposal, PROPOSAL)
            | role << ROLE_SHIFT
            | bit(self.learning, LEARNING)
            | bit(self.forwarding, FORWARDING)
            | bit(self.agreement, AGREEMENT)
    }
}

const fn bit(set: bool, mask: u8) -> u8 {
    if set { mask } else { 0 }
}

const fn role(flags: u8) -> BpduRole {
    match flags >> ROLE_SHIFT & 3 {
        1 => BpduRole::Alternate,
        2 => BpduRole::Root,
        3 => BpduRole::Designated,
        _ => BpduRole::Unknown,
    }
}

fn message(reader: &mut Reader<'_>) -> Result<Message, Truncated> {
    Ok(Message {
        root: BridgeIdentifier(reader.u64()?),
        root_path_cost: reader.u32()?,
        bridge: BridgeIdentifier(reader.u64()?),
        port: PortIdentifier(reader.u16()?),
        times: Times {
            message_age: reader.u16()?,
            max_age: reader.u16()?,
            hello_time: reader.u16()?,
            forward_delay: reader.u16()?,
        },
    })
}

#[cfg(test)]
mod tests;
