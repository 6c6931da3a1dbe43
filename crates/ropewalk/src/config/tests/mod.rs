//! A table of configurations and what is said of them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::*;

mod bad;

/// Lines 1 and 2 of every case, so that a case begins on line 3.
const PREAMBLE: &str = "[node]\nprivate-key-file = \"a.key\"\n";

/// A public key that is not the one of [`PRIVATE`].
const PEER: &str = "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=";
const PRIVATE: &str = "QL/dDmsYVRFdkkYktJZXWXMVnpQt8T8ZYWPHgc8B8mA=";

/// A case with the keys that it names filled in.
fn filled(text: &str) -> String {
    let own = SecretKey::new(*decode_key(PRIVATE).unwrap()).public_key();
    text.replace("PEER", PEER).replace("OWN", &own.to_string())
}

fn write_key(path: &Path, content: &str, mode: u32) {
    fs::write(path, content).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn load(text: &str) -> Result<Config, ConfigErrors> {
    let folder = tempfile::tempdir().unwrap();
    write_key(&folder.path().join("a.key"), PRIVATE, 0o600);
    write_key(&folder.path().join("open.key"), PRIVATE, 0o640);
    write_key(&folder.path().join("empty.key"), "\n", 0o600);
    write_key(&folder.path().join("short.key"), "AAAA", 0o600);
    let file = folder.path().join("x.toml");
    fs::write(&file, text).unwrap();
    Config::load(&file)
}

#[test]
fn every_bad_configuration_is_pointed_at() {
    let mut failures = Vec::new();
    for (text, expected) in bad::CASES {
        let whole = match text.starts_with("[node]") || text.starts_with('#') {
            true => (*text).to_owned(),
            false => format!("{PREAMBLE}{}", filled(text)),
        };
        let found = load(&whole)
            .err()
            .map_or_else(Vec::new, |errors| errors.errors);
        let matches = found.len() == expected.len()
            && found
                .iter()
                .zip(*expected)
                .all(|(problem, (place, key, words))| {
                    format!("{}:{}", problem.line, problem.column) == *place
                        && problem.key == *key
                        && problem.message.contains(words)
                });
        if !matches {
            let found: Vec<String> = found.iter().map(Problem::to_string).collect();
            failures.push(format!(
                "{whole}\nexpected {expected:?}\nfound {found:#?}\n"
            ));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n----\n"));
}

#[test]
fn every_message_says_what_to_do() {
    for (text, _) in bad::CASES {
        let whole = format!("{PREAMBLE}{}", filled(text));
        for problem in load(&whole)
            .err()
            .map_or_else(Vec::new, |errors| errors.errors)
        {
            assert!(problem.message.contains(';'), "{problem}");
            assert!(!problem.message.contains('\n'), "{problem}");
        }
    }
}

#[test]
fn the_smallest_file_gets_the_defaults() {
    let config = load(PREAMBLE).unwrap();
    assert_eq!(config.uplinks, [UplinkConfig::default()]);
    assert_eq!(config.node.listen, ["[::]:1830".parse().unwrap()]);
    assert_eq!(config.control.socket, Path::new(DEFAULT_SOCKET));
    assert!(config.peers.is_empty() && config.ports.is_empty() && config.warnings.is_empty());
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    assert_eq!(config.node.name, host.trim());
}

const EVERYTHING: &str = r#"
name = "a"
listen = [1830, "192.0.2.1:1831", "2001:db8::1"]
workers = 2
site = "office2"
priority = 200
vlan-priority = { 10 = 200 }
relay = true
[control]
socket = "/run/x.sock"
[[uplink]]
name = "line1"
device = "eth5"
gateway = ["192.0.2.1", "fe80::1"]
address = ["192.0.2.7", "2001:db8::7"]
role = "metered"
overflow = true
rate-limit = "50 Mbit/s"
budget = "500 MB/day"
[[peer]]
name = "b"
public-key = "PEER"
preshared-key-file = "a.key"
endpoints = ["192.168.100.2", { address = "b.example.net:1831", uplink = "line1" }]
mode = "failover"
vlans = [0, 10, "20-29"]
[[port]]
name = "bond0"
persist = true
address = ["10.0.0.1/24", "2001:db8:1::1/64"]
gateway = "10.0.0.254"
mac = "16:b9:3f:58:cb:4c"
mtu = 9000
trunk = [10, "20-29"]
native = 11
[[port]]
name = "office"
bridge = "br0"
vlan = 10
storm-limit = "10 Mbit/s"
[[port]]
device = "eth1"
storm-limit = { unknown = 100 }
trunk = [10]
[switch]
stp-priority = 4096
fdb-limit = 1000
"#;

#[test]
fn a_file_with_everything() {
    let config = load(&format!("{PREAMBLE}{}", EVERYTHING.replace("PEER", PEER))).unwrap();
    let listen: Vec<String> = config.node.listen.iter().map(ToString::to_string).collect();
    assert_eq!(
        listen,
        ["[::]:1830", "192.0.2.1:1831", "[2001:db8::1]:1830"]
    );
    assert_eq!(config.node.vlan_priority.get(&10), Some(&200));
    let uplink = &config.uplinks[0];
    assert_eq!(
        (uplink.role, uplink.rate_limit),
        (Role::Metered, Some(50_000_000))
    );
    let peer = &config.peers[0];
    assert_eq!(peer.endpoints[0].to_string(), "192.168.100.2:1830");
    assert_eq!(peer.endpoints[1].uplink.as_deref(), Some("line1"));
    assert_eq!(peer.vlans.as_ref().unwrap().to_string(), "0,10,20-29");
    assert_eq!(peer.preshared_key.as_ref().unwrap().expose()[0], 0x40);
    let PortVlan::Trunk { vlans, native } = &config.ports[0].vlan else {
        panic!("no trunk")
    };
    assert_eq!(
        (vlans.to_string().as_str(), *native),
        ("10-11,20-29", Some(11))
    );
    assert_eq!(config.ports[1].vlan, PortVlan::Access(10));
    assert_eq!(
        config.ports[1].mac,
        derived_mac(&config.node.public_key, "office")
    );
    let rate = Some(StormLimit::Bits(10_000_000));
    let storm = &config.ports[1].storm;
    assert_eq!([storm.broadcast, storm.multicast, storm.unknown], [rate; 3]);
    let default = &config.ports[0].storm;
    assert_eq!(default.broadcast, Some(StormLimit::Frames(10_000)));
    assert_eq!([default.multicast, default.unknown], [None; 2]);
    let taken = &config.ports[2];
    assert_eq!(
        (taken.name.as_str(), taken.device.as_deref()),
        ("eth1", Some("eth1"))
    );
    assert_eq!(taken.storm.unknown, Some(StormLimit::Frames(100)));
    assert_eq!(taken.storm.broadcast, None);
    assert!(config.node.relay);
    assert_eq!(config.switch.fdb_limit, 1000);
    let warned: Vec<&str> = config
        .warnings
        .iter()
        .map(|warning| warning.key.as_str())
        .collect();
    let expected = [
        "node.workers",
        "node.site",
        "node.priority",
        "node.vlan-priority",
        "switch.stp-priority",
    ];
    assert_eq!(warned, expected);
}

#[test]
fn later_warnings_point_into_the_file() {
    let config = load(&format!("{PREAMBLE}{}", EVERYTHING.replace("PEER", PEER))).unwrap();
    let problem = config.warning_at("peer", 0, "endpoints.1", "does not resolve".to_owned());
    assert_eq!((problem.line, problem.column), (26, 31));
    assert_eq!(problem.key, "peer.endpoints");
}

#[test]
fn the_socket_is_found_without_the_key() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.toml");
    fs::write(
        &file,
        "[node]\nprivate-key-file = \"none\"\n[control]\nsocket = \"/x\"\n",
    )
    .unwrap();
    assert_eq!(control_socket(&file).unwrap(), Path::new("/x"));
    fs::write(&file, "").unwrap();
    assert_eq!(control_socket(&file).unwrap(), Path::new(DEFAULT_SOCKET));
    assert!(control_socket(&folder.path().join("none")).is_err());
}

#[test]
fn the_examples_are_valid() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/pair");
    let folder = tempfile::tempdir().unwrap();
    let key = SecretKey::generate().unwrap();
    for name in ["a", "b"] {
        let key_file = folder.path().join(format!("{name}.key"));
        write_key(&key_file, key.to_base64().as_str(), 0o600);
        let psk_file = folder.path().join("ab.psk");
        write_key(&psk_file, key.to_base64().as_str(), 0o600);
        let file = folder.path().join(format!("{name}.toml"));
        fs::copy(examples.join(format!("{name}.toml")), &file).unwrap();
        let config = Config::load(&file).unwrap_or_else(|errors| panic!("{errors}"));
        assert!(config.warnings.is_empty(), "{:?}", config.warnings);
        assert_eq!(config.node.name, name);
    }
}
