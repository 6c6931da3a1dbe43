use super::*;

fn carried(record: u64) -> Carried {
    Carried {
        record,
        offset: 0,
        len: 100,
        again: 0,
        ordered: None,
        handed: false,
    }
}

fn filled(count: u64, start: Instant) -> InFlight {
    let mut flight = InFlight::default();
    for n in 0..count {
        let at = start + Duration::from_millis(n);
        flight.push(at, 1000, Purpose::Ordinary, &[carried(n)], None);
    }
    flight
}

fn acked(flight: &mut InFlight, range: RangeInclusive<u64>) -> AckOutcome {
    let mut lost = Lost {
        swallowed: &mut Vec::new(),
        parts: &mut Vec::new(),
        arrived: &mut Vec::new(),
    };
    flight.acknowledge(
        [range].into_iter(),
        Duration::from_millis(20),
        1200,
        &mut lost,
    )
}

#[test]
fn acknowledged_datagrams_leave() {
    let start = test_epoch();
    let mut flight = filled(4, start);
    let outcome = acked(&mut flight, 0..=3);
    assert_eq!((outcome.newly_acked, outcome.lost), (4, 0));
    assert_eq!(
        outcome.largest_sent_at,
        Some(start + Duration::from_millis(3))
    );
    assert_eq!(
        (flight.bytes(), flight.oldest(), flight.next_number()),
        (0, None, 4)
    );
}

#[test]
fn a_gap_is_lost_after_three_later_ones() {
    let mut flight = filled(4, test_epoch());
    assert_eq!(acked(&mut flight, 1..=2).lost, 0);
    assert_eq!(acked(&mut flight, 1..=3).lost, 1);
    assert_eq!(flight.oldest(), None);
}

#[test]
fn neighbouring_parts_of_a_record_are_sent_again_as_one() {
    let part = |record, offset, len| Carried {
        record,
        offset,
        len,
        again: 0,
        ordered: None,
        handed: false,
    };
    let mut parts = vec![
        part(1, 0, 500),
        part(1, 400, 300),
        part(1, 700, 100),
        part(1, 900, 10),
        part(2, 0, 9),
    ];
    parts.dedup_by(|next, kept| kept.absorb(next));
    assert_eq!(parts, [part(1, 0, 800), part(1, 900, 10), part(2, 0, 9)]);
}

#[test]
fn what_is_in_flight_is_handed_out_once() {
    let mut flight = filled(3, test_epoch());
    acked(&mut flight, 1..=1);
    let mut parts = Vec::new();
    flight.take_outstanding(&mut parts);
    assert_eq!(parts, [carried(0), carried(2)]);
    parts.clear();
    flight.take_outstanding(&mut parts);
    assert_eq!(parts, []);
}

#[test]
fn what_was_overtaken_is_handed_out_once_it_is_late() {
    let start = test_epoch();
    let mut flight = filled(3, start);
    let late = Duration::from_millis(23);
    assert_eq!(flight.next_late(late), None, "nothing was overtaken yet");
    acked(&mut flight, 1..=1);
    assert_eq!(flight.next_late(late), Some(start + late));
    let mut parts = Vec::new();
    flight.take_late(late, start + late - Duration::from_micros(1), &mut parts);
    assert_eq!(parts, []);
    flight.take_late(late, start + late, &mut parts);
    assert_eq!(parts, [carried(0)]);
    flight.take_late(late, start + late, &mut parts);
    assert_eq!((parts.len(), flight.next_late(late)), (1, None));
}

#[test]
fn what_was_handed_out_and_arrives_after_all_is_told_once() {
    let mut flight = filled(3, test_epoch());
    let mut parts = Vec::new();
    flight.take_outstanding(&mut parts);
    let (mut swallowed, mut lost, mut arrived) = (Vec::new(), Vec::new(), Vec::new());
    for range in [1..=1, 0..=1] {
        let mut told = Lost {
            swallowed: &mut swallowed,
            parts: &mut lost,
            arrived: &mut arrived,
        };
        flight.acknowledge(
            [range].into_iter(),
            Duration::from_millis(20),
            1200,
            &mut told,
        );
    }
    let told: Vec<u64> = arrived.iter().map(|part| part.record).collect();
    assert_eq!(told, [1, 0]);
    assert_eq!(lost, []);
}

#[test]
fn an_ack_for_numbers_never_sent_is_not_believed() {
    let mut flight = filled(3, test_epoch());
    let outcome = acked(&mut flight, 0..=9);
    assert_eq!(outcome.newly_acked, 0);
    assert_eq!(flight.bytes(), 3000);
}

#[test]
fn a_lost_mtu_probe_is_not_a_loss() {
    let start = test_epoch();
    let mut flight = InFlight::default();
    flight.push(start, 1400, Purpose::MtuProbe, &[], None);
    assert_eq!(flight.oldest(), None);
    for _ in 0..3 {
        flight.push(start, 100, Purpose::Ordinary, &[], None);
    }
    let outcome = acked(&mut flight, 1..=3);
    assert_eq!((outcome.lost, outcome.mtu_probe_lost), (0, Some(1400)));
}

#[allow(clippy::disallowed_methods)] // only differences to it are used
fn test_epoch() -> Instant {
    Instant::now()
}
