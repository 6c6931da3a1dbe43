use super::*;
use crate::testing::{block_on, in_netns};

#[test]
fn names_are_checked_before_the_kernel_sees_them() {
    for bad in ["", ".", "..", "a b", "a/b", "tap%d", "sixteen-bytes-xx"] {
        let error = Tap::open(bad, TapOptions::default()).unwrap_err();
        assert!(matches!(error, TapError::BadName(_)), "{bad}: {error}");
    }
}

#[test]
fn a_made_device_goes_and_an_adopted_one_stays() {
    in_netns(|| {
        let tap = Tap::open(
            "t0",
            TapOptions {
                ifindex: Some(4711),
                ..Default::default()
            },
        )
        .unwrap();
        assert!(!tap.adopted());
        assert_eq!((tap.name(), tap.ifindex()), ("t0", 4711));
        drop(tap);
        assert_eq!(raw::if_index("t0"), None);

        drop(
            Tap::open(
                "t1",
                TapOptions {
                    persist: true,
                    ..Default::default()
                },
            )
            .unwrap(),
        );
        let index = raw::if_index("t1").expect("kept");
        let tap = Tap::open("t1", TapOptions::default()).unwrap();
        assert!(tap.adopted());
        assert_eq!(tap.ifindex(), index);
        drop(tap);
        assert_eq!(
            raw::if_index("t1"),
            Some(index),
            "an adopted device is left in place"
        );
    });
}

#[test]
fn errors_are_told_apart() {
    in_netns(|| {
        let _held = Tap::open("t0", TapOptions::default()).unwrap();
        let error = Tap::open("t0", TapOptions::default()).unwrap_err();
        assert!(matches!(error, TapError::Busy(_)), "{error}");
        let error = Tap::open("lo", TapOptions::default()).unwrap_err();
        assert!(matches!(error, TapError::NameIsNotTap(_)), "{error}");
    });
}

#[test]
fn frames_pass_and_carrier_can_be_taken_away() {
    in_netns(|| {
        let tap = Tap::open("t0", TapOptions::default()).unwrap();
        block_on(async |netlink| {
            assert_eq!(
                tap.write(&[0; 60]).unwrap_err().raw_os_error(),
                Some(libc::EIO),
                "down"
            );
            netlink.set_up("t0", true).await.unwrap();
            tap.write(&[0; 60]).unwrap();
            assert!(netlink.link("t0").await.unwrap().unwrap().carrier);
            tap.set_carrier(false).unwrap();
            assert!(!netlink.link("t0").await.unwrap().unwrap().carrier);
            tap.set_carrier(true).unwrap();
            assert!(netlink.link("t0").await.unwrap().unwrap().carrier);
            let address = "10.9.8.1".parse().unwrap();
            netlink.add_address("t0", address, 24).await.unwrap();
        });
        // An ARP request for the neighbour appears on our side.
        let socket = std::net::UdpSocket::bind("10.9.8.1:0").unwrap();
        socket.send_to(b"x", "10.9.8.2:9").unwrap();
        let mut frame = [0u8; 2048];
        let arp = (0..200).any(|_| match tap.read(&mut frame) {
            Ok(length) => length >= 42 && frame[12..14] == [0x08, 0x06],
            Err(_) => {
                std::thread::sleep(std::time::Duration::from_millis(5));
                false
            }
        });
        assert!(arp, "the kernel asked for its neighbour through the TAP");
    });
}
