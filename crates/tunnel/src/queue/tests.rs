use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;

const SUPER: u32 = 65_000;
const MTU: u32 = 1500;
const MS: Duration = Duration::from_millis(1);

#[allow(clippy::disallowed_methods)] // only differences to it are used
fn epoch() -> Instant {
    Instant::now()
}

/// A queue for one test: numbers its items, keeps what was dropped.
struct Bench {
    queue: FairQueue,
    now: Instant,
    pushed: u32,
    dropped: Vec<Item>,
}

impl Bench {
    fn new(limits: QueueLimits) -> Self {
        Self {
            queue: FairQueue::new(limits, 7),
            now: epoch(),
            pushed: 0,
            dropped: Vec::new(),
        }
    }

    /// Without bounds that matter.
    fn wide() -> Self {
        Self::new(QueueLimits {
            items: 1 << 16,
            bytes: u32::MAX,
            ..QueueLimits::default()
        })
    }

    fn push(&mut self, flow: u32, len: u32) -> Item {
        let item = Item {
            handle: self.pushed,
            len,
            flow,
        };
        self.pushed += 1;
        let dropped = &mut |item| self.dropped.push(item);
        self.queue.push(item, self.now, dropped);
        item
    }

    fn push_many(&mut self, flow: u32, len: u32, count: u32) {
        for _ in 0..count {
            self.push(flow, len);
        }
    }

    fn pop(&mut self) -> Option<Item> {
        let dropped = &mut |item| self.dropped.push(item);
        self.queue.pop(self.now, dropped)
    }

    fn pop_flows(&mut self, count: usize) -> Vec<u32> {
        (0..count)
            .map_while(|_| self.pop().map(|i| i.flow))
            .collect()
    }

    /// Flow hashes of different buckets.
    fn flows(&self, count: usize) -> Vec<u32> {
        let mut buckets = Vec::new();
        let fresh = (1..).filter(|&flow| {
            let bucket = self.queue.bucket(flow);
            let fresh = !buckets.contains(&bucket);
            buckets.push(bucket);
            fresh
        });
        fresh.take(count).collect()
    }
}

#[test]
fn one_flow_is_a_fifo_and_counts_what_is_in_it() {
    let mut bench = Bench::wide();
    let items = [1, 0, SUPER].map(|len| bench.push(5, len));
    assert_eq!((bench.queue.len(), bench.queue.bytes()), (3, SUPER + 2));
    bench.now += 3 * MS;
    assert_eq!([(); 3].map(|()| bench.pop()), items.map(Some));
    assert!(bench.queue.is_empty() && bench.pop().is_none() && bench.queue.bytes() == 0);
    assert_eq!(bench.queue.counters().max_sojourn, 3 * MS);
}

#[test]
fn nothing_is_allocated_once_it_is_made() {
    let mut bench = Bench::new(QueueLimits::default());
    let capacity = bench.queue.slab.capacity();
    for n in 0..10_000 {
        bench.push(n, 64 + n % 1000);
    }
    assert_eq!(bench.queue.len(), 2048);
    assert_eq!(bench.queue.slab.capacity(), capacity);
}

#[test]
fn impossible_limits_become_possible_ones() {
    for (small, time) in [(0, Duration::ZERO), (u32::MAX, Duration::MAX)] {
        let mut bench = Bench::new(QueueLimits {
            items: 0,
            bytes: small,
            flows: small as usize,
            quantum: small,
            target: time,
            interval: time,
        });
        for _ in 0..3 {
            bench.push(1, 1);
            bench.now += Duration::from_secs(60);
        }
        assert_eq!((bench.queue.len(), bench.dropped.len()), (1, 2));
        assert!(bench.pop().is_some());
    }
}

#[test]
fn the_secret_decides_who_shares_a_bucket() {
    let sharing = |secret| {
        let queue = FairQueue::new(QueueLimits::default(), secret);
        let shares = |flow: &u32| queue.bucket(*flow) == queue.bucket(0);
        (1..100_000).filter(shares).collect::<Vec<u32>>()
    };
    let (one, other) = (sharing(0), sharing(1));
    assert!((50..200).contains(&one.len()) && (50..200).contains(&other.len()));
    assert!(one.iter().filter(|flow| other.contains(flow)).count() < 10);
}

// Turns.

#[test]
fn a_new_flow_goes_first_until_its_quantum_is_used() {
    let mut bench = Bench::wide();
    let [bulk, sparse] = bench.flows(2)[..] else {
        unreachable!()
    };
    bench.push_many(bulk, MTU, 20);
    assert_eq!(bench.pop_flows(2), [bulk; 2]); // 1500 of 1514 bytes, and into debt
    bench.push_many(sparse, 700, 6);
    let flows = bench.pop_flows(6);
    assert_eq!(flows, [sparse, sparse, sparse, bulk, sparse, sparse]);
}

#[test]
fn what_is_left_of_a_quantum_keeps_precedence_within_its_round() {
    let mut bench = Bench::wide();
    let flows = bench.flows(5);
    for &bulk in &flows[1..] {
        bench.push_many(bulk, SUPER, 5);
    }
    bench.pop_flows(5);
    for _ in 0..3 {
        bench.push(flows[0], 200);
        assert_eq!(bench.pop().map(|item| item.flow), Some(flows[0]));
        assert_ne!(bench.pop().map(|item| item.flow), Some(flows[0]));
    }
}

#[test]
fn super_frames_one_at_a_time_do_not_pass_as_sparse() {
    let mut bench = Bench::wide();
    let [single, bulk] = bench.flows(2)[..] else {
        unreachable!()
    };
    bench.push(single, SUPER);
    bench.push_many(bulk, MTU, 200);
    assert_eq!(bench.pop_flows(1), [single]);
    bench.push(single, SUPER);
    let between = bench.pop_flows(100);
    let between = between.iter().take_while(|&&flow| flow == bulk).count();
    assert!((42..=45).contains(&between), "{between}");
}

#[test]
fn a_flow_within_its_share_does_not_wait_for_a_round_of_super_frames() {
    let mut bench = Bench::wide();
    let flows = bench.flows(11);
    for &bulk in &flows[1..] {
        bench.push_many(bulk, SUPER, 5);
    }
    bench.pop_flows(11); // the second round has begun; nine are to come
    bench.push_many(flows[0], 1000, 20);
    assert_eq!(bench.pop_flows(20), [flows[0]; 20]);
}

#[test]
fn debts_end_when_the_queue_is_empty() {
    let mut bench = Bench::wide();
    let [one, other] = bench.flows(2)[..] else {
        unreachable!()
    };
    bench.push(one, SUPER);
    bench.pop();
    bench.push_many(other, MTU, 9);
    assert_eq!(bench.pop_flows(3), [other; 3]);
    bench.push(one, 64);
    assert_eq!(bench.pop_flows(1), [one]);
}

#[test]
fn a_round_that_lost_its_flows_to_the_bound_does_not_turn_the_wheel_round() {
    let mut turns = Turns::new(3, 64);
    (0..3).for_each(|flow| turns.join(flow));
    // Each is 63 rounds in debt, the most that is repaid in one step.
    let serve = |turns: &mut Turns| {
        let flow = turns.next().expect("somebody waits");
        turns.charge(flow, 63 * 64, true);
        flow
    };
    assert_eq!([(); 5].map(|()| serve(&mut turns)), [0, 1, 2, 0, 1]);
    turns.leave(2);
    assert_eq!([(); 6].map(|()| serve(&mut turns)), [0, 1, 0, 1, 0, 1]);
}

// The bound.

#[test]
fn a_full_queue_drops_the_head_of_the_fattest_flow() {
    let mut bench = Bench::new(QueueLimits {
        items: 10,
        ..QueueLimits::default()
    });
    let [bulk, sparse] = bench.flows(2)[..] else {
        unreachable!()
    };
    bench.push_many(bulk, MTU, 10);
    bench.push(sparse, 64);
    assert_eq!(bench.dropped.len(), 1);
    assert_eq!((bench.dropped[0].flow, bench.dropped[0].handle), (bulk, 0));
    assert_eq!(bench.queue.counters().overflow_drops, 1);
    assert_eq!(bench.pop_flows(10).last(), Some(&bulk));
}

#[test]
fn a_long_item_costs_as_many_short_ones_as_it_takes() {
    let mut bench = Bench::new(QueueLimits {
        bytes: 100_000,
        ..QueueLimits::default()
    });
    let flows = bench.flows(2);
    bench.push_many(flows[0], 1000, 100);
    bench.push(flows[1], 40_000);
    assert_eq!(bench.dropped.len(), 40);
    assert_eq!(bench.queue.bytes(), 100_000);
}

#[test]
fn an_item_goes_itself_when_it_is_the_fattest_or_longer_than_the_bound() {
    let mut bench = Bench::new(QueueLimits {
        bytes: 10_000,
        ..QueueLimits::default()
    });
    let flows = bench.flows(2);
    bench.push(flows[0], 4000);
    let fat = bench.push(flows[1], 9000);
    let too_long = bench.push(flows[0], 10_001);
    assert_eq!(bench.dropped, [fat, too_long]);
    assert_eq!(bench.queue.len(), 1);
}

// CoDel.

#[test]
fn a_short_stay_is_never_punished() {
    let mut bench = Bench::wide();
    bench.push_many(1, MTU, 3);
    for _ in 0..5000 {
        bench.push(1, MTU);
        bench.now += MS;
        assert!(bench.pop().is_some());
    }
    assert!(bench.dropped.is_empty());
    assert!(bench.queue.counters().max_sojourn < 5 * MS);
}

#[test]
fn an_mtu_of_backlog_and_a_single_super_frame_are_never_dropped() {
    for (len, waiting) in [(MTU, 1), (700, 2), (SUPER, 1)] {
        let mut bench = Bench::wide();
        bench.push_many(1, len, waiting);
        for _ in 0..100 {
            bench.push(1, len);
            bench.now += 50 * MS;
            assert!(bench.pop().is_some());
        }
        assert_eq!(bench.dropped, [], "items of {len}");
    }
}

#[test]
fn drops_begin_after_an_interval_and_come_ever_faster() {
    let mut bench = Bench::wide();
    let start = bench.now;
    let mut drops = Vec::new();
    while drops.len() < 30 {
        bench.push_many(1, MTU, 2);
        bench.now += MS;
        assert!(bench.pop().is_some());
        drops.resize(bench.dropped.len(), bench.now - start);
    }
    // Item n leaves after n ms and came after n/2: the target is exceeded after 10 ms.
    assert!((105 * MS..115 * MS).contains(&drops[0]), "{:?}", drops[0]);
    for (n, pair) in drops.windows(2).enumerate() {
        let pause = (pair[1] - pair[0]).as_secs_f64();
        let law = 0.1 / ((n + 1) as f64).sqrt();
        assert!((pause - law).abs() < 0.002, "{n}: {pause} for {law}");
    }
}

#[test]
fn a_steady_overload_is_answered_with_its_own_rate_of_drops() {
    let mut bench = Bench::wide();
    let (mut stays, mut early) = (Vec::new(), 0);
    let mut born = VecDeque::new();
    for step in 0..60_000u32 {
        born.push_back(bench.now);
        bench.push(1, MTU);
        if step % 10 == 0 {
            born.push_back(bench.now);
            bench.push(1, MTU);
        }
        bench.now += MS;
        let item = bench.pop().expect("more comes than goes");
        if step == 30_000 {
            early = bench.dropped.len();
        }
        if step > 30_000 {
            stays.push(bench.now - born[item.handle as usize]);
        }
    }
    let late = bench.dropped.len() - early;
    assert!((2500..3500).contains(&late), "{late} of 3000");
    stays.sort();
    let median = stays[stays.len() / 2];
    assert!(median < 40 * MS, "{median:?}");
}

#[test]
fn dropping_begins_again_at_the_rate_that_was_found() {
    let law = Law {
        target: 5 * MS,
        interval: 100 * MS,
        mtu: MTU,
    };
    let mut now = epoch();
    let mut codel = Codel::default();
    // Counts drops in half a second of a standing queue, asked every millisecond.
    let stand = |codel: &mut Codel, now: &mut Instant| {
        let drops = |_: &u32| {
            *now += MS;
            codel.drops(&law, 20 * MS, MTU, 10 * MTU, *now)
        };
        (0..500u32).filter(drops).count()
    };
    let first = stand(&mut codel, &mut now);
    assert!(!codel.drops(&law, MS, MTU, 10 * MTU, now));
    assert!(stand(&mut codel, &mut now) > first + 3);
    codel.on_empty();
    now += 2000 * MS;
    assert_eq!(stand(&mut codel, &mut now), first);
}

// Whatever happens.

#[derive(Clone, Debug)]
enum Step {
    Push(u32, u32),
    Pop,
    Wait(u32),
}

fn length() -> impl Strategy<Value = u32> {
    prop_oneof![Just(64), Just(MTU), Just(SUPER), 0u32..70_000]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        5 => (0u32..12, length()).prop_map(|(flow, len)| Step::Push(flow, len)),
        3 => Just(Step::Pop),
        1 => (0u32..100_000).prop_map(Step::Wait),
    ];
    proptest::collection::vec(step, 0..400)
}

fn limits() -> impl Strategy<Value = QueueLimits> {
    let sizes = (1usize..60, 1u32..400_000, 1usize..20, 0u32..3000);
    (sizes, 0u64..10, 0u64..50).prop_map(|((items, bytes, flows, quantum), target, interval)| {
        QueueLimits {
            items,
            bytes,
            flows,
            quantum,
            target: Duration::from_millis(target),
            interval: Duration::from_millis(interval),
        }
    })
}

/// What should be in the queue, bucket by bucket.
struct Model(Vec<VecDeque<Item>>);

impl Model {
    fn bytes(&self, bucket: usize) -> u32 {
        self.0[bucket].iter().map(Item::cost).sum()
    }

    /// An item came out: it must have been the head of its flow.
    fn take(&mut self, bench: &Bench, item: Item) {
        let bucket = usize::from(bench.queue.bucket(item.flow));
        assert_eq!(self.0[bucket].pop_front(), Some(item));
    }

    /// An item gave way: its flow must have been about as fat as any.
    fn overflow(&mut self, bench: &Bench, item: Item) {
        let most = (0..self.0.len()).map(|b| self.bytes(b)).max();
        let bucket = usize::from(bench.queue.bucket(item.flow));
        assert!(self.bytes(bucket) >= most.unwrap_or(0) / 2);
        self.take(bench, item);
    }

    fn step(&mut self, bench: &mut Bench, limits: &QueueLimits, step: &Step) {
        match *step {
            Step::Push(flow, len) => {
                let item = bench.push(flow, len);
                let bucket = bench.queue.bucket(flow);
                self.0[usize::from(bucket)].push_back(item);
                let dropped = std::mem::take(&mut bench.dropped);
                if item.cost() > limits.bytes {
                    assert_eq!(dropped, [item]);
                    self.0[usize::from(bucket)].pop_back();
                } else {
                    dropped.iter().for_each(|&gone| self.overflow(bench, gone));
                }
            }
            Step::Pop => {
                let was_empty = bench.queue.is_empty();
                let popped = bench.pop();
                assert_eq!(popped.is_none(), was_empty);
                let dropped = std::mem::take(&mut bench.dropped);
                dropped.into_iter().for_each(|gone| self.take(bench, gone));
                popped.into_iter().for_each(|item| self.take(bench, item));
            }
            Step::Wait(micros) => bench.now += Duration::from_micros(micros.into()),
        }
        assert!(bench.queue.len() <= limits.items && bench.queue.bytes() <= limits.bytes);
        assert_eq!(bench.queue.len(), self.0.iter().map(VecDeque::len).sum());
        let bytes: u32 = (0..self.0.len()).map(|b| self.bytes(b)).sum();
        assert_eq!(bench.queue.bytes(), bytes);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn every_handle_comes_back_once_and_in_the_order_of_its_flow(limits in limits(), steps in steps()) {
        let mut bench = Bench::new(limits);
        let mut model = Model(vec![VecDeque::new(); limits.flows]);
        for step in &steps {
            model.step(&mut bench, &limits, step);
        }
        for _ in 0..limits.items {
            model.step(&mut bench, &limits, &Step::Pop);
        }
        prop_assert!(bench.queue.is_empty());
        let counters = bench.queue.counters();
        prop_assert!(counters.codel_drops + counters.overflow_drops <= u64::from(bench.pushed));
    }

    #[test]
    fn busy_flows_share_alike_in_bytes(
        lengths in proptest::collection::vec(prop_oneof![length(), 60_000u32..400_000], 2..8),
        quantum in 64u32..3000,
    ) {
        let mut bench = Bench::new(QueueLimits { bytes: u32::MAX, quantum, ..QueueLimits::default() });
        let flows = bench.flows(lengths.len());
        for (&flow, &len) in flows.iter().zip(&lengths) {
            bench.push_many(flow, len, 2);
        }
        let longest = lengths.iter().max().copied().unwrap_or(0);
        let mut sent = vec![0u64; flows.len()];
        for _ in 0..4000 {
            let item = bench.pop().expect("all are kept busy");
            let flow = flows.iter().position(|&flow| flow == item.flow).expect("one of them");
            sent[flow] += u64::from(item.cost());
            bench.push(item.flow, item.len);
            let gap = sent.iter().max().expect("two") - sent.iter().min().expect("two");
            prop_assert!(gap <= u64::from(longest + 2 * quantum), "{sent:?} of {lengths:?}");
        }
    }

    #[test]
    fn a_sparse_item_passes_any_backlog(
        lengths in proptest::collection::vec(length(), 1..8),
        served in 0usize..300,
        len in 1u32..70_000,
    ) {
        let mut bench = Bench::wide();
        let flows = bench.flows(lengths.len() + 1);
        // At least 24 items of each: its first quantum is used, and it is new no more.
        for (&flow, &length) in flows[1..].iter().zip(&lengths) {
            bench.push_many(flow, length.max(64), 400);
        }
        bench.pop_flows(25 * lengths.len() + served);
        let sparse = bench.push(flows[0], len);
        prop_assert_eq!(bench.pop(), Some(sparse));
    }
}
