//! Which addresses are another line's.
//!
//! A line that has lost its address sends from one of another line, since the kernel finds no better; the peer would go
//! on using that one, and would see two addresses in turn once the line has its own again.

use std::net::IpAddr;

use sys::netlink::Address;

/// Addresses of other lines' devices, for the line at place `at`; `devices`: the indexes of all lines' devices.
pub(super) fn foreign_addresses(
    at: usize,
    devices: &[Option<u32>],
    addresses: &[Address],
) -> Vec<IpAddr> {
    let Some(own) = devices.get(at).copied().flatten() else {
        return Vec::new(); // whatever the routing table says is right for it
    };
    let is_ours = |ip: IpAddr| {
        addresses
            .iter()
            .any(|a| a.ifindex == own && a.address == ip)
    };
    let others = addresses
        .iter()
        .filter(|a| a.global && devices.contains(&Some(a.ifindex)));
    others
        .filter(|a| a.ifindex != own)
        .map(|a| a.address)
        .filter(|&ip| !is_ours(ip))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_other_lines_are_foreign() {
        let address = |ifindex, text: &str| Address {
            ifindex,
            address: text.parse().unwrap(),
            prefix: 24,
            global: !text.starts_with("fe80"),
        };
        let addresses = [
            address(1, "192.0.2.1"), // no line's: a router may well be reached at its loopback's address
            address(5, "10.1.1.1"),
            address(5, "10.9.9.9"),
            address(6, "10.1.2.1"),
            address(6, "fe80::6"),
            address(6, "10.9.9.9"),
        ];
        let devices = [Some(5), Some(6), None];
        let foreign = |at, devices: &[Option<u32>]| -> Vec<String> {
            foreign_addresses(at, devices, &addresses)
                .iter()
                .map(ToString::to_string)
                .collect()
        };
        assert_eq!(foreign(0, &devices), ["10.1.2.1"]);
        assert_eq!(foreign(1, &devices), ["10.1.1.1"]);
        assert_eq!(foreign(2, &devices), [""; 0]);
        assert_eq!(foreign(0, &[Some(5), Some(5)]), [""; 0]);
    }
}
