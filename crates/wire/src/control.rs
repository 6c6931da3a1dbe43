//! Control messages (protocol §3.1): `type (1), length (2), value`, one after another.

mod ack;
mod role;
pub mod site;
mod status;

pub use ack::{Ack, AckHeader, AckRanges, MAX_ACK_PAIRS, put_ack};
pub use role::{Role, RoleCode};
pub use status::{Admin, PathState, PathStatus, StatusIter, put_status};

use crate::malformed::Malformed;
use crate::reader::Reader;
use bytes::BufMut;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Bytes of a control message's type and length.
pub const CONTROL_HEAD_LEN: usize = 3;
/// Type of PADDING.
pub const PADDING: u8 = 0;
/// Type of PROBE.
pub const PROBE: u8 = 1;
/// Type of ACK.
pub const ACK: u8 = 2;
/// Type of CHALLENGE.
pub const CHALLENGE: u8 = 3;
/// Type of RESPONSE.
pub const RESPONSE: u8 = 4;
/// Type of STATUS.
pub const STATUS: u8 = 5;
/// Type of CLOSE.
pub const CLOSE: u8 = 6;
/// The one reason of a CLOSE so far: the node is shutting down.
pub const CLOSE_SHUTDOWN: u8 = 0;

const ECHO_ELSEWHERE: u8 = 1;

/// One control message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Control<'a> {
    /// Nothing, this many bytes of it, the message's own head included.
    Padding(usize),
    /// Asks for an ACK at once.
    Probe {
        /// Answer on the best other path too.
        echo_elsewhere: bool,
    },
    /// What the sender received on one path.
    Ack(Ack<'a>),
    /// Asks the holder of an address to prove that it is there.
    Challenge {
        /// Random; the answer repeats it.
        token: u64,
        /// The sender's uplink.
        uplink: u8,
        /// The path id; 0: not known.
        path: u8,
        /// The role the sender gives this path.
        role: RoleCode,
    },
    /// Answers a CHALLENGE.
    Response {
        /// That of the challenge.
        token: u64,
        /// The sender's uplink.
        uplink: u8,
        /// The path id; 0: not known.
        path: u8,
        /// The role the sender gives this path.
        role: RoleCode,
        /// Where the challenge came from, as the sender saw it.
        observed: SocketAddr,
    },
    /// How the sender sees its paths.
    Status {
        /// Counts up; an older one than the last is to be ignored.
        sequence: u32,
        /// One entry per path.
        paths: StatusIter<'a>,
    },
    /// The sender goes away.
    Close {
        /// [`CLOSE_SHUTDOWN`].
        reason: u8,
    },
    /// About sites with several gateways: [`site::SiteMessage::parse`] reads it, apart from the
    /// rest because few peers send any.
    Site {
        /// LEASE, GRANT or ADDRESSES.
        kind: u8,
        /// The message's value, not checked yet.
        value: &'a [u8],
    },
}

impl<'a> Control<'a> {
    /// This message's type byte.
    #[must_use]
    pub const fn kind(&self) -> u8 {
        match self {
            Self::Padding(_) => PADDING,
            Self::Probe { .. } => PROBE,
            Self::Ack(_) => ACK,
            Self::Challenge { .. } => CHALLENGE,
            Self::Response { .. } => RESPONSE,
            Self::Status { .. } => STATUS,
            Self::Close { .. } => CLOSE,
            Self::Site { kind, .. } => *kind,
        }
    }

    /// Whether a datagram with this message is to be acknowledged.
    #[must_use]
    pub const fn is_ack_eliciting(&self) -> bool {
        is_ack_eliciting(self.kind())
    }

    /// `None`: a type that is not known, to be skipped.
    fn parse(kind: u8, value: &'a [u8]) -> Result<Option<Self>, Malformed> {
        let mut reader = Reader::new(value);
        let message = match kind {
            PADDING => Self::Padding(CONTROL_HEAD_LEN + reader.rest().len()),
            // Bits that are not known are left for later versions.
            PROBE => Self::Probe {
                echo_elsewhere: reader.u8()? & ECHO_ELSEWHERE != 0,
            },
            ACK => Self::Ack(Ack::parse(&mut reader)?),
            CHALLENGE => {
                let (token, uplink, path, role) = parse_challenge(&mut reader)?;
                Self::Challenge {
                    token,
                    uplink,
                    path,
                    role,
                }
            }
            RESPONSE => {
                let (token, uplink, path, role) = parse_challenge(&mut reader)?;
                let observed = parse_address(&mut reader)?;
                Self::Response {
                    token,
                    uplink,
                    path,
                    role,
                    observed,
                }
            }
            STATUS => {
                let sequence = reader.u32()?;
                Self::Status {
                    sequence,
                    paths: StatusIter::parse(reader.rest())?,
                }
            }
            CLOSE => Self::Close {
                reason: reader.u8()?,
            },
            site::LEASE | site::GRANT | site::ADDRESSES => Self::Site {
                kind,
                value: reader.rest(),
            },
            _ => return Ok(None),
        };
        if reader.is_empty() {
            Ok(Some(message))
        } else {
            Err(Malformed::WrongLength)
        }
    }
}

/// Whether a datagram with a message of this type is to be acknowledged. Types that are not known
/// are not: whoever sends them knows that they may be skipped.
#[must_use]
pub const fn is_ack_eliciting(kind: u8) -> bool {
    matches!(kind, PROBE | CHALLENGE | RESPONSE | STATUS)
}

/// The messages of a control section, in order. Skips types that it does not know; ends after the
/// first error.
#[derive(Clone, Debug)]
pub struct Controls<'a> {
    reader: Reader<'a>,
}

impl<'a> Controls<'a> {
    /// Starts at the first message of a control section.
    #[must_use]
    pub const fn new(section: &'a [u8]) -> Self {
        Self {
            reader: Reader::new(section),
        }
    }

    fn parse_next(&mut self) -> Result<Option<Control<'a>>, Malformed> {
        while !self.reader.is_empty() {
            let kind = self.reader.u8()?;
            let len = self.reader.u16()?;
            let message = Control::parse(kind, self.reader.bytes(len.into())?)?;
            if message.is_some() {
                return Ok(message);
            }
        }
        Ok(None)
    }
}

impl<'a> Iterator for Controls<'a> {
    type Item = Result<Control<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        let message = self.parse_next();
        if message.is_err() {
            self.reader.rest();
        }
        message.transpose()
    }
}

impl std::iter::FusedIterator for Controls<'_> {}

fn parse_challenge(reader: &mut Reader<'_>) -> Result<(u64, u8, u8, RoleCode), Malformed> {
    Ok((
        reader.u64()?,
        reader.u8()?,
        reader.u8()?,
        RoleCode::from_byte(reader.u8()?),
    ))
}

fn parse_address(reader: &mut Reader<'_>) -> Result<SocketAddr, Malformed> {
    let port = reader.u16()?;
    let ip = match reader.remaining() {
        4 => IpAddr::V4(Ipv4Addr::from(reader.array::<4>()?)),
        16 => IpAddr::V6(Ipv6Addr::from(reader.array::<16>()?)),
        _ => return Err(Malformed::WrongLength),
    };
    Ok(SocketAddr::new(ip, port))
}

/// Appends a PADDING of `len` bytes in all, its head included; clamped to what one message can be
/// (65,538). Appends nothing when `len` is below [`CONTROL_HEAD_LEN`].
pub fn put_padding(out: &mut Vec<u8>, len: usize) {
    let Some(value) = len.checked_sub(CONTROL_HEAD_LEN) else {
        return;
    };
    let value = u16::try_from(value).unwrap_or(u16::MAX);
    out.put_u8(PADDING);
    out.put_u16(value);
    out.resize(out.len() + usize::from(value), 0);
}

/// Appends a PROBE.
pub fn put_probe(out: &mut Vec<u8>, echo_elsewhere: bool) {
    put(out, PROBE, |out| {
        out.put_u8(if echo_elsewhere { ECHO_ELSEWHERE } else { 0 })
    });
}

/// Appends a CHALLENGE; see [`Control::Challenge`] for the arguments.
pub fn put_challenge(out: &mut Vec<u8>, token: u64, uplink: u8, path: u8, role: RoleCode) {
    put(out, CHALLENGE, |out| {
        out.put_u64(token);
        out.put_slice(&[uplink, path, role.to_byte()]);
    });
}

/// Appends a RESPONSE; see [`Control::Response`] for the arguments. An IPv4 address mapped into
/// IPv6, as a dual-stack socket shows it, travels as the IPv4 address it is. Flow information and
/// scope of an IPv6 address mean nothing to the other end and stay here.
pub fn put_response(
    out: &mut Vec<u8>,
    token: u64,
    uplink: u8,
    path: u8,
    role: RoleCode,
    observed: SocketAddr,
) {
    put(out, RESPONSE, |out| {
        out.put_u64(token);
        out.put_slice(&[uplink, path, role.to_byte()]);
        out.put_u16(observed.port());
        match observed.ip().to_canonical() {
            IpAddr::V4(ip) => out.put_slice(&ip.octets()),
            IpAddr::V6(ip) => out.put_slice(&ip.octets()),
        }
    });
}

/// Appends a CLOSE.
pub fn put_close(out: &mut Vec<u8>, reason: u8) {
    put(out, CLOSE, |out| out.put_u8(reason));
}

/// Appends one message whose value `write` appends; the length is filled in after it.
fn put(out: &mut Vec<u8>, kind: u8, write: impl FnOnce(&mut Vec<u8>)) {
    out.put_u8(kind);
    let at = out.len();
    out.put_u16(0);
    write(out);
    let len = out.len() - at - 2;
    debug_assert!(len <= usize::from(u16::MAX), "every writer here is bounded");
    out[at..at + 2].copy_from_slice(&(len as u16).to_be_bytes());
}

#[cfg(test)]
mod tests;
