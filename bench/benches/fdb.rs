//! What the switch costs: finding and refreshing a learned address among many.

#![allow(missing_docs)]
// The table gets the time as an argument; the bench has to take it from somewhere.
#![allow(clippy::disallowed_methods)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use bridge::PortId;
use bridge::fdb::{Fdb, FdbConfig};
use criterion::{Criterion, criterion_group, criterion_main};
use wire::ethernet::Mac;
use wire::vlan::VlanId;

fn mac(number: u32) -> Mac {
    let [a, b, c, d] = number.to_be_bytes();
    Mac([2, 0, a, b, c, d])
}

fn table(entries: u32, vlan: VlanId, now: Instant) -> Fdb {
    let mut fdb = Fdb::new(FdbConfig {
        ageing: Duration::from_secs(300),
        limit: entries as usize,
        limit_per_port: entries as usize,
        hash_seed: 0x5eed,
    });
    for number in 0..entries {
        fdb.learn(vlan, mac(number), PortId(1), now);
    }
    fdb
}

fn fdb(c: &mut Criterion) {
    let (now, vlan) = (Instant::now(), VlanId::new(10).expect("a VLAN"));
    let mut group = c.benchmark_group("fdb");
    for entries in [1, 1000, 16_384] {
        let mut fdb = table(entries, vlan, now);
        let mut number = 0;
        // Far apart, so that caches do not make it look better than traffic would find it.
        let mut next = move || {
            number = (number + 7919) % entries;
            mac(number)
        };
        group.bench_function(format!("lookup/{entries}"), |b| {
            b.iter(|| black_box(fdb.lookup(vlan, next(), now)));
        });
        group.bench_function(format!("learn/{entries}"), |b| {
            b.iter(|| black_box(fdb.learn(vlan, next(), PortId(1), now)));
        });
    }
    group.finish();
}

criterion_group!(benches, fdb);
criterion_main!(benches);
