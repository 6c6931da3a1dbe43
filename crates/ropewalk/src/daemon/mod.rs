//! `ropewalk up`: from a configuration to a running gateway. This is the control thread; the data plane has its own.

mod backend;
mod build;
mod endpoints;
mod foreign;
mod lines;

use std::{path::Path, sync::Arc, thread::JoinHandle, time::Duration};

use anyhow::{Context as _, anyhow, bail};
use node::{Mac, PortChange, PortIndex};
use sys::{Netlink, netlink::Monitor, privilege};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{Notify, mpsc},
};

use crate::{
    config::{Config, Problem},
    control::ControlServer,
    dataplane::{self, Handle, Request},
    machine,
    notify::Notifier,
    setup::{DeviceChange, OpenPort, Setup},
};

use backend::Backend;
use endpoints::Resolver;
use lines::Lines;

/// Events between the data thread and the control thread.
const MAX_EVENTS: usize = 1024;
/// How long the data thread may take to say good-bye.
const GOODBYE: Duration = Duration::from_secs(2);
/// How often we look whether what waits (a bridge, a device) has come, besides when an event says so.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// A watchdog, where nobody else set one: the data thread must answer this often.
const ALIVE_EVERY: Duration = Duration::from_secs(10);

/// Runs in the foreground until told to end. `socket` overrides the configuration's.
///
/// # Errors
/// What kept the gateway from running; the machine is as it was before.
pub fn run(file: &Path, socket: Option<&Path>) -> anyhow::Result<()> {
    let mut config = Config::load(file)?;
    if let Some(socket) = socket {
        socket.clone_into(&mut config.control.socket);
    }
    let missing = privilege::missing();
    if !missing.is_empty() {
        bail!("{}", missing.join("\n"));
    }
    // Keys must not end in a core file.
    privilege::disable_core_dumps()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let result = runtime.block_on(serve(&config));
    // A look-up that hangs in the system's resolver must not keep us.
    runtime.shutdown_background();
    result
}

async fn serve(config: &Config) -> anyhow::Result<()> {
    let monitor = Monitor::open().context("cannot listen to the kernel's interface events")?;
    let netlink = Netlink::open().context("cannot talk to the kernel over netlink")?;
    // The socket first: who holds it is the only daemon on these devices.
    let server = ControlServer::bind(&config.control.socket)?;
    let warnings = warn(config, &netlink).await;
    let (setup, ports) = Setup::apply(config, netlink.clone()).await?;
    let result = run_prepared(config, setup, ports, server, monitor, netlink, warnings).await;
    if let Err(error) = &result {
        tracing::error!("{error:#}");
    }
    result
}

/// Everything to warn about, logged; the texts are for `status`.
async fn warn(config: &Config, netlink: &Netlink) -> Vec<String> {
    if node::NULL_CIPHER {
        tracing::warn!("built for the bench: frames are NOT ENCRYPTED and anyone can forge them");
    }
    let here: Vec<Problem> = machine::warnings(config, netlink).await;
    for warning in config.warnings.iter().chain(&here) {
        tracing::warn!("{warning}");
    }
    config.warnings.iter().map(ToString::to_string).collect()
}

async fn run_prepared(
    config: &Config,
    setup: Setup,
    ports: Vec<OpenPort>,
    server: ControlServer,
    monitor: Monitor,
    netlink: Netlink,
    warnings: Vec<String>,
) -> anyhow::Result<()> {
    let own = own_interfaces(config, &ports, &netlink).await;
    let marks: Vec<Option<u32>> = config
        .uplinks
        .iter()
        .map(|uplink| setup.mark(&uplink.name))
        .collect();
    let (events, from_data) = mpsc::channel(MAX_EVENTS);
    let node = build::node(config, &ports)?;
    let taps = ports.into_iter().map(|port| port.tap).collect();
    let (handle, thread) = dataplane::start(node, taps, events)?;
    handle.ask(Request::OwnInterfaces(own.clone()))?;
    let daemon_own = own.clone();
    let changed = Arc::new(Notify::new());
    let opened = Lines::open(
        config,
        &marks,
        own.clone(),
        handle.clone(),
        netlink.clone(),
        changed.clone(),
    )
    .await;
    let lines = match opened {
        Ok(lines) => lines,
        Err(error) => {
            end(&handle, thread).await?;
            return Err(error);
        }
    };
    let backend = Arc::new(Backend::new(config, handle.clone(), warnings));
    let resolver = Resolver::new(config, own, handle.clone(), netlink);
    let mut daemon = Daemon {
        setup,
        backend: backend.clone(),
        own_interfaces: daemon_own,
        handle: handle.clone(),
        changed,
        told_missing: Vec::new(),
    };
    let ended = tokio::select! {
        result = daemon.watch(&thread) => result,
        result = server.serve(backend.clone()) => result.map_err(Into::into),
        () = lines.follow(monitor) => Ok(()),
        () = resolver.follow() => Ok(()),
        () = pass_events(from_data, &backend) => Err(anyhow!("the data thread ended")),
    };
    Notifier.stopping();
    let data = end(&handle, thread).await;
    daemon.setup.undo();
    ended.and(data)
}

/// Interfaces that belong to the tunnel: our TAP devices, the bridges they are in, and interfaces taken over.
async fn own_interfaces(config: &Config, ports: &[OpenPort], netlink: &Netlink) -> Vec<u32> {
    let taps = ports.iter().filter_map(|port| port.tap.as_ref());
    let mut own: Vec<u32> = taps.map(sys::Tap::ifindex).collect();
    let bridges = config.ports.iter().filter_map(|port| port.bridge.as_ref());
    let devices = config.ports.iter().filter_map(|port| port.device.as_ref());
    for name in bridges.chain(devices) {
        if let Ok(index) = netlink.index(name).await {
            own.push(index);
        }
    }
    own
}

async fn pass_events(mut events: mpsc::Receiver<node::NodeEvent>, backend: &Backend) {
    while let Some(event) = events.recv().await {
        backend.on_event(&event);
    }
}

/// Tells the data thread to end, and waits for it.
async fn end(handle: &Handle, thread: JoinHandle<anyhow::Result<()>>) -> anyhow::Result<()> {
    // A thread that is gone needs no telling.
    let _ = handle.ask(Request::Shutdown);
    let deadline = tokio::time::Instant::now() + GOODBYE;
    while !thread.is_finished() && tokio::time::Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    if !thread.is_finished() {
        bail!("the data thread does not end");
    }
    thread
        .join()
        .map_err(|_| anyhow!("the data thread panicked"))?
}

/// What the control thread does besides answering.
struct Daemon {
    setup: Setup,
    backend: Arc<Backend>,
    /// Those of the tunnel at the start.
    own_interfaces: Vec<u32>,
    handle: Handle,
    changed: Arc<Notify>,
    told_missing: Vec<String>,
}

impl Daemon {
    /// Until a signal says stop, or the data thread is gone.
    async fn watch(&mut self, thread: &JoinHandle<anyhow::Result<()>>) -> anyhow::Result<()> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut hang_up = signal(SignalKind::hangup())?;
        self.look().await;
        let watchdog = Notifier.watchdog_interval().unwrap_or(ALIVE_EVERY);
        let mut alive = tokio::time::interval(watchdog);
        let mut look = tokio::time::interval(LOOK_EVERY);
        self.ping().await?;
        Notifier.ready("running");
        tracing::info!("running");
        loop {
            tokio::select! {
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
                _ = hang_up.recv() => tracing::warn!("reloading is not in this version: restart to apply a changed configuration"),
                () = self.changed.notified() => self.look().await,
                _ = look.tick() => self.look().await,
                _ = alive.tick() => {
                    self.ping().await?;
                    Notifier.watchdog();
                }
            }
            if thread.is_finished() {
                bail!("the data thread ended");
            }
        }
        tracing::info!("ending");
        Ok(())
    }

    /// The data thread is what counts, so it is what is watched.
    async fn ping(&self) -> anyhow::Result<()> {
        self.handle
            .call(Request::Ping)
            .await
            .context("the data thread does not answer")
    }

    /// Does what has become possible; says once what is still missing.
    async fn look(&mut self) {
        let missing = self.setup.refresh().await;
        let changes = self.setup.take_changes();
        if !changes.is_empty() {
            self.pass_on(changes);
        }
        for what in missing
            .iter()
            .filter(|what| !self.told_missing.contains(what))
        {
            tracing::warn!("{what}");
        }
        self.backend.set_missing(missing.clone());
        self.told_missing = missing;
    }

    /// Tells the data thread what became of interfaces.
    fn pass_on(&mut self, changes: Vec<DeviceChange>) {
        for change in changes {
            let port = PortIndex(change.port as u16);
            let told = match change.reason {
                "" => PortChange::Present {
                    watch: change.mac.map(Mac),
                },
                reason => PortChange::Absent(reason),
            };
            self.backend.on_port(change.port, change.reason);
            if self
                .handle
                .ask(Request::Port(port, told, change.socket))
                .is_err()
            {
                tracing::error!(
                    port = change.port,
                    "the data thread is too busy to hear of an interface"
                );
            }
        }
        let mut own = self.own_interfaces.clone();
        own.extend(
            self.setup
                .taken()
                .filter(|index| !self.own_interfaces.contains(index)),
        );
        // The old list is right but for interfaces that came since.
        let _ = self.handle.ask(Request::OwnInterfaces(own));
    }
}
