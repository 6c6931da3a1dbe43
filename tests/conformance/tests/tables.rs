//! The standard's tables of values.

use bridge::rstp::{RstpConfig, RstpConfigError, RstpPortConfig, path_cost};
use serde::Deserialize;
use std::collections::BTreeMap;
use wire::ethernet::Mac;

#[derive(Deserialize)]
struct Tables {
    path_cost: Vec<(u64, u32)>,
    timer: BTreeMap<String, [u16; 3]>,
    priority: BTreeMap<String, [u16; 3]>,
}

fn tables() -> Tables {
    toml::from_str(include_str!("../tables/values.toml")).expect("well-formed")
}

#[test]
fn path_costs_of_table_17_3() {
    let rows = tables().path_cost;
    assert_eq!(rows.len(), 9);
    for (speed, cost) in rows {
        assert_eq!(path_cost(speed), cost, "{speed} bit/s");
    }
    // Beyond the table: what an identifier of 32 bits may hold (table 17-3, note).
    assert_eq!(
        (path_cost(0), path_cost(1), path_cost(u64::MAX)),
        (200_000_000, 200_000_000, 1)
    );
    assert_eq!(path_cost(2_500_000_000), 8_000);
}

#[test]
fn defaults_and_ranges_of_table_17_1() {
    let default = RstpConfig::new(Mac([2, 0, 0, 0, 0, 1]));
    let timers = tables().timer;
    assert_eq!(timers.len(), 4);
    for (name, [recommended, least, most]) in timers {
        let with = |value: u16| {
            let mut config = default;
            match name.as_str() {
                "hello_time" => config.hello_time = value,
                "max_age" => config.max_age = value,
                "forward_delay" => config.forward_delay = value,
                _ => config.tx_hold_count = value as u8,
            }
            config
        };
        assert_eq!(with(recommended), default, "{name}");
        for (value, within) in [
            (least - 1, false),
            (least, true),
            (most, true),
            (most + 1, false),
        ] {
            // A value within its range may still not fit beside the defaults of the others.
            let alone = !matches!(
                with(value).check(),
                Err(RstpConfigError::HelloTime(_)
                    | RstpConfigError::MaxAge(_)
                    | RstpConfigError::ForwardDelay(_)
                    | RstpConfigError::TxHoldCount(_))
            );
            assert_eq!(alone, within, "{name} {value}");
        }
    }
}

#[test]
fn priorities_of_table_17_2() {
    let tables = tables().priority;
    let [default, most, step] = tables["bridge"];
    let mut config = RstpConfig::new(Mac([2, 0, 0, 0, 0, 1]));
    assert_eq!(config.priority, default);
    for value in 0..=u16::MAX {
        config.priority = value;
        let allowed = value <= most && value % step == 0;
        assert_eq!(config.check().is_ok(), allowed, "bridge priority {value}");
    }
    let [default, most, step] = tables["port"];
    let mut port = RstpPortConfig::default();
    assert_eq!(u16::from(port.priority), default);
    for value in 0..=u8::MAX {
        port.priority = value;
        let allowed = u16::from(value) <= most && u16::from(value) % step == 0;
        assert_eq!(port.check().is_ok(), allowed, "port priority {value}");
    }
}
