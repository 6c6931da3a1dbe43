//! Hellos.

use wire::hello::{HELLO_LEN, Hello, MAX_NAME_LEN, MAX_SITE_LEN, MAX_UPLINKS, MAX_VLAN_RANGES};
use wire::vlan::{VlanId, VlanSet};

/// Reads `data` as a Hello; one that was read is the same after writing it.
pub fn run(data: &[u8]) {
    let Ok(hello) = Hello::decode(data) else {
        return;
    };
    assert!(hello.name.len() <= MAX_NAME_LEN && hello.uplinks.len() <= MAX_UPLINKS);
    assert!(hello.site.len() <= MAX_SITE_LEN);
    assert!(!hello.name.chars().any(char::is_control));
    let encoded: [u8; HELLO_LEN] = hello.encode();
    let again = Hello::decode(&encoded).expect("ours");
    let ranges = hello
        .vlans
        .as_ref()
        .map_or(0, |vlans| vlans.ranges().count());
    if ranges <= MAX_VLAN_RANGES {
        assert_eq!(again, hello);
    } else {
        let (all, some) = (
            hello.vlans.unwrap_or_default(),
            again.vlans.unwrap_or_default(),
        );
        assert_eq!(all.intersect(&some), some, "fewer VLANs, never others");
    }
}

/// A small Hello, a full one, and one without VLANs.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let small = Hello {
        instance: 1,
        timestamp: 2,
        generation: 3,
        ..Hello::default()
    };
    let full = Hello {
        ciphers: 7,
        capabilities: 1,
        name: "gateway é".repeat(9),
        uplinks: (0..16)
            .map(|id| (id, wire::control::RoleCode::from_byte(id)))
            .collect(),
        vlans: Some((0..4094).step_by(50).filter_map(VlanId::new).collect()),
        peer_instance: 5,
        site: "office".into(),
        ..small.clone()
    };
    let none = Hello {
        vlans: Some(VlanSet::empty()),
        ..small.clone()
    };
    [small, full, none]
        .iter()
        .map(|hello| hello.encode().to_vec())
        .collect()
}
