//! Preparing real namespaces, and what is left of it afterwards.

use std::fs;
use std::io::Write;
use std::net::IpAddr;
use std::path::Path;

use sys::netlink::VethEnd;
use sys::tap::TapOptions;
use sys::{Netns, privilege};

use super::*;
use crate::config::SecretKey;
use crate::machine;

/// Runs a test in a namespace of its own, with a folder for its files; without the privilege it
/// says that it is skipped.
fn in_netns(test: impl AsyncFnOnce(Netlink, &Path) + Send) {
    if !(privilege::has_cap_sys_admin() && privilege::has_cap_net_admin()) {
        let name = std::thread::current().name().unwrap_or("?").to_owned();
        // Not `eprintln!`: the test harness would swallow it.
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED: {name}: it makes network namespaces"
        );
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let run = || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async { test(Netlink::open().unwrap(), folder.path()).await });
    };
    Netns::create().unwrap().enter(run).unwrap();
}

fn config(folder: &Path, text: &str) -> Config {
    use std::os::unix::fs::PermissionsExt;
    let key = folder.join("a.key");
    fs::write(&key, SecretKey::generate().unwrap().to_base64().as_str()).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    let socket = folder.join("x.sock");
    let file = folder.join("x.toml");
    let whole = format!(
        "[node]\nname = \"a\"\nprivate-key-file = \"a.key\"\n[control]\nsocket = {socket:?}\n{text}"
    );
    fs::write(&file, whole).unwrap();
    Config::load(&file).unwrap_or_else(|errors| panic!("{errors}"))
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

const PORT: &str = r#"
[[port]]
name = "rope0"
address = ["10.9.0.1/24", "fd00:9::1/64"]
gateway = "10.9.0.254"
mac = "16:b9:3f:58:cb:4c"
mtu = 9000
"#;

const MAC: [u8; 6] = [0x16, 0xb9, 0x3f, 0x58, 0xcb, 0x4c];

#[test]
fn a_port_is_made_and_goes_without_a_trace() {
    in_netns(async |netlink, folder| {
        let before = netlink.links().await.unwrap();
        let config = config(folder, PORT);
        let (setup, ports) = Setup::apply(&config, netlink.clone()).await.unwrap();
        let link = netlink.link("rope0").await.unwrap().unwrap();
        assert_eq!((link.mac, link.mtu, link.up), (Some(MAC), 9000, true));
        assert_eq!((ports[0].mac, ports[0].mtu, ports[0].index), (MAC, 9000, 0));
        let addresses = netlink.addresses(Some(link.index)).await.unwrap();
        for wanted in ["10.9.0.1", "fd00:9::1"] {
            assert!(
                addresses.iter().any(|there| there.address == ip(wanted)),
                "{wanted}"
            );
        }
        let way = netlink
            .route_to(ip("192.0.2.1"), None)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(
            (way.ifindex, way.gateway),
            (link.index, Some(ip("10.9.0.254")))
        );
        drop(ports);
        setup.undo();
        assert_eq!(netlink.links().await.unwrap(), before);
        assert_eq!(
            fs::read_dir(folder).unwrap().count(),
            2,
            "only the key and the file are left"
        );
    });
}

#[test]
fn a_derived_mac_stays() {
    in_netns(async |netlink, folder| {
        let config = config(folder, "[[port]]\nname = \"rope0\"\n");
        for _ in 0..2 {
            let (_setup, ports) = Setup::apply(&config, netlink.clone()).await.unwrap();
            assert_eq!(ports[0].mac, config.ports[0].mac);
        }
    });
}

/// What can be seen of a device.
async fn seen(netlink: &Netlink, name: &str) -> (Option<sys::netlink::Link>, Vec<IpAddr>) {
    let mut link = netlink.link(name).await.unwrap().unwrap();
    // A TAP that somebody holds open has carrier.
    link.carrier = false;
    let mut addresses: Vec<IpAddr> = netlink
        .addresses(Some(link.index))
        .await
        .unwrap()
        .into_iter()
        .filter(|address| address.global)
        .map(|address| address.address)
        .collect();
    addresses.sort();
    (Some(link), addresses)
}

/// A TAP of somebody else, in another bridge, with an address of the configuration already there.
async fn foreign_tap(netlink: &Netlink) {
    drop(
        sys::Tap::open(
            "rope0",
            TapOptions {
                persist: true,
                ..Default::default()
            },
        )
        .unwrap(),
    );
    netlink.set_mac("rope0", [2, 0, 0, 0, 0, 7]).await.unwrap();
    netlink.set_mtu("rope0", 1400).await.unwrap();
    for address in ["10.9.0.1", "10.8.0.1"] {
        netlink.add_address("rope0", ip(address), 24).await.unwrap();
    }
    netlink.create_bridge("br0").await.unwrap();
    netlink.create_bridge("br1").await.unwrap();
    netlink.set_master("rope0", Some("br0")).await.unwrap();
}

#[test]
fn an_adopted_port_gets_back_what_it_had() {
    in_netns(async |netlink, folder| {
        foreign_tap(&netlink).await;
        let before = seen(&netlink, "rope0").await;
        let config = config(folder, &format!("{PORT}bridge = \"br1\"\n"));
        let (setup, ports) = Setup::apply(&config, netlink.clone()).await.unwrap();
        let during = seen(&netlink, "rope0").await.0.unwrap();
        let bridge = netlink.index("br1").await.unwrap();
        assert_eq!((during.mac, during.mtu, during.up), (Some(MAC), 9000, true));
        assert_eq!(during.master, Some(bridge));
        drop(ports);
        drop(setup);
        assert_eq!(seen(&netlink, "rope0").await, before);
    });
}

#[test]
fn an_adopted_port_keeps_what_the_file_does_not_name() {
    in_netns(async |netlink, folder| {
        foreign_tap(&netlink).await;
        let config = config(folder, "[[port]]\nname = \"rope0\"\n");
        let (_setup, ports) = Setup::apply(&config, netlink.clone()).await.unwrap();
        assert_eq!((ports[0].mac, ports[0].mtu), ([2, 0, 0, 0, 0, 7], 1400));
        assert!(ports[0].tap.as_ref().unwrap().adopted());
    });
}

#[test]
fn what_a_killed_daemon_left_is_undone_by_the_next() {
    in_netns(async |netlink, folder| {
        foreign_tap(&netlink).await;
        let before = seen(&netlink, "rope0").await;
        let text = format!("{UPLINK}{PORT}");
        let (killed, ports) = Setup::apply(&config(folder, &text), netlink.clone())
            .await
            .unwrap();
        drop(ports);
        std::mem::forget(killed);
        assert_ne!(seen(&netlink, "rope0").await, before);
        let next = config(folder, "");
        let (_setup, _) = Setup::apply(&next, netlink.clone()).await.unwrap();
        assert_eq!(seen(&netlink, "rope0").await, before);
        assert!(
            !netlink
                .rule_priorities(false)
                .await
                .unwrap()
                .contains(&1830)
        );
    });
}

#[test]
fn a_panic_undoes_too() {
    in_netns(async |netlink, folder| {
        foreign_tap(&netlink).await;
        let before = seen(&netlink, "rope0").await;
        let (setup, _) = Setup::apply(&config(folder, PORT), netlink.clone())
            .await
            .unwrap();
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
            let _held = setup;
            panic!("on purpose");
        }));
        assert!(panicked.is_err());
        assert_eq!(seen(&netlink, "rope0").await, before);
    });
}

#[test]
fn a_failure_half_way_leaves_nothing() {
    in_netns(async |netlink, folder| {
        foreign_tap(&netlink).await;
        let before = seen(&netlink, "rope0").await;
        let config = config(folder, &format!("{PORT}bridge = \"lo\"\n"));
        let error = Setup::apply(&config, netlink.clone()).await.unwrap_err();
        assert!(error.to_string().contains("lo is no bridge"), "{error}");
        assert_eq!(seen(&netlink, "rope0").await, before);
    });
}

#[test]
fn a_bridge_that_appears_is_joined() {
    in_netns(async |netlink, folder| {
        let config = config(folder, "[[port]]\nname = \"rope0\"\nbridge = \"br7\"\n");
        let (mut setup, _ports) = Setup::apply(&config, netlink.clone()).await.unwrap();
        assert_eq!(
            setup.refresh().await,
            ["port rope0: bridge br7 is not there"]
        );
        netlink.create_bridge("br7").await.unwrap();
        assert!(setup.refresh().await.is_empty());
        let bridge = netlink.index("br7").await.unwrap();
        assert_eq!(
            netlink.link("rope0").await.unwrap().unwrap().master,
            Some(bridge)
        );
    });
}

const UPLINK: &str = r#"
[[uplink]]
name = "line1"
device = "va"
gateway = "192.168.1.254"
"#;

/// A line on which the far end is up and this one has an address.
async fn line(netlink: &Netlink, near: &str, far: &str, index: u32, address: &str) {
    let end = |name, index| VethEnd {
        name,
        index: Some(index),
        netns: None,
    };
    netlink
        .create_veth(end(near, index), end(far, index + 7))
        .await
        .unwrap();
    netlink.set_up(near, true).await.unwrap();
    netlink.set_up(far, true).await.unwrap();
    netlink.add_address(near, ip(address), 24).await.unwrap();
}

#[test]
fn an_uplink_has_a_table_of_its_own() {
    in_netns(async |netlink, folder| {
        line(&netlink, "vx", "vy", 50, "192.168.2.1").await;
        let main = sys::netlink::Route::via(ip("0.0.0.0"), 0, ip("192.168.2.254"));
        netlink.add_route(&main).await.unwrap();
        let (mut setup, _) = Setup::apply(&config(folder, UPLINK), netlink.clone())
            .await
            .unwrap();
        let mark = setup.mark("line1");
        assert!(mark.is_some() && setup.mark("line2").is_none());
        assert!(
            setup.refresh().await.is_empty(),
            "an absent device is waited for"
        );
        let far = ip("203.0.113.1");
        let way = async || netlink.route_to(far, mark).await.unwrap().unwrap();
        assert_eq!(way().await.ifindex, 50);

        line(&netlink, "va", "vb", 60, "192.168.1.1").await;
        assert!(setup.refresh().await.is_empty());
        assert_eq!(
            (way().await.ifindex, way().await.gateway),
            (60, Some(ip("192.168.1.254")))
        );
        let near = netlink
            .route_to(ip("192.168.1.9"), mark)
            .await
            .unwrap()
            .unwrap();
        assert_eq!((near.ifindex, near.gateway), (60, None));
        let unmarked = netlink.route_to(far, None).await.unwrap().unwrap();
        assert_eq!(unmarked.ifindex, 50, "nobody else is led there");

        // The kernel empties the table with the device; the next look fills it again.
        netlink.set_up("va", false).await.unwrap();
        assert!(setup.refresh().await.is_empty());
        assert_eq!(way().await.ifindex, 50);
        netlink.set_up("va", true).await.unwrap();
        assert!(setup.refresh().await.is_empty());
        assert_eq!(way().await.ifindex, 60);

        drop(setup);
        assert_eq!(way().await.ifindex, 50);
        assert!(!netlink.rule_priorities(true).await.unwrap().contains(&1830));
    });
}

#[test]
fn a_gateway_outside_of_every_network_is_reached_on_the_link() {
    in_netns(async |netlink, folder| {
        line(&netlink, "va", "vb", 60, "10.1.1.1").await;
        let (mut setup, _) = Setup::apply(&config(folder, UPLINK), netlink.clone())
            .await
            .unwrap();
        assert!(setup.refresh().await.is_empty());
        let way = netlink
            .route_to(ip("203.0.113.1"), setup.mark("line1"))
            .await
            .unwrap()
            .unwrap();
        assert_eq!((way.ifindex, way.gateway), (60, Some(ip("192.168.1.254"))));
    });
}

#[test]
fn strict_reverse_path_filtering_is_explained() {
    in_netns(async |netlink, folder| {
        line(&netlink, "va", "vb", 60, "192.168.1.1").await;
        line(&netlink, "vx", "vy", 50, "192.168.2.1").await;
        let peer = "[[peer]]\nname = \"b\"\npublic-key = \
                    \"hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=\"\nendpoints = \"192.168.2.9\"\n";
        let config = config(folder, &format!("{UPLINK}{peer}"));
        for (setting, warned) in [("0", false), ("1", true), ("2", false)] {
            fs::write("/proc/sys/net/ipv4/conf/va/rp_filter", setting).unwrap();
            fs::write("/proc/sys/net/ipv4/conf/all/rp_filter", "0").unwrap();
            let warnings = machine::warnings(&config, &netlink).await;
            let text = warnings
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join("\n");
            assert_eq!(
                text.contains("net.ipv4.conf.va.rp_filter=2"),
                warned,
                "{setting}: {text}"
            );
        }
    });
}
