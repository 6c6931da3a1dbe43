//! The data thread: owns the node, the TAP devices and the sockets; plain epoll, run to completion, no locks.
//!
//! The control thread talks to it through a bounded channel of [`Request`]s and a wake-up; events come back through a
//! bounded one too.

mod ingress;
mod lines;
mod port;
mod run;
mod sinks;

use std::{
    net::{IpAddr, SocketAddr},
    sync::mpsc::{SyncSender, TrySendError, sync_channel},
    thread::JoinHandle,
    time::Instant,
};

use node::{
    Endpoint, FdbEntry, Node, NodeEvent, NodeSnapshot, PathOp, PortChange, PortIndex, UplinkId,
    UplinkState,
};
use sys::{PacketSocket, Tap, UdpSocket, poll::Waker};
use tokio::sync::{mpsc, oneshot};

pub use sinks::SendStats;

/// Requests that may wait for the data thread.
const MAX_REQUESTS: usize = 256;

/// What the control thread asks of the data thread.
pub enum Request {
    /// A snapshot of everything.
    Status(oneshot::Sender<Snapshot>),
    /// Learned addresses and the names of their ports.
    Fdb(oneshot::Sender<Vec<(FdbEntry, String)>>),
    /// An order for paths; answers whether there are such paths.
    Path(
        usize,
        UplinkId,
        Option<SocketAddr>,
        PathOp,
        oneshot::Sender<bool>,
    ),
    /// Where a peer may be.
    Endpoints(usize, Vec<Endpoint>),
    /// An uplink came, went or changed; `Some`: with these sockets from now on.
    Uplink(UplinkId, UplinkState, Option<Vec<UdpSocket>>),
    /// Addresses of other uplinks' devices: what comes through this uplink to them is not taken.
    Foreign(UplinkId, Vec<IpAddr>),
    /// The interface of a port came, went or changed; `Some`: with this socket from now on.
    Port(PortIndex, PortChange, Option<PacketSocket>),
    /// Interfaces of our own, through which no datagram of ours may come.
    OwnInterfaces(Vec<u32>),
    /// Answer to show that you live.
    Ping(oneshot::Sender<()>),
    /// Say good-bye to the peers and end.
    Shutdown,
}

/// A snapshot, and the moment it shows by the data thread's clock, which counts the machine's sleep.
pub struct Snapshot {
    /// The node.
    pub node: NodeSnapshot,
    /// How sending went.
    pub sending: SendStats,
    /// Now; instants in the others are to be compared with this one only.
    pub now: Instant,
}

/// Why a request did not reach the data thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// Too many requests wait.
    #[error("too many requests wait for the data thread")]
    Busy,
    /// It has ended.
    #[error("the data thread has ended")]
    Gone,
}

/// The control thread's end.
#[derive(Clone)]
pub struct Handle {
    requests: SyncSender<Request>,
    waker: Waker,
}

impl Handle {
    /// Passes a request on.
    ///
    /// # Errors
    /// [`AskError`]; the request is lost then.
    pub fn ask(&self, request: Request) -> Result<(), AskError> {
        self.requests
            .try_send(request)
            .map_err(|error| match error {
                TrySendError::Full(_) => AskError::Busy,
                TrySendError::Disconnected(_) => AskError::Gone,
            })?;
        self.waker.wake();
        Ok(())
    }

    /// Passes a request on that answers through the channel it is made with.
    ///
    /// # Errors
    /// [`AskError`].
    pub async fn call<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<T>) -> Request,
    ) -> Result<T, AskError> {
        let (answer, wait) = oneshot::channel();
        self.ask(request(answer))?;
        wait.await.map_err(|_| AskError::Gone)
    }
}

/// Starts the data thread. A port without a TAP device gets its socket later. Events go to `events`, bounded: when it is full they are lost, and only snapshots tell.
///
/// # Errors
/// When the thread or its descriptors cannot be made.
pub fn start(
    node: Node,
    taps: Vec<Option<Tap>>,
    events: mpsc::Sender<NodeEvent>,
) -> std::io::Result<(Handle, JoinHandle<anyhow::Result<()>>)> {
    let (requests, inbox) = sync_channel(MAX_REQUESTS);
    let waker = Waker::new()?;
    let handle = Handle {
        requests,
        waker: waker.clone(),
    };
    let mut secret = [0; 8];
    getrandom::fill(&mut secret).map_err(std::io::Error::other)?;
    let secret = u64::from_ne_bytes(secret);
    let thread = std::thread::Builder::new()
        .name("data".into())
        .spawn(move || run::Loop::new(node, taps, inbox, waker, events, secret)?.run())?;
    Ok((handle, thread))
}
