//! What this process may do, and giving up what it does not need.

use std::fs::OpenOptions;
use std::io;

use rustix::process::{DumpableBehavior, Resource, Rlimit};
use rustix::thread::{CapabilitySet, CapabilitySets};

/// A privilege that the daemon may want to keep; see capabilities(7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Capability {
    /// Interfaces, addresses, routes, TAP devices, socket marks.
    NetAdmin,
    /// Packet sockets.
    NetRaw,
    /// Ports below 1024.
    NetBindService,
}

impl Capability {
    fn set(self) -> CapabilitySet {
        match self {
            Self::NetAdmin => CapabilitySet::NET_ADMIN,
            Self::NetRaw => CapabilitySet::NET_RAW,
            Self::NetBindService => CapabilitySet::NET_BIND_SERVICE,
        }
    }
}

fn effective(wanted: CapabilitySet) -> bool {
    rustix::thread::capabilities(None).is_ok_and(|sets| sets.effective.contains(wanted))
}

/// Whether the calling thread has CAP_NET_ADMIN in its user namespace.
pub fn has_cap_net_admin() -> bool {
    effective(CapabilitySet::NET_ADMIN)
}

/// Whether the calling thread has CAP_NET_RAW in its user namespace.
pub fn has_cap_net_raw() -> bool {
    effective(CapabilitySet::NET_RAW)
}

/// Whether the calling thread has CAP_SYS_ADMIN, which making a namespace takes.
pub fn has_cap_sys_admin() -> bool {
    effective(CapabilitySet::SYS_ADMIN)
}

/// Whether `/dev/net/tun` is there and can be opened.
pub fn dev_net_tun() -> io::Result<()> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/net/tun")
        .map(drop)
}

/// What is missing to run a gateway, as sentences for a person; empty when nothing is.
pub fn missing() -> Vec<String> {
    let mut sentences = Vec::new();
    if !has_cap_net_admin() {
        sentences.push(
            "CAP_NET_ADMIN is missing: run as root, or give the capability (systemd: \
             AmbientCapabilities=CAP_NET_ADMIN; containers: --cap-add NET_ADMIN)."
                .to_owned(),
        );
    }
    if let Err(error) = dev_net_tun() {
        let advice = match error.kind() {
            io::ErrorKind::NotFound => {
                "it does not exist; load the module \"tun\", or pass the device into the container"
            }
            io::ErrorKind::PermissionDenied => "this user may not open it",
            _ => "it cannot be opened",
        };
        sentences.push(format!("/dev/net/tun is not usable: {advice} ({error})."));
    }
    sentences
}

/// Gives up all capabilities except `keep` (those of them that we have), for good: they also leave
/// the bounding set, and no program started later gains any (`no_new_privs`).
///
/// Capabilities belong to threads: call this before any other thread is started.
pub fn drop_capabilities(keep: &[Capability]) -> io::Result<()> {
    let wanted = keep
        .iter()
        .fold(CapabilitySet::empty(), |all, one| all | one.set());
    let have = rustix::thread::capabilities(None)?;
    drop_bounding_set(wanted, have.effective)?;
    rustix::thread::clear_ambient_capability_set()?;
    rustix::thread::set_no_new_privs(true)?;
    let kept = have.permitted & wanted;
    let sets = CapabilitySets {
        effective: kept,
        permitted: kept,
        inheritable: CapabilitySet::empty(),
    };
    rustix::thread::set_capabilities(None, sets)?;
    Ok(())
}

fn drop_bounding_set(wanted: CapabilitySet, have: CapabilitySet) -> io::Result<()> {
    if !have.contains(CapabilitySet::SETPCAP) {
        // Then nothing can be gained through it either: an ordinary user, and no_new_privs is set.
        return Ok(());
    }
    // The kernel knows at most 64; EINVAL marks the first that this one does not know.
    for number in 0..64u64 {
        let one = CapabilitySet::from_bits_retain(1 << number);
        if wanted.contains(one) {
            continue;
        }
        match rustix::thread::remove_capability_from_bounding_set(one) {
            Ok(()) => {}
            Err(rustix::io::Errno::INVAL) => break,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Keeps keys out of core dumps and away from debuggers of the same user.
pub fn disable_core_dumps() -> io::Result<()> {
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    rustix::process::setrlimit(Resource::Core, none)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_agrees_with_what_is_there() {
        let complete = has_cap_net_admin() && dev_net_tun().is_ok();
        assert_eq!(missing().is_empty(), complete, "{:?}", missing());
    }

    #[test]
    fn dropped_capabilities_are_gone_and_kept_ones_work() {
        if !crate::testing::can_make_namespaces() {
            return;
        }
        // Capabilities are per thread, so the thread of this test takes them along when it ends.
        let after = std::thread::spawn(|| {
            drop_capabilities(&[Capability::NetAdmin]).unwrap();
            let again = drop_capabilities(&[Capability::NetAdmin, Capability::NetRaw]);
            (
                has_cap_net_admin(),
                has_cap_net_raw(),
                has_cap_sys_admin(),
                again.is_ok(),
            )
        });
        assert_eq!(after.join().unwrap(), (true, false, false, true));
    }
}
