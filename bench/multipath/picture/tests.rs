use std::time::Duration;

use super::*;
use crate::record::{Arrivals, FlowRecord, Sample, StreamRecord};
use crate::scenario::{Mode, Scenario};

fn record() -> Record {
    let text = "description = \"x\"\nseconds = 4\n\
        [[line]]\nrate = 50\nrtt = 20\n[[line]]\nrate = 20\nrtt = 60\n[[tcp]]\n\
        [[stream]]\nname = \"<voice> & \\\"co\\\"\"\nrate = 50\npayload = 160\n\
        [[event]]\nat = 2\nline = 1\ndo = \"cut\"\n[[goal]]\nwhat = \"goodput\"\n";
    let scenario = Scenario::parse("X & <Y>", text).unwrap();
    let mut arrivals = Arrivals::default();
    for ms in 0..4000 {
        arrivals.add(Duration::from_millis(ms), 5000, Duration::from_millis(1));
    }
    let sample = |n: u64| Sample {
        at: n as f64 * 0.1,
        delivered: vec![[n * 500_000, 0], [n * 200_000, 0]],
        queue_full: vec![[0, 0]; 2],
        ..Sample::default()
    };
    let packets: Vec<Packet> = (0..80)
        .map(|n| Packet {
            at: f64::from(n) * 0.05 - 0.5,
            delay_ms: (n % 7 != 0).then_some(20.0 + f64::from(n % 5)),
        })
        .collect();
    Record {
        flows: vec![FlowRecord {
            direction: Direction::AToB,
            arrivals,
        }],
        streams: vec![StreamRecord {
            name: scenario.streams[0].name.clone(),
            direction: Direction::AToB,
            packets: packets.clone(),
        }],
        pings: packets,
        samples: (0..=40).map(sample).collect(),
        events: vec![(2.0, scenario.events[0].describe())],
        scenario,
        mode: Mode::Failover,
        stall: lab::Stall::default(),
        daemon_cpu: 0.0,
        status: Default::default(),
    }
}

#[test]
fn a_picture_is_well_formed_whatever_the_names() {
    let text = draw(&record());
    let document = roxmltree::Document::parse(&text).unwrap();
    let named = |name: &'static str| {
        let nodes = document.descendants();
        nodes.filter(move |node| node.has_tag_name(("http://www.w3.org/2000/svg", name)))
    };
    // Two lines, what was delivered, what counts as 100 %.
    assert_eq!(named("polyline").count(), 4);
    assert_eq!(named("path").count(), 2, "pings and the stream");
    let texts: Vec<&str> = named("text").filter_map(|node| node.text()).collect();
    assert!(texts.contains(&"X & <Y>, failover"), "{texts:?}");
    assert!(texts.contains(&"<voice> & \"co\", one way"), "{texts:?}");
    assert!(texts.contains(&"line 1 cut"), "{texts:?}");
}

#[test]
fn rates_are_those_between_samples() {
    let record = record();
    let rates = line_rate(&record, 0, Direction::AToB);
    assert_eq!(rates.len(), 40);
    assert!(rates.iter().all(|(_, rate)| (rate - 40.0).abs() < 0.01));
    let delivered = delivered(&record, Direction::AToB);
    assert!((delivered[20].1 - 40.0).abs() < 0.5, "{delivered:?}");
    let steps: Vec<f64> = ideal(&record).iter().map(|point| point.1.round()).collect();
    assert_eq!(steps, [65.0, 65.0, 19.0, 19.0]);
}
