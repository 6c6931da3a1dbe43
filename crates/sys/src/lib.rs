//! Linux: TAP devices, packet and UDP sockets, netlink, namespaces, clocks; the only unsafe code
//!
//! Every module is a thin, typed view of one kernel interface. What needs `unsafe` is gathered in
//! the private module `raw`, one function per system call, so that it can be read in one sitting.

#![allow(unsafe_code)]
// This floor is where time comes from: the pure floors get it as an argument.
#![allow(clippy::disallowed_methods)]

pub mod alarm;
pub mod clock;
pub mod ingress;
pub mod netlink;
pub mod netns;
pub mod packet;
pub mod poll;
pub mod privilege;
mod raw;
pub mod tap;
pub mod thread;
pub mod udp;

#[cfg(test)]
mod testing;

pub use clock::Clock;
pub use netlink::Netlink;
pub use netns::Netns;
pub use packet::PacketSocket;
pub use poll::Poller;
pub use tap::Tap;
pub use udp::UdpSocket;
