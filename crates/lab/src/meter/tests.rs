use super::*;
use crate::topology::{Plug, Router};
use crate::{End, Way};

#[test]
fn a_silence_is_measured_to_the_millisecond() {
    let _alone = crate::alone();
    crate::timed(
        "a_silence_is_measured_to_the_millisecond",
        Duration::from_millis(50),
        || {
            let (a, b) = (Namespace::new("a").unwrap(), Namespace::new("b").unwrap());
            let router = Router::join(9, Plug::new(&a, "line9"), Plug::new(&b, "eth9")).unwrap();
            let ends = [(&a, End::A), (&b, End::B)]
                .map(|(host, end)| MeterEnd::new(host, router.address(end, false)));
            let options = MeterOptions {
                grace: Duration::from_millis(200),
                ..MeterOptions::default()
            };
            let meter = Meter::start(&ends[0], &ends[1], options).unwrap();
            meter.wait_flowing(Duration::from_secs(5)).unwrap();
            thread::sleep(Duration::from_millis(300));

            let mark = meter.mark();
            router.silence(Way::AToB).unwrap();
            let silent = Instant::now();
            thread::sleep(Duration::from_millis(400));
            router.heal().unwrap();
            let silence = silent.elapsed();
            thread::sleep(Duration::from_millis(500));
            let report = meter.report_since(mark);
            let error = report.a_to_b.longest_gap.abs_diff(silence);
            // Usually below 5 ms; the machine may be doing other things too.
            assert!(error < Duration::from_millis(100), "{silence:?} {report:?}");
            assert!(
                report.a_to_b.lost.abs_diff(silence.as_millis() as u64) < 100,
                "{report:?}"
            );
            assert!(
                report.b_to_a.longest_gap < Duration::from_millis(100),
                "{report:?}"
            );

            let whole = meter.stop();
            assert_eq!(whole.b_to_a.lost, 0, "{whole:?}");
            assert_eq!((whole.duplicated(), whole.a_to_b.late), (0, 0), "{whole:?}");
            assert!(whole.a_to_b.sent > 900, "{whole:?}");
            assert_eq!(whole.outage(), whole.a_to_b.longest_gap);
        },
    );
}

#[test]
fn silence_from_the_start_is_an_error_of_waiting() {
    let _alone = crate::alone();
    crate::timed(
        "silence_from_the_start_is_an_error_of_waiting",
        Duration::from_millis(10),
        || {
            let host = Namespace::new("host").unwrap();
            let end = MeterEnd::new(&host, "127.0.0.1".parse().unwrap());
            let meter = Meter::start(&end, &end, MeterOptions::default()).unwrap();
            meter.wait_flowing(Duration::from_secs(5)).unwrap();
            host.set_up("lo", false).unwrap();
            thread::sleep(Duration::from_millis(20));
            let error = meter.wait_flowing(Duration::from_millis(50)).unwrap_err();
            assert!(error.to_string().contains("a to b false"), "{error}");
            let bad = MeterOptions {
                payload: 4,
                ..MeterOptions::default()
            };
            assert!(Meter::start(&end, &end, bad).is_err());
        },
    );
}
