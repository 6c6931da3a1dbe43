//! What was changed on the machine, so that all of it can be undone: at the end, at a panic, and
//! at the next start after an end that nobody could see.
//!
//! Every step is written to a file beside the control socket before it is taken; undoing a step
//! that was not taken, or whose device is gone, does nothing.

use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sys::Netlink;
use sys::netlink::{NetlinkError, Route, Rule, RuleAction};

/// One way back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Undo {
    /// An address was added.
    DeleteAddress {
        device: String,
        address: IpAddr,
        prefix: u8,
    },
    /// An address was taken away.
    AddAddress {
        device: String,
        address: IpAddr,
        prefix: u8,
    },
    /// It made its link-local address another way.
    SetIpv6AddressMode { device: String, mode: u8 },
    /// The Ethernet address was another.
    SetMac { device: String, mac: [u8; 6] },
    /// The MTU was another.
    SetMtu { device: String, mtu: u32 },
    /// It was switched off.
    SetDown { device: String },
    /// It had no master, or another.
    SetMaster {
        device: String,
        master: Option<String>,
    },
    /// A table that drops what comes in by an interface was added.
    DeleteIngressTable { table: String },
    /// A default route was added to the main table.
    DeleteDefaultRoute { device: String, gateway: IpAddr },
    /// A route was added to a private table.
    DeleteTableRoute {
        device: String,
        destination: IpAddr,
        prefix: u8,
        gateway: Option<IpAddr>,
        table: u32,
    },
    /// A rule that leads to a private table was added.
    DeleteRule {
        priority: u32,
        mark: u32,
        table: u32,
    },
}

impl Undo {
    async fn take(&self, netlink: &Netlink) -> Result<(), NetlinkError> {
        match self {
            Self::DeleteAddress {
                device,
                address,
                prefix,
            } => netlink.delete_address(device, *address, *prefix).await,
            Self::AddAddress {
                device,
                address,
                prefix,
            } => netlink.add_address(device, *address, *prefix).await,
            Self::SetIpv6AddressMode { device, mode } => {
                netlink.set_ipv6_address_mode(device, *mode).await
            }
            Self::SetMac { device, mac } => netlink.set_mac(device, *mac).await,
            Self::SetMtu { device, mtu } => netlink.set_mtu(device, *mtu).await,
            Self::SetDown { device } => netlink.set_up(device, false).await,
            Self::SetMaster { device, master } => {
                netlink.set_master(device, master.as_deref()).await
            }
            Self::DeleteIngressTable { table } => match sys::ingress::remove(table) {
                // It went with its owner, or its interface.
                Ok(()) | Err(_) => Ok(()),
            },
            Self::DeleteDefaultRoute { device, gateway } => {
                netlink.delete_route(&default_route(device, *gateway)).await
            }
            Self::DeleteTableRoute {
                device,
                destination,
                prefix,
                gateway,
                table,
            } => {
                let to = (*destination, *prefix);
                netlink
                    .delete_route(&table_route(device, to, *gateway, *table))
                    .await
            }
            Self::DeleteRule {
                priority,
                mark,
                table,
            } => netlink.delete_rule(&rule(*priority, *mark, *table)).await,
        }
    }
}

/// The metric of default routes through ports. It is ours alone, so that adding one replaces no
/// route of the machine, and it comes after those of the usual managers (0, 100, 1024): a default
/// route that swallowed the tunnel's own datagrams would cut the branch it sits on.
const DEFAULT_ROUTE_METRIC: u32 = 1830;

/// A default route through a port, in the main table.
pub(super) fn default_route(device: &str, gateway: IpAddr) -> Route {
    let route = Route::default_in(sys::netlink::MAIN_TABLE, gateway, Some(gateway), device);
    Route {
        metric: Some(DEFAULT_ROUTE_METRIC),
        ..route
    }
}

/// A route of a private table; without a gateway the destination is on the link.
pub(super) fn table_route(
    device: &str,
    (destination, prefix): (IpAddr, u8),
    gateway: Option<IpAddr>,
    table: u32,
) -> Route {
    Route {
        destination,
        prefix,
        gateway,
        device: Some(device.to_owned()),
        source: None,
        table,
        metric: None,
        blackhole: false,
    }
}

/// The rule that leads marked packets to a private table.
pub(super) fn rule(priority: u32, mark: u32, table: u32) -> Rule {
    Rule {
        priority,
        mark: Some(mark),
        input_device: None,
        action: RuleAction::Lookup(table),
    }
}

/// What the journal's file holds.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    /// The kernel's name for this run of it: a restart of the machine undid everything itself.
    boot: String,
    steps: Vec<Undo>,
}

fn boot() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default()
}

/// The list of what to undo, latest last. Dropping it undoes everything.
#[derive(Debug)]
pub(super) struct Journal {
    file: PathBuf,
    steps: Vec<Undo>,
}

/// More steps than any configuration takes; beyond, something repeats itself.
const STEPS_MAX: usize = 4096;

impl Journal {
    /// Where the journal of the daemon with this control socket is.
    pub(super) fn beside(socket: &Path) -> PathBuf {
        let mut name = socket.as_os_str().to_owned();
        name.push(".undo");
        PathBuf::from(name)
    }

    /// Starts an empty journal, after undoing what a killed daemon left behind there.
    pub(super) fn open(file: PathBuf) -> Self {
        let mut left = Self {
            file: file.clone(),
            steps: read(&file),
        };
        if !left.steps.is_empty() {
            tracing::info!(
                "undoing {} changes of a daemon that was killed",
                left.steps.len()
            );
        }
        left.undo_all();
        Self {
            file,
            steps: Vec::new(),
        }
    }

    /// Notes a step that is about to be taken. Noting it twice changes nothing.
    pub(super) fn note(&mut self, step: Undo) -> io::Result<()> {
        if self.steps.contains(&step) {
            return Ok(());
        }
        if self.steps.len() >= STEPS_MAX {
            return Err(io::Error::other("too many changes to the machine"));
        }
        self.steps.push(step);
        self.write()
    }

    /// Replaces the file in one go, so that a kill leaves the old or the new list.
    fn write(&self) -> io::Result<()> {
        if let Some(folder) = self.file.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut staging = self.file.as_os_str().to_owned();
        staging.push(".new");
        let record = Record {
            boot: boot(),
            steps: self.steps.clone(),
        };
        fs::write(&staging, serde_json::to_vec(&record)?)?;
        fs::rename(&staging, &self.file)
    }

    /// Undoes everything, latest first. What fails is logged: there is nobody to return it to.
    pub(super) fn undo_all(&mut self) {
        let steps = std::mem::take(&mut self.steps);
        if steps.is_empty() {
            return;
        }
        // A thread of its own, since the caller may be inside a runtime, or unwinding. It keeps
        // the caller's namespace and capabilities.
        let undone = std::thread::spawn(move || undo(&steps)).join();
        match undone {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!("what was changed cannot be undone: {error}"),
            Err(_) => tracing::warn!("what was changed cannot be undone: the attempt panicked"),
        }
        // Another try would fail the same way, so the list goes in any case.
        if let Err(error) = fs::remove_file(&self.file) {
            tracing::debug!("{}: {error}", self.file.display());
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.undo_all();
    }
}

fn undo(steps: &[Undo]) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let netlink = Netlink::open()?;
        for step in steps.iter().rev() {
            match step.take(&netlink).await {
                Err(error) if !error.not_found() => tracing::warn!("cannot undo: {error}"),
                _ => {}
            }
        }
        Ok(())
    })
}

/// What the file holds; a file that nobody can read is worth a warning and nothing more.
fn read(file: &Path) -> Vec<Undo> {
    let content = match fs::read(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Vec::new(),
        other => other,
    };
    match content.and_then(|content| Ok(serde_json::from_slice::<Record>(&content)?)) {
        Ok(record) if record.boot == boot() => record.steps,
        Ok(_) => Vec::new(),
        Err(error) => {
            tracing::warn!(
                "{}: {error}; what an earlier daemon changed stays",
                file.display()
            );
            Vec::new()
        }
    }
}
