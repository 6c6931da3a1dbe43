//! Configurations that are refused: text from line 3 on (line 1 where it brings its own
//! `[node]`), then for each error in order place, key and words of the message.

type Expected = (&'static str, &'static str, &'static str);

pub(super) const CASES: &[(&str, &[Expected])] = &[
    // TOML itself.
    ("[peer", &[("3:6", "", "correct the TOML")]),
    (
        "name = \"a\"\nname = \"b\"",
        &[("4:1", "", "duplicate key")],
    ),
    (
        "relay = 1\nrelay = 2",
        &[
            ("3:9", "node.relay", "true or"),
            ("4:1", "", "duplicate key"),
        ],
    ),
    ("[control]\nsocket = ", &[("4:10", "", "correct the TOML")]),
    ("name = \"a", &[("3:10", "", "correct the TOML")]),
    // Tables.
    (
        "[[peers]]\nname = \"b\"",
        &[("3:3", "peers", "did you mean peer?")],
    ),
    (
        "[wings]",
        &[("3:2", "wings", "the tables here are node, control")],
    ),
    ("[peer]\nname = \"b\"", &[("3:1", "peer", "write [[peer]]")]),
    ("[[control]]", &[("3:1", "control", "write [control]")]),
    (
        "# no node at all",
        &[("1:1", "node.private-key-file", "is missing")],
    ),
    // Keys.
    (
        "lisen = 1830",
        &[("3:1", "node.lisen", "did you mean listen?")],
    ),
    (
        "[[port]]\nname = \"x\"\nbridge_name = 1",
        &[("5:1", "port.bridge_name", "the keys here are")],
    ),
    (
        "[[port]]\nname = \"x\"\nBridge = 1",
        &[("5:1", "port.Bridge", "did you mean bridge?")],
    ),
    // Node.
    (
        "[node]\nname = \"a\"",
        &[("1:1", "node.private-key-file", "ropewalk keygen")],
    ),
    (
        "[node]\nprivate-key-file = 7",
        &[("2:20", "node.private-key-file", "is an integer")],
    ),
    (
        "[node]\nprivate-key-file = \"none\"",
        &[("2:20", "node.private-key-file", "does not exist")],
    ),
    (
        "[node]\nprivate-key-file = \"open.key\"",
        &[("2:20", "node.private-key-file", "chmod 600")],
    ),
    (
        "[node]\nprivate-key-file = \"empty.key\"",
        &[("2:20", "node.private-key-file", "is empty")],
    ),
    (
        "[node]\nprivate-key-file = \"short.key\"",
        &[("2:20", "node.private-key-file", "3 bytes")],
    ),
    (
        "[node]\nprivate-key-file = \"x.toml\"",
        &[("2:20", "node.private-key-file", "chmod 600")],
    ),
    (
        "[node]\nprivate-key-file = \".\"",
        &[("2:20", "node.private-key-file", "is a folder")],
    ),
    ("name = \"a b\"", &[("3:8", "node.name", "contains ' '")]),
    ("name = \"\"", &[("3:8", "node.name", "is empty")]),
    ("listen = 0", &[("3:10", "node.listen", "from 1 to 65535")]),
    (
        "listen = [1830, 70000]",
        &[("3:17", "node.listen", "70000")],
    ),
    (
        "listen = [1830, 1830]",
        &[("3:17", "node.listen", "listed twice")],
    ),
    (
        "listen = \"here:1830\"",
        &[("3:10", "node.listen", "no address with port")],
    ),
    ("listen = true", &[("3:10", "node.listen", "is a boolean")]),
    ("workers = 0", &[("3:11", "node.workers", "from 1 to 64")]),
    ("relay = \"yes\"", &[("3:9", "node.relay", "true or false")]),
    (
        "vlan-priority = { x = 1 }",
        &[("3:17", "node.vlan-priority", "no VLAN")],
    ),
    (
        "[control]\nsocket = \"x.sock\"",
        &[("4:10", "control.socket", "not absolute")],
    ),
    // Uplinks.
    (
        "[[uplink]]\ndevice = \"eth0\"",
        &[("3:1", "uplink.name", "is missing")],
    ),
    (
        "[[uplink]]\nname = \"x\"\n[[uplink]]\nname = \"x\"\ndevice = \"e\"",
        &[("6:8", "uplink.name", "another uplink")],
    ),
    (
        "[[uplink]]\nname = \"x\"\nrole = \"main\"",
        &[("5:8", "uplink.role", "primary, backup")],
    ),
    (
        "[[uplink]]\nname = \"x\"\nrate-limit = 50",
        &[("5:14", "uplink.rate-limit", "Mbit/s")],
    ),
    (
        "[[uplink]]\nname = \"x\"\nrate-limit = \"50 MB/s\"",
        &[("5:14", "uplink.rate-limit", "Mbit/s")],
    ),
    (
        "[[uplink]]\nname = \"x\"\nrole = \"metered\"\nbudget = \"5 MB\"",
        &[("6:10", "uplink.budget", "/day")],
    ),
    (
        "[[uplink]]\nname = \"x\"\nbudget = \"5 MB/day\"",
        &[("5:10", "uplink.budget", "metered")],
    ),
    (
        "[[uplink]]\nname = \"x\"\ngateway = \"192.0.2.1\"",
        &[("5:11", "uplink.gateway", "add device")],
    ),
    (
        "[[uplink]]\nname = \"x\"\ndevice = \"e\"\ngateway = \"192.0.2.1\"\naddress = \"2001:db8::1\"",
        &[("6:11", "uplink.gateway", "another family")],
    ),
    (
        "[[uplink]]\nname = \"x\"\naddress = \"192.0.2.1/24\"",
        &[("5:11", "uplink.address", "alone")],
    ),
    (
        "[[uplink]]\nname = \"x\"\ndevice = \"averyverylongname\"",
        &[("5:10", "uplink.device", "15")],
    ),
    (
        "[[uplink]]\nname = \"x\"\ndevice = \"bond0\"\n[[port]]\nname = \"bond0\"",
        &[("5:10", "uplink.device", "inside itself")],
    ),
    (
        "[[uplink]]\nname = \"x\"\ndevice = \"br0\"\n[[port]]\nname = \"p\"\nbridge = \"br0\"",
        &[("5:10", "uplink.device", "inside itself")],
    ),
    // Peers.
    (
        "[[peer]]\npublic-key = \"PEER\"",
        &[("3:1", "peer.name", "is missing")],
    ),
    (
        "[[peer]]\nname = \"b\"",
        &[("3:1", "peer.public-key", "is missing")],
    ),
    (
        "[[peer]]\nname = \"b\"\npublic-key = \"xyz\"",
        &[("5:14", "peer.public-key", "base64")],
    ),
    (
        "[[peer]]\nname = \"b\"\npublic-key = \"AAAA\"",
        &[("5:14", "peer.public-key", "3 bytes")],
    ),
    (
        "[[peer]]\nname = \"b\"\npublic-key = \"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"",
        &[("5:14", "peer.public-key", "all zero")],
    ),
    (
        "[[peer]]\nname = \"b\"\npublic-key = \"PEER\"\n[[peer]]\nname = \"c\"\npublic-key = \"PEER\"",
        &[("8:14", "peer.public-key", "peer \"b\" too")],
    ),
    (
        "[[peer]]\nname = \"b\"\npublic-key = \"OWN\"",
        &[("5:14", "peer.public-key", "own public key")],
    ),
    (
        "[[peer]]\nname = \"b\"\npublic-key = \"PEER\"\nmode = \"bond\"",
        &[(
            "6:8",
            "peer.mode",
            "failover, balance, aggregate, redundant",
        )],
    ),
    (
        "[[peer]]\nname = \"b\"\npublic-key = \"PEER\"\nendpoints = [\"a:1\", \"tcp://b:2\"]",
        &[("6:21", "peer.endpoints", "reserved")],
    ),
    (
        "[[peer]]\nname = \"b\"\npublic-key = \"PEER\"\nendpoints = \"10.0.0.300\"",
        &[("6:13", "peer.endpoints", "no IPv4")],
    ),
    (
        "[[peer]]\nname = \"b\"\npublic-key = \"PEER\"\nendpoints = [\"a\", \"a:1830\"]",
        &[("6:19", "peer.endpoints", "listed twice")],
    ),
    (
        "[[peer]]\nname = \"b\"\npublic-key = \"PEER\"\nendpoints = [{ address = \"a\", uplink = \"x\" }]",
        &[("6:14", "peer.endpoints", "the uplinks are: default")],
    ),
    (
        "[[peer]]\nname = \"b\"\npublic-key = \"PEER\"\nendpoints = [{ adress = \"a\" }]",
        &[("6:14", "peer.endpoints", "did you mean address?")],
    ),
    (
        "[[peer]]\nname = \"b\"\npublic-key = \"PEER\"\nendpoints = \"[fe80::1]:1830\"",
        &[("6:13", "peer.endpoints", "link-local")],
    ),
    (
        "[[peer]]\nname = \"b\"\npublic-key = \"PEER\"\nvlans = [10, 4095]",
        &[("6:14", "peer.vlans", "no VLAN")],
    ),
    (
        "[[peer]]\nname = \"b\"\npublic-key = \"PEER\"\nvlans = []",
        &[("6:9", "peer.vlans", "empty")],
    ),
    (
        "[[peer]]\nname = \"b\"\npublic-key = \"PEER\"\npreshared-key-file = \"open.key\"",
        &[("6:22", "peer.preshared-key-file", "chmod 600")],
    ),
    // Ports.
    (
        "[[port]]\nmtu = 1500",
        &[("3:1", "port.name", "is missing")],
    ),
    (
        "[[port]]\nname = \"a/b\"",
        &[("4:8", "port.name", "contains '/'")],
    ),
    (
        "[[port]]\nname = \"tap%d\"",
        &[("4:8", "port.name", "contains '%'")],
    ),
    (
        "[[port]]\nname = \"x\"\n[[port]]\nname = \"x\"",
        &[("6:8", "port.name", "another port")],
    ),
    (
        "[[port]]\nname = \"x\"\nmtu = 68",
        &[("5:7", "port.mtu", "from 576 to 9000")],
    ),
    (
        "[[port]]\nname = \"x\"\nmtu = 9001",
        &[("5:7", "port.mtu", "from 576 to 9000")],
    ),
    (
        "[[port]]\nname = \"x\"\nmac = \"01:00:00:00:00:01\"",
        &[("5:7", "port.mac", "group address")],
    ),
    (
        "[[port]]\nname = \"x\"\nmac = \"00:00:00:00:00:00\"",
        &[("5:7", "port.mac", "all zero")],
    ),
    (
        "[[port]]\nname = \"x\"\nmac = \"02:00\"",
        &[("5:7", "port.mac", "no MAC")],
    ),
    (
        "[[port]]\nname = \"x\"\nvlan = 4095",
        &[("5:8", "port.vlan", "from 1 to 4094")],
    ),
    (
        "[[port]]\nname = \"x\"\nvlan = \"10\"",
        &[("5:8", "port.vlan", "such as 10")],
    ),
    (
        "[[port]]\nname = \"x\"\nvlan = 1\ntrunk = [2]",
        &[("5:8", "port.vlan", "beside trunk")],
    ),
    (
        "[[port]]\nname = \"x\"\nnative = 2",
        &[("5:10", "port.native", "add trunk")],
    ),
    (
        "[[port]]\nname = \"x\"\ntrunk = [1, \"30-20\"]",
        &[("5:13", "port.trunk", "backwards")],
    ),
    (
        "[[port]]\nname = \"x\"\ntrunk = [0]",
        &[("5:10", "port.trunk", "no VLAN")],
    ),
    (
        "[[port]]\nname = \"x\"\naddress = \"10.0.0.1\"",
        &[("5:11", "port.address", "10.0.0.1/24")],
    ),
    (
        "[[port]]\nname = \"x\"\naddress = [\"10.0.0.1/33\"]",
        &[("5:12", "port.address", "no address")],
    ),
    (
        "[[port]]\nname = \"x\"\naddress = \"10.0.0.1/24\"\ngateway = \"10.0.1.1\"",
        &[("6:11", "port.gateway", "in no network")],
    ),
    (
        "[[port]]\nname = \"x\"\ngateway = \"10.0.1.1\"",
        &[("5:11", "port.gateway", "add address")],
    ),
    (
        "[[port]]\nname = \"x\"\naddress = \"2001:db8::1/64\"\nmtu = 1000",
        &[("6:7", "port.mtu", "1280 or more")],
    ),
    (
        "[[port]]\nname = \"x\"\naddress = \"10.0.0.1/24\"\n[[port]]\nname = \"y\"\naddress = \"10.0.0.1/8\"",
        &[("8:11", "port.address", "given twice")],
    ),
    (
        "[[port]]\nname = \"x\"\nbridge = \"x\"",
        &[("5:10", "port.bridge", "kernel bridge")],
    ),
    (
        "[[port]]\ndevice = \"eth1\"\naddress = \"10.0.0.1/24\"\nmac = \"16:b9:3f:58:cb:4c\"\nbridge = \"br0\"",
        &[
            ("5:11", "port.address", "a TAP port beside"),
            ("6:7", "port.mac", "remove it"),
            ("7:10", "port.bridge", "a TAP port join"),
        ],
    ),
    (
        "[[port]]\ndevice = \"eth1\"\npersist = true\n[[port]]\nname = \"x\"\ndevice = \"eth1\"",
        &[
            ("5:11", "port.persist", "remove it"),
            ("8:10", "port.device", "keep one"),
        ],
    ),
    (
        "[[uplink]]\nname = \"x\"\ndevice = \"eth1\"\n[[port]]\ndevice = \"eth1\"",
        &[("5:10", "uplink.device", "inside itself")],
    ),
    (
        "[[port]]\nname = \"eth1\"\nbridge = \"br0\"\n[[port]]\nname = \"y\"\ndevice = \"br0\"",
        &[("8:10", "port.device", "take over one of its")],
    ),
    (
        "[[port]]\nname = \"x\"\nstorm-limit = { arp = 5 }",
        &[("5:15", "port.storm-limit", "no kind of frames")],
    ),
    (
        "[[port]]\nname = \"x\"\nstorm-limit = { broadcast = 0 }",
        &[("5:15", "port.storm-limit", "frames a second")],
    ),
    (
        "[[port]]\nname = \"x\"\nstorm-limit = true",
        &[("5:15", "port.storm-limit", "write frames a second")],
    ),
    (
        "[[port]]\nname = \"x\"\nstp = true",
        &[("5:7", "port.stp", "not supported yet")],
    ),
    // The switch.
    (
        "[switch]\nstp-priority = 5",
        &[("4:16", "switch.stp-priority", "multiple of 4096")],
    ),
    (
        "[switch]\nmax-age = 40",
        &[("4:11", "switch.max-age", "forward-delay")],
    ),
    // Everything at once, in the order of the file.
    (
        "nam = \"a\"\n[[port]]\nname = \"x\"\nmtu = 1\n[[peer]]\nname = \"ä\"\npublic-key = 1",
        &[
            ("3:1", "node.nam", "did you mean name?"),
            ("6:7", "port.mtu", "is 1;"),
            ("8:8", "peer.name", "'ä'"),
            ("9:14", "peer.public-key", "is an integer"),
        ],
    ),
];
