//! Beacons of the gateways of a site.

use wire::beacon::{Beacon, Echo, MAX_BEACON_LEN, Received};
use wire::vlan::{VlanId, VlanSet};

const OWN: u64 = 7;

/// Reads `data` as a beacon, whatever its tag says; one that was read is the same after writing it.
pub fn run(data: &[u8]) {
    let Ok(received) = Received::parse(data) else {
        return;
    };
    let own = data.len() as u64;
    let _ = received.clone().verify(own, |_, _| true);
    let Some(beacon) = received.verify(OWN, |_, _| true) else {
        return;
    };
    let mut out = Vec::new();
    beacon.encode(&mut out, &[OWN], |_, _| [0; 16]);
    assert!(out.len() <= MAX_BEACON_LEN);
    let again = Received::parse(&out).expect("ours");
    assert!(again.clone().verify(OWN, |_, _| false).is_none());
    let again = again.verify(OWN, |_, tag| *tag == [0; 16]).expect("tagged");
    assert!(again.serves.is_subset(&beacon.serves));
    let serves = again.serves.clone();
    assert_eq!(again, Beacon { serves, ..beacon });
}

/// A small beacon and a large one.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let small = Beacon {
        gateway: 1,
        instance: 2,
        number: 3,
        site: 4,
        ready: true,
        reach: 1,
        priority: 100,
        vlan_priorities: Vec::new(),
        echoes: Vec::new(),
        serves: VlanSet::all(),
        claims: VlanSet::empty(),
    };
    let echo = Echo {
        gateway: 7,
        instance: 8,
        number: 9,
    };
    let vlans = |step| (0..4094).step_by(step).filter_map(VlanId::new);
    let large = Beacon {
        vlan_priorities: vlans(200).map(|vlan| (vlan, 7)).collect(),
        echoes: vec![echo; 8],
        serves: vlans(100).collect(),
        claims: vlans(3).collect(),
        ..small.clone()
    };
    [small, large]
        .iter()
        .map(|beacon| {
            let mut out = Vec::new();
            beacon.encode(&mut out, &[OWN, 9], |mate, _| [mate as u8; 16]);
            out
        })
        .collect()
}
