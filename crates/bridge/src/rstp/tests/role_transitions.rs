//! Figures 17-19 to 17-22, in every combination of what they look at.

use super::super::config::RstpConfig;
use super::super::port::{Port, PortRole};
use super::super::port_role_transitions::{State, step};
use super::super::tree::Tree;
use super::{Row, bit, hold, port};
use wire::ethernet::Mac;

/// The port that is tested comes first.
fn tree(rstp: bool) -> Tree {
    let mut tree = Tree::new(&RstpConfig::new(Mac([2, 0, 0, 0, 0, 1])));
    tree.rstp_version = rstp;
    tree.ports = vec![port(0), port(1)];
    for port in &mut tree.ports {
        (port.selected, port.synced, port.re_root, port.sync) = (true, true, false, false);
        port.port_enabled = true;
        port.timers.rr_while = 0;
    }
    tree
}

fn become_role(port: &mut Port, role: PortRole, state: State) {
    (port.role, port.selected_role) = (role, role);
    port.machines.role = state;
}

const FWD_DELAY: u16 = 15;
const HELLO_TIME: u16 = 2;
const MAX_AGE: u16 = 20;

fn all_synced(tree: &Tree) -> bool {
    let other = &tree.ports[1];
    let own = tree.ports[0].synced || tree.ports[0].role == PortRole::Root;
    own && other.synced && other.selected && other.role == other.selected_role && !other.updt_info
}

fn re_rooted(tree: &Tree) -> bool {
    tree.ports[1].timers.rr_while == 0
}

fn root_may_forward(tree: &Tree) -> bool {
    let timers = &tree.ports[0].timers;
    timers.fd_while == 0 || re_rooted(tree) && timers.rb_while == 0 && tree.rstp_version
}

fn root(tree: &mut Tree) -> &mut Port {
    let port = &mut tree.ports[0];
    port.role = PortRole::Root;
    port.timers.rr_while = FWD_DELAY;
    port
}

const ROOT: [Row<Tree>; 7] = [
    (
        "ROOT_PROPOSED",
        |t| t.ports[0].proposed && !t.ports[0].agree,
        |t| {
            t.ports.iter_mut().for_each(|port| port.sync = true);
            root(t).proposed = false;
        },
    ),
    (
        "ROOT_AGREED",
        |t| all_synced(t) && !t.ports[0].agree || t.ports[0].proposed && t.ports[0].agree,
        |t| {
            let port = root(t);
            (port.proposed, port.sync) = (false, false);
            (port.agree, port.new_info) = (true, true);
        },
    ),
    (
        "REROOT",
        |t| !t.ports[0].forward && !t.ports[0].re_root,
        |t| {
            t.ports.iter_mut().for_each(|port| port.re_root = true);
        },
    ),
    (
        "REROOTED",
        |t| t.ports[0].re_root && t.ports[0].forward,
        |t| root(t).re_root = false,
    ),
    (
        "ROOT_LEARN",
        |t| root_may_forward(t) && !t.ports[0].learn,
        |t| {
            let port = root(t);
            port.timers.fd_while = HELLO_TIME;
            port.learn = true;
        },
    ),
    (
        "ROOT_FORWARD",
        |t| root_may_forward(t) && t.ports[0].learn && !t.ports[0].forward,
        |t| {
            let port = root(t);
            port.timers.fd_while = 0;
            port.forward = true;
        },
    ),
    (
        "ROOT_PORT",
        |t| t.ports[0].timers.rr_while != FWD_DELAY,
        |t| _ = root(t),
    ),
];

#[test]
fn root_port() {
    for bits in 0..1 << 13 {
        let mut tree = tree(bit(bits, 0));
        become_role(&mut tree.ports[0], PortRole::Root, State::RootPort);
        let [port, other] = &mut tree.ports[..] else {
            unreachable!("there are two");
        };
        (port.proposed, port.agree) = (bit(bits, 1), bit(bits, 2));
        (port.learn, port.forward) = (bit(bits, 3) || bit(bits, 4), bit(bits, 4));
        (port.re_root, port.sync, port.synced) = (bit(bits, 5), bit(bits, 6), bit(bits, 7));
        port.timers.fd_while = u16::from(bit(bits, 8));
        port.timers.rb_while = u16::from(bit(bits, 9));
        port.timers.rr_while = if bit(bits, 10) { FWD_DELAY } else { 3 };
        other.timers.rr_while = u16::from(bit(bits, 11));
        other.synced = bit(bits, 12);
        hold(&ROOT, &tree, |tree| step(tree, 0));
    }
}

fn designated_may_forward(p: &Port) -> bool {
    let sure = p.timers.fd_while == 0 || p.agreed || p.oper_edge;
    sure && (p.timers.rr_while == 0 || !p.re_root) && !p.sync
}

const DESIGNATED: [Row<Tree>; 6] = [
    (
        "DESIGNATED_PROPOSE",
        |t| {
            let p = &t.ports[0];
            !p.forward && !p.agreed && !p.proposing && !p.oper_edge
        },
        |t| {
            let p = &mut t.ports[0];
            (p.proposing, p.new_info) = (true, true);
            // EdgeDelay on a point-to-point LAN is Migrate Time.
            p.timers.edge_delay_while = 3;
        },
    ),
    (
        "DESIGNATED_SYNCED",
        |t| {
            let p = &t.ports[0];
            !p.learning && !p.forwarding && !p.synced
                || p.agreed && !p.synced
                || p.oper_edge && !p.synced
                || p.sync && p.synced
        },
        |t| {
            let p = &mut t.ports[0];
            p.timers.rr_while = 0;
            (p.synced, p.sync) = (true, false);
        },
    ),
    (
        "DESIGNATED_RETIRED",
        |t| t.ports[0].timers.rr_while == 0 && t.ports[0].re_root,
        |t| t.ports[0].re_root = false,
    ),
    (
        "DESIGNATED_LEARN",
        |t| designated_may_forward(&t.ports[0]) && !t.ports[0].learn && !t.ports[0].disputed,
        |t| {
            t.ports[0].learn = true;
            t.ports[0].timers.fd_while = HELLO_TIME;
        },
    ),
    (
        "DESIGNATED_FORWARD",
        |t| {
            let p = &t.ports[0];
            designated_may_forward(p) && p.learn && !p.forward && !p.disputed
        },
        |t| {
            let p = &mut t.ports[0];
            (p.forward, p.agreed) = (true, p.send_rstp);
            p.timers.fd_while = 0;
        },
    ),
    (
        "DESIGNATED_DISCARD",
        |t| {
            let p = &t.ports[0];
            let told = p.sync && !p.synced || p.re_root && p.timers.rr_while != 0;
            // Besides the figure: a disputed port that may learn would come here next.
            let early = p.disputed && designated_may_forward(p);
            (told || p.disputed) && !p.oper_edge && (p.learn || p.forward) || early && !p.oper_edge
        },
        |t| {
            let p = &mut t.ports[0];
            (p.learn, p.forward, p.disputed) = (false, false, false);
            p.timers.fd_while = HELLO_TIME;
        },
    ),
];

#[test]
fn designated_port() {
    for bits in 0..1 << 12 {
        let mut tree = tree(true);
        become_role(
            &mut tree.ports[0],
            PortRole::Designated,
            State::DesignatedPort,
        );
        let p = &mut tree.ports[0];
        (p.learn, p.forward) = (bit(bits, 0) || bit(bits, 1), bit(bits, 1));
        (p.learning, p.forwarding) = (p.learn, p.forward);
        (p.agreed, p.proposing) = (bit(bits, 2), bit(bits, 3));
        (p.sync, p.synced) = (bit(bits, 4), bit(bits, 5));
        (p.re_root, p.disputed) = (bit(bits, 6), bit(bits, 7));
        p.timers.fd_while = u16::from(bit(bits, 8));
        p.timers.rr_while = u16::from(bit(bits, 9));
        p.oper_edge = bit(bits, 10) && !p.disputed;
        p.learning = p.learning || bit(bits, 11);
        hold(&DESIGNATED, &tree, |tree| step(tree, 0));
    }
}

fn alternate(port: &mut Port) {
    port.timers.fd_while = HELLO_TIME;
    (port.synced, port.timers.rr_while) = (true, 0);
    (port.sync, port.re_root) = (false, false);
}

const ALTERNATE: [Row<Tree>; 4] = [
    (
        "ALTERNATE_PROPOSED",
        |t| t.ports[0].proposed && !t.ports[0].agree,
        |t| {
            t.ports.iter_mut().for_each(|port| port.sync = true);
            t.ports[0].proposed = false;
            alternate(&mut t.ports[0]);
        },
    ),
    (
        "ALTERNATE_AGREED",
        |t| all_synced(t) && !t.ports[0].agree || t.ports[0].proposed && t.ports[0].agree,
        |t| {
            let p = &mut t.ports[0];
            (p.proposed, p.agree, p.new_info) = (false, true, true);
            alternate(p);
        },
    ),
    (
        "BACKUP_PORT",
        |t| t.ports[0].timers.rb_while != 2 * HELLO_TIME && t.ports[0].role == PortRole::Backup,
        |t| {
            t.ports[0].timers.rb_while = 2 * HELLO_TIME;
            alternate(&mut t.ports[0]);
        },
    ),
    (
        "ALTERNATE_PORT",
        |t| {
            let p = &t.ports[0];
            p.timers.fd_while != HELLO_TIME || p.sync || p.re_root || !p.synced
        },
        |t| alternate(&mut t.ports[0]),
    ),
];

#[test]
fn alternate_and_backup_port() {
    for bits in 0..1 << 9 {
        let mut tree = tree(true);
        let role = if bit(bits, 0) {
            PortRole::Backup
        } else {
            PortRole::Alternate
        };
        become_role(&mut tree.ports[0], role, State::AlternatePort);
        tree.ports[1].synced = bit(bits, 1);
        let p = &mut tree.ports[0];
        (p.proposed, p.agree, p.sync) = (bit(bits, 2), bit(bits, 3), bit(bits, 4));
        (p.synced, p.re_root) = (bit(bits, 5), bit(bits, 6));
        p.timers.rb_while = if bit(bits, 7) { 2 * HELLO_TIME } else { 1 };
        p.timers.fd_while = if bit(bits, 8) { HELLO_TIME } else { 1 };
        hold(&ALTERNATE, &tree, |tree| step(tree, 0));
    }
}

const DISABLED: [Row<Tree>; 1] = [(
    "DISABLED_PORT",
    |t| {
        let p = &t.ports[0];
        p.timers.fd_while != MAX_AGE || p.sync || p.re_root || !p.synced
    },
    |t| {
        let p = &mut t.ports[0];
        alternate(p);
        p.timers.fd_while = MAX_AGE;
    },
)];

#[test]
fn disabled_port() {
    for bits in 0..1 << 4 {
        let mut tree = tree(true);
        become_role(&mut tree.ports[0], PortRole::Disabled, State::DisabledPort);
        let p = &mut tree.ports[0];
        (p.sync, p.synced, p.re_root) = (bit(bits, 0), bit(bits, 1), bit(bits, 2));
        p.timers.fd_while = if bit(bits, 3) { MAX_AGE } else { 1 };
        hold(&DISABLED, &tree, |tree| step(tree, 0));
    }
}

#[test]
fn a_blocked_port_waits_until_it_neither_learns_nor_forwards() {
    for (role, between, after) in [
        (PortRole::Disabled, State::DisablePort, State::DisabledPort),
        (PortRole::Alternate, State::BlockPort, State::AlternatePort),
    ] {
        let mut tree = tree(true);
        become_role(&mut tree.ports[0], PortRole::Root, State::RootPort);
        let port = &mut tree.ports[0];
        (port.learn, port.forward) = (true, true);
        (port.learning, port.forwarding) = (true, true);
        port.selected_role = role;
        port.updt_info = true;
        assert!(!step(&mut tree, 0), "not while updtInfo");
        tree.ports[0].updt_info = false;
        assert!(step(&mut tree, 0));
        let port = &tree.ports[0];
        assert_eq!((port.role, port.machines.role), (role, between));
        assert!(!port.learn && !port.forward);
        assert!(!step(&mut tree, 0), "it still learns");
        (tree.ports[0].learning, tree.ports[0].forwarding) = (false, false);
        assert!(step(&mut tree, 0));
        assert_eq!(tree.ports[0].machines.role, after);
    }
}

#[test]
fn all_machines_qualify_by_selected() {
    let mut tree = tree(true);
    become_role(
        &mut tree.ports[0],
        PortRole::Designated,
        State::DesignatedPort,
    );
    tree.ports[0].selected = false;
    assert!(!step(&mut tree, 0));
    tree.ports[0].selected = true;
    assert!(step(&mut tree, 0));
}
