//! The few nftables messages that are needed (linux/netfilter/nf_tables.h, nfnetlink.h): type,
//! length, value, with numbers in network order.

use std::ffi::c_int;
use std::io;

const HEADER_LEN: usize = 16;
const NLM_F_REQUEST: u16 = 0x1;
const NLM_F_ACK: u16 = 0x4;
const NLM_F_CREATE: u16 = 0x400;
const NLMSG_ERROR: u16 = 2;
const NLA_F_NESTED: u16 = 0x8000;

const NEWCHAIN: c_int = 3;
const DELTABLE: c_int = 2;
const TABLE_NAME: u16 = 1;
const TABLE_FLAGS: u16 = 2;
const TABLE_OWNER: u32 = 2;
const CHAIN_TABLE: u16 = 1;
const CHAIN_NAME: u16 = 3;
const CHAIN_HOOK: u16 = 4;
const CHAIN_POLICY: u16 = 5;
const CHAIN_TYPE: u16 = 7;
const HOOK_NUMBER: u16 = 1;
const HOOK_PRIORITY: u16 = 2;
const HOOK_DEVICE: u16 = 3;
const POLICY_DROP: u32 = 0;

/// Messages that take effect together.
pub(super) struct Batch {
    bytes: Vec<u8>,
    sequence: u32,
    awaited: usize,
}

impl Batch {
    fn new() -> Self {
        let mut batch = Self {
            bytes: Vec::new(),
            sequence: 0,
            awaited: 0,
        };
        batch.bracket(libc::NFNL_MSG_BATCH_BEGIN);
        batch
    }

    /// Removes a table and what is in it.
    pub(super) fn delete_table(table: &str) -> Self {
        let mut batch = Self::new();
        batch.message(DELTABLE, 0, |attributes| {
            attributes.text(TABLE_NAME, table);
        });
        batch
    }

    /// Makes a table with one chain that drops all that comes in by `device`.
    pub(super) fn drop_all(table: &str, device: &str, priority: i32, owned: bool) -> Self {
        let mut batch = Self::new();
        batch.message(libc::NFT_MSG_NEWTABLE, NLM_F_CREATE, |attributes| {
            attributes.text(TABLE_NAME, table);
            if owned {
                attributes.number(TABLE_FLAGS, TABLE_OWNER);
            }
        });
        batch.message(NEWCHAIN, NLM_F_CREATE, |attributes| {
            attributes.text(CHAIN_TABLE, table);
            attributes.text(CHAIN_NAME, "ingress");
            attributes.nested(CHAIN_HOOK, |hook| {
                hook.number(HOOK_NUMBER, libc::NF_NETDEV_INGRESS as u32);
                hook.number(HOOK_PRIORITY, priority as u32);
                hook.text(HOOK_DEVICE, device);
            });
            attributes.number(CHAIN_POLICY, POLICY_DROP);
            attributes.text(CHAIN_TYPE, "filter");
        });
        batch
    }

    /// The bytes to send, and how many messages the kernel will confirm.
    pub(super) fn finish(mut self) -> (Vec<u8>, usize) {
        self.bracket(libc::NFNL_MSG_BATCH_END);
        (self.bytes, self.awaited)
    }

    fn bracket(&mut self, kind: c_int) {
        let subsystem = libc::NFNL_SUBSYS_NFTABLES as u16;
        self.begin(
            kind as u16,
            NLM_F_REQUEST,
            libc::AF_UNSPEC,
            subsystem,
            |_| {},
        );
    }

    fn message(&mut self, kind: c_int, flags: u16, attributes: impl FnOnce(&mut Attributes<'_>)) {
        let kind = (libc::NFNL_SUBSYS_NFTABLES << 8 | kind) as u16;
        let flags = NLM_F_REQUEST | NLM_F_ACK | flags;
        self.begin(kind, flags, libc::NFPROTO_NETDEV, 0, attributes);
        self.awaited += 1;
    }

    /// One netlink message with its `nfgenmsg`.
    fn begin(
        &mut self,
        kind: u16,
        flags: u16,
        family: c_int,
        resource: u16,
        attributes: impl FnOnce(&mut Attributes<'_>),
    ) {
        let start = self.bytes.len();
        self.bytes.extend([0; 4]);
        self.bytes.extend(kind.to_ne_bytes());
        self.bytes.extend(flags.to_ne_bytes());
        self.bytes.extend(self.sequence.to_ne_bytes());
        self.bytes.extend([0; 4]);
        self.bytes.extend([family as u8, 0]);
        self.bytes.extend(resource.to_be_bytes());
        attributes(&mut Attributes(&mut self.bytes));
        let len = (self.bytes.len() - start) as u32;
        self.bytes[start..start + 4].copy_from_slice(&len.to_ne_bytes());
        self.sequence += 1;
    }
}

/// Attributes at the end of a message.
struct Attributes<'a>(&'a mut Vec<u8>);

impl Attributes<'_> {
    fn number(&mut self, kind: u16, value: u32) {
        self.put(kind, |bytes| bytes.extend(value.to_be_bytes()));
    }

    fn text(&mut self, kind: u16, value: &str) {
        self.put(kind, |bytes| {
            bytes.extend(value.as_bytes());
            bytes.push(0);
        });
    }

    fn nested(&mut self, kind: u16, inner: impl FnOnce(&mut Attributes<'_>)) {
        self.put(kind | NLA_F_NESTED, |bytes| inner(&mut Attributes(bytes)));
    }

    fn put(&mut self, kind: u16, value: impl FnOnce(&mut Vec<u8>)) {
        let start = self.0.len();
        self.0.extend([0; 2]);
        self.0.extend(kind.to_ne_bytes());
        value(self.0);
        let len = (self.0.len() - start) as u16;
        self.0[start..start + 2].copy_from_slice(&len.to_ne_bytes());
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }
}

/// What the kernel says of one message.
pub(super) enum Reply {
    /// It was carried out.
    Done,
    /// It was not.
    Error(io::Error),
}

/// The replies in what was received; what is none is passed over.
pub(super) fn replies(mut bytes: &[u8]) -> impl Iterator<Item = Reply> {
    std::iter::from_fn(move || {
        loop {
            let len = u32::from_ne_bytes(*bytes.first_chunk()?) as usize;
            let message = bytes.get(..len.max(HEADER_LEN))?;
            bytes = bytes.get(len.next_multiple_of(4)..).unwrap_or_default();
            let kind = message.get(4..6).and_then(|kind| kind.first_chunk())?;
            if u16::from_ne_bytes(*kind) == NLMSG_ERROR {
                let code = i32::from_ne_bytes(*message.get(HEADER_LEN..)?.first_chunk()?);
                return Some(match code {
                    0 => Reply::Done,
                    _ => Reply::Error(io::Error::from_raw_os_error(-code)),
                });
            }
        }
    })
}
