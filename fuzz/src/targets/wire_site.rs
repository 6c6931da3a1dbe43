//! Control messages about sites: the first byte is the type.

use wire::control::site::{
    ADDRESSES, GRANT, Grant, LEASE, Lease, MAX_ADDRESSES, SiteMessage, put_addresses, put_grant,
    put_lease,
};
use wire::ethernet::Mac;
use wire::vlan::{VlanId, VlanSet};

/// Bytes of a control message's type and length.
const HEAD: usize = 3;

/// Reads `data` as a message; one that was read is the same after writing it.
pub fn run(data: &[u8]) {
    let Some((&kind, value)) = data.split_first() else {
        return;
    };
    let Ok(message) = SiteMessage::parse(kind, value) else {
        return;
    };
    let mut out = Vec::new();
    match &message {
        SiteMessage::Lease(lease) => put_lease(&mut out, lease),
        SiteMessage::Grant(grant) => put_grant(&mut out, grant),
        SiteMessage::Addresses(addresses) => {
            let macs: Vec<Mac> = addresses.macs().collect();
            assert!(macs.iter().all(|mac| !mac.is_multicast()));
            let written = put_addresses(&mut out, addresses.vlan, macs.iter().copied());
            assert_eq!(written, macs.len().min(MAX_ADDRESSES));
            let Ok(SiteMessage::Addresses(again)) = SiteMessage::parse(kind, &out[HEAD..]) else {
                panic!("ours");
            };
            assert!(again.macs().eq(macs.into_iter().take(MAX_ADDRESSES)));
            return;
        }
    }
    assert_eq!(SiteMessage::parse(kind, &out[HEAD..]), Ok(message));
}

/// One of each.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let (mut lease, mut grant, mut addresses) = (Vec::new(), Vec::new(), Vec::new());
    let vlans = |step| (0..4094).step_by(step).filter_map(VlanId::new);
    put_lease(
        &mut lease,
        &Lease {
            number: 7,
            term_ms: 120,
            gateway: 3,
            alone: true,
            vlans: vlans(100).collect(),
        },
    );
    put_grant(
        &mut grant,
        &Grant {
            number: 7,
            vlans: vlans(2).collect(),
            held: VlanSet::empty(),
            holder: 4,
            held_age_ms: 30,
        },
    );
    put_addresses(&mut addresses, VlanId::MAX, [Mac([2, 0, 0, 0, 0, 1]); 3]);
    let of = |kind, message: &[u8]| [&[kind], &message[HEAD..]].concat();
    vec![
        of(LEASE, &lease),
        of(GRANT, &grant),
        of(ADDRESSES, &addresses),
    ]
}
