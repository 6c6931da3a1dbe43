//! A host in a box: a network namespace with the means to configure it.

use std::net::IpAddr;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, bail};
use sys::netlink::{Link, Netlink, Route};
use sys::netns::Netns;
use tokio::runtime::Runtime;

use crate::spawner;

/// A network namespace that plays a host. Copies are the same host; it goes with the last one.
#[derive(Debug, Clone)]
pub struct Namespace {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    name: String,
    netns: Netns,
    netlink: Netlink,
    runtime: Runtime,
}

/// Interface indexes are given out once per process, so that the ends of a line never have equal
/// ones: the kernel delays carrier events between equal ones by up to a second.
pub(crate) fn next_ifindex() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(100);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Splits "10.0.0.1/24".
pub(crate) fn parse_cidr(cidr: &str) -> Result<(IpAddr, u8)> {
    let (address, prefix) = cidr
        .split_once('/')
        .with_context(|| format!("{cidr:?} is no ADDRESS/PREFIX"))?;
    let address = address
        .parse()
        .with_context(|| format!("{cidr:?}: the address"))?;
    Ok((
        address,
        prefix
            .parse()
            .with_context(|| format!("{cidr:?}: the prefix length"))?,
    ))
}

impl Namespace {
    /// A new host with its loopback up; `name` appears in messages only.
    pub fn new(name: &str) -> Result<Self> {
        let netns = Netns::create().with_context(|| format!("make network namespace {name}"))?;
        Self::from_netns(name, netns)
    }

    /// As [`Namespace::new`], and `ip netns exec NAME` finds it while it lives.
    pub fn named(name: &str) -> Result<Self> {
        let netns = Netns::create_named(name).with_context(|| format!("make namespace {name}"))?;
        Self::from_netns(name, netns)
    }

    fn from_netns(name: &str, netns: Netns) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let netlink = runtime.block_on(async { Netlink::open_in(&netns) })?;
        let inner = Inner {
            name: name.to_owned(),
            netns,
            netlink,
            runtime,
        };
        let host = Self {
            inner: Arc::new(inner),
        };
        // Nobody else has these addresses, and looking for others takes two seconds at each start
        // of an interface. Not there where IPv6 is off.
        let _ = host.sysctl("ipv6/conf/default/accept_dad", "0");
        let _ = host.sysctl("ipv6/conf/default/dad_transmits", "0");
        host.set_up("lo", true)?;
        Ok(host)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// The namespace itself.
    pub fn netns(&self) -> &Netns {
        &self.inner.netns
    }

    /// Runs `work` on a new thread inside, and waits for it. Sockets opened there stay there.
    pub fn enter<R: Send>(&self, work: impl FnOnce() -> R + Send) -> Result<R> {
        self.netns()
            .enter(work)
            .with_context(|| format!("enter {}", self.name()))
    }

    /// Runs a netlink conversation inside.
    pub fn netlink<R>(&self, work: impl AsyncFnOnce(&Netlink) -> R) -> R {
        self.inner.runtime.block_on(work(&self.inner.netlink))
    }

    fn context<T>(&self, result: sys::netlink::Result<T>) -> Result<T> {
        result.with_context(|| format!("in {}", self.name()))
    }

    /// The interface `device`; an error when it is not there.
    pub fn link(&self, device: &str) -> Result<Link> {
        let link = self.context(self.netlink(async |netlink| netlink.link(device).await))?;
        link.with_context(|| format!("{} has no interface {device}", self.name()))
    }

    /// Switches an interface on or off.
    pub fn set_up(&self, device: &str, up: bool) -> Result<()> {
        self.context(self.netlink(async |netlink| netlink.set_up(device, up).await))
    }

    /// Sets an interface's MTU, bytes of IP.
    pub fn set_mtu(&self, device: &str, mtu: u32) -> Result<()> {
        self.context(self.netlink(async |netlink| netlink.set_mtu(device, mtu).await))
    }

    /// Gives an interface an address, "10.0.0.1/24"; IPv6 ones are usable at once.
    pub fn add_address(&self, device: &str, cidr: &str) -> Result<()> {
        let (address, prefix) = parse_cidr(cidr)?;
        self.context(
            self.netlink(async |netlink| netlink.add_address(device, address, prefix).await),
        )
    }

    /// Takes an address from an interface.
    pub fn delete_address(&self, device: &str, cidr: &str) -> Result<()> {
        let (address, prefix) = parse_cidr(cidr)?;
        self.context(
            self.netlink(async |netlink| netlink.delete_address(device, address, prefix).await),
        )
    }

    /// Adds a route in the main table, "10.0.0.0/24" or "0.0.0.0/0", through `gateway`.
    pub fn add_route(&self, cidr: &str, gateway: IpAddr) -> Result<()> {
        let (destination, prefix) = parse_cidr(cidr)?;
        let route = Route::via(destination, prefix, gateway);
        self.context(self.netlink(async |netlink| netlink.add_route(&route).await))
    }

    /// Writes a setting below `/proc/sys/net`: `("ipv4/ip_forward", "1")`.
    pub fn sysctl(&self, key: &str, value: &str) -> Result<()> {
        let path = Path::new("/proc/sys/net").join(key);
        let written = self.enter(|| std::fs::write(&path, value))?;
        written.with_context(|| format!("{}: {} = {value}", self.name(), path.display()))
    }

    /// Starts a program inside.
    pub fn spawn(&self, command: Command) -> Result<Child> {
        let text = format!("{command:?}");
        self.netns()
            .spawn(command)
            .with_context(|| format!("{}: start {text}", self.name()))
    }

    /// Starts a program inside that dies with this process, also when that is killed.
    pub fn spawn_bound(&self, command: Command) -> Result<Child> {
        let text = format!("{command:?}");
        spawner::spawn(self, command).with_context(|| format!("{}: start {text}", self.name()))
    }

    /// Runs a program inside to its end, and takes its output.
    pub fn output(&self, mut command: Command) -> Result<Output> {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Ok(self.spawn(command)?.wait_with_output()?)
    }

    /// Runs a program inside and returns what it wrote; an error when it failed.
    pub fn run(&self, program: &str, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new(program);
        command.args(arguments);
        let output = self.output(command)?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if !output.status.success() {
            let error = String::from_utf8_lossy(&output.stderr);
            bail!(
                "{}: {program} {arguments:?}: {}: {error}{text}",
                self.name(),
                output.status
            );
        }
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cidr_texts_are_parsed() {
        assert_eq!(
            parse_cidr("10.0.0.1/24").unwrap(),
            ("10.0.0.1".parse().unwrap(), 24)
        );
        assert_eq!(
            parse_cidr("fd00::1/64").unwrap(),
            ("fd00::1".parse().unwrap(), 64)
        );
        for bad in ["10.0.0.1", "x/8", "10.0.0.1/x", "10.0.0.1/256"] {
            assert!(parse_cidr(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_host_runs_programs_inside() {
        if !crate::can_run("a_host_runs_programs_inside") {
            return;
        }
        let host = Namespace::new("host").unwrap();
        assert!(host.link("lo").unwrap().up);
        assert!(
            host.link("eth0")
                .unwrap_err()
                .to_string()
                .contains("host has no interface")
        );
        host.sysctl("ipv4/ip_forward", "1").unwrap();
        assert_eq!(
            host.run("cat", &["/proc/sys/net/ipv4/ip_forward"])
                .unwrap()
                .trim(),
            "1"
        );
        assert!(host.run("false", &[]).is_err());
    }
}
