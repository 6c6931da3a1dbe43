use std::net::IpAddr;
use std::time::Duration;

use super::*;
use crate::Netns;
use crate::testing::{block_on, can_make_namespaces, in_netns};

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn end<'a>(name: &'a str, index: u32) -> VethEnd<'a> {
    VethEnd {
        name,
        index: Some(index),
        netns: None,
    }
}

#[test]
fn links_are_made_changed_and_deleted() {
    in_netns(|| {
        block_on(async |netlink| {
            netlink
                .create_veth(end("va", 71), end("vb", 92))
                .await
                .unwrap();
            netlink.create_bridge("br0").await.unwrap();
            netlink.set_mac("va", [2, 0, 0, 0, 0, 9]).await.unwrap();
            netlink.set_mtu("va", 1400).await.unwrap();
            netlink.set_master("va", Some("br0")).await.unwrap();
            netlink.set_up("va", true).await.unwrap();
            let va = netlink.link("va").await.unwrap().unwrap();
            let bridge = netlink.index("br0").await.unwrap();
            assert_eq!((va.index, va.mtu, va.master), (71, 1400, Some(bridge)));
            assert_eq!((va.up, va.carrier), (true, false), "the far end is down");
            assert_eq!(
                (va.mac, va.kind.as_deref()),
                (Some([2, 0, 0, 0, 0, 9]), Some("veth"))
            );
            netlink.set_up("vb", true).await.unwrap();
            assert!(netlink.link("va").await.unwrap().unwrap().carrier);
            assert_eq!(netlink.link("vb").await.unwrap().unwrap().index, 92);
            netlink.set_master("va", None).await.unwrap();
            assert_eq!(netlink.link("va").await.unwrap().unwrap().master, None);
            netlink.delete_link("va").await.unwrap();
            assert_eq!(
                netlink.link("vb").await.unwrap(),
                None,
                "the pair goes together"
            );
            let error = netlink.set_up("vb", true).await.unwrap_err();
            assert!(
                error.not_found() && error.to_string().contains("vb"),
                "{error}"
            );
            let names: Vec<_> = netlink
                .links()
                .await
                .unwrap()
                .into_iter()
                .map(|link| link.name)
                .collect();
            assert_eq!(names, ["lo", "br0"]);
        });
    });
}

#[test]
fn a_veth_end_can_be_made_in_another_namespace() {
    if !can_make_namespaces() {
        return;
    }
    let (here, there) = (Netns::create().unwrap(), Netns::create().unwrap());
    block_on(async |_| {
        let near = Netlink::open_in(&here).unwrap();
        let far = Netlink::open_in(&there).unwrap();
        let end_there = VethEnd {
            netns: Some(std::os::fd::AsFd::as_fd(&there)),
            ..end("y", 20)
        };
        near.create_veth(end("x", 10), end_there).await.unwrap();
        assert_eq!(near.links().await.unwrap().len(), 2);
        assert_eq!(far.link("y").await.unwrap().unwrap().index, 20);
        near.move_to_netns("x", std::os::fd::AsFd::as_fd(&there))
            .await
            .unwrap();
        assert!(far.link("x").await.unwrap().is_some());
    });
}

/// Two veth pairs: `a0` (index 10, 10.0.1.1, fd00:1::1), `b0` (index 20, 10.0.2.1, fd00:2::1).
async fn two_lines(netlink: &Netlink) {
    for (name, peer, net) in [("a0", "a1", 1), ("b0", "b1", 2)] {
        let (near, far) = (end(name, net * 10), end(peer, net * 10 + 5));
        netlink.create_veth(near, far).await.unwrap();
        netlink.set_up(name, true).await.unwrap();
        netlink.set_up(peer, true).await.unwrap();
        netlink
            .add_address(name, ip(&format!("10.0.{net}.1")), 24)
            .await
            .unwrap();
        netlink
            .add_address(name, ip(&format!("fd00:{net}::1")), 64)
            .await
            .unwrap();
    }
}

#[test]
fn addresses_come_and_go() {
    in_netns(|| {
        block_on(async |netlink| {
            two_lines(&netlink).await;
            netlink
                .add_address("a0", ip("10.0.1.1"), 24)
                .await
                .expect("twice is no error");
            let of_a = netlink.addresses(Some(10)).await.unwrap();
            let v6 = of_a.iter().find(|a| a.address == ip("fd00:1::1")).unwrap();
            assert_eq!((v6.ifindex, v6.prefix, v6.global), (10, 64, true));
            assert!(
                netlink
                    .route_to(ip("10.0.1.9"), None)
                    .await
                    .unwrap()
                    .is_some()
            );
            netlink
                .delete_address("a0", ip("10.0.1.1"), 24)
                .await
                .unwrap();
            assert_eq!(netlink.route_to(ip("10.0.1.9"), None).await.unwrap(), None);
        });
    });
}

#[test]
fn routes_and_rules_decide_the_way() {
    in_netns(|| {
        block_on(async |netlink| {
            two_lines(&netlink).await;
            let far = ip("192.0.2.1");
            let way = async |mark| netlink.route_to(far, mark).await.unwrap();
            assert_eq!(way(None).await, None);
            let main = Route::via(ip("0.0.0.0"), 0, ip("10.0.1.254"));
            netlink.add_route(&main).await.unwrap();
            for (version, gateway) in [("0.0.0.0", "10.0.2.254"), ("::", "fd00:2::fe")] {
                let route = Route::default_in(1830, ip(version), Some(ip(gateway)), "b0");
                netlink.add_route(&route).await.unwrap();
            }
            let action = RuleAction::Lookup(1830);
            let rule = Rule {
                priority: 5000,
                mark: Some(0x1830),
                input_device: None,
                action,
            };
            netlink.add_rule(&rule).await.unwrap();
            netlink.add_rule(&rule).await.expect("twice is no error");

            let unmarked = way(None).await.unwrap();
            assert_eq!(
                (unmarked.ifindex, unmarked.gateway),
                (10, Some(ip("10.0.1.254")))
            );
            assert_eq!(unmarked.source, Some(ip("10.0.1.1")));
            let marked = way(Some(0x1830)).await.unwrap();
            assert_eq!(
                (marked.ifindex, marked.gateway),
                (20, Some(ip("10.0.2.254")))
            );
            let v6 = netlink
                .route_to(ip("2001:db8::1"), Some(0x1830))
                .await
                .unwrap();
            assert_eq!(v6.unwrap().ifindex, 20);
            assert!(netlink.rule_priorities(true).await.unwrap().contains(&5000));

            netlink.delete_rule(&rule).await.unwrap();
            netlink.delete_rule(&rule).await.expect("twice is no error");
            assert_eq!(way(Some(0x1830)).await.unwrap().ifindex, 10);
            netlink.delete_route(&main).await.unwrap();
            netlink
                .delete_route(&main)
                .await
                .expect("twice is no error");
            assert_eq!(way(None).await, None);
        });
    });
}

#[test]
fn a_blackhole_has_no_way() {
    in_netns(|| {
        block_on(async |netlink| {
            netlink.set_up("lo", true).await.unwrap();
            let route = Route {
                gateway: None,
                blackhole: true,
                ..Route::via(ip("198.51.100.0"), 24, ip("0.0.0.0"))
            };
            netlink.add_route(&route).await.unwrap();
            assert_eq!(
                netlink.route_to(ip("198.51.100.7"), None).await.unwrap(),
                None
            );
        });
    });
}

async fn wait_for(monitor: &mut Monitor, wanted: impl Fn(&LinkEvent) -> bool) {
    let search = async { while !wanted(&monitor.next().await.expect("the monitor lives")) {} };
    tokio::time::timeout(Duration::from_secs(5), search)
        .await
        .expect("the event comes");
}

#[test]
fn the_monitor_tells_what_changes() {
    in_netns(|| {
        block_on(async |netlink| {
            let mut monitor = Monitor::open().unwrap();
            netlink
                .create_veth(end("va", 71), end("vb", 92))
                .await
                .unwrap();
            netlink.set_up("va", true).await.unwrap();
            netlink.set_up("vb", true).await.unwrap();
            wait_for(&mut monitor, |event| {
                matches!(event, LinkEvent::Changed(link) if link.index == 71 && link.carrier)
            })
            .await;
            netlink.set_up("vb", false).await.unwrap();
            wait_for(&mut monitor, |event| {
                matches!(event, LinkEvent::Changed(link) if link.index == 71 && !link.carrier)
            })
            .await;
            netlink.add_address("va", ip("10.0.0.1"), 24).await.unwrap();
            netlink.delete_link("va").await.unwrap();
            let added =
                |address: &Address| address.ifindex == 71 && address.address == ip("10.0.0.1");
            wait_for(
                &mut monitor,
                |e| matches!(e, LinkEvent::AddressAdded(a) if added(a)),
            )
            .await;
            wait_for(
                &mut monitor,
                |e| matches!(e, LinkEvent::AddressRemoved(a) if added(a)),
            )
            .await;
            wait_for(
                &mut monitor,
                |event| matches!(event, LinkEvent::Gone { ifindex: 71, name } if name == "va"),
            )
            .await;
        });
    });
}
