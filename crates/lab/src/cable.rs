//! An emulated cable: two TAP devices, one in each of two hosts, and a thread between them that
//! delays, limits, loses and cuts, by live control.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use anyhow::{Context, Result};
use sys::poll::Waker;
use sys::tap::{Tap, TapOptions};

use crate::namespace::next_ifindex;
use crate::topology::Plug;
use crate::{Direction, End, Way};

mod engine;
mod line;
mod profile;

pub use profile::{Jitter, Loss, Profile, QueueLimit};

/// How to make a cable.
#[derive(Debug, Clone)]
pub struct CableOptions {
    /// The MTU of both interfaces, bytes of IP.
    pub mtu: u32,
    /// Seeds what is random: the same seed and traffic lose the same packets.
    pub seed: u64,
    /// What the cable is like at first, both ways.
    pub profile: Profile,
}

impl Default for CableOptions {
    fn default() -> Self {
        Self {
            mtu: 1500,
            seed: 1,
            profile: Profile::default(),
        }
    }
}

/// What one direction of a cable has done, in frames.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LineStats {
    /// Frames put in.
    pub offered: u64,
    /// Frames taken out, copies included.
    pub delivered: u64,
    /// Bytes of IP taken out.
    pub delivered_bytes: u64,
    /// Lost by chance.
    pub lost: u64,
    /// Lost because the queue was full.
    pub queue_full: u64,
    /// Lost because the cable was cut.
    pub cut: u64,
    /// Larger than the black-hole MTU.
    pub too_big: u64,
    /// The far interface was down, or a plug was out.
    pub far_end_down: u64,
    /// Copies made.
    pub duplicated: u64,
    /// Frames that overtook others.
    pub reordered: u64,
}

/// What the thread and the handle share.
#[derive(Debug)]
pub(crate) struct Shared {
    state: Mutex<State>,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) profiles: [Profile; 2],
    pub(crate) stats: [LineStats; 2],
    /// The plugs that are in.
    pub(crate) carrier: [bool; 2],
    pub(crate) stop: bool,
}

impl Shared {
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        // A panicked holder leaves numbers that are still good.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A cable between two hosts. Dropping it removes both interfaces.
#[derive(Debug)]
pub struct Cable {
    a: Plug,
    b: Plug,
    taps: Arc<[Tap; 2]>,
    shared: Arc<Shared>,
    waker: Waker,
    thread: Option<JoinHandle<()>>,
}

impl Cable {
    /// Makes the interfaces (up, without addresses) and starts the thread.
    pub fn join(a: Plug, b: Plug, options: CableOptions) -> Result<Self> {
        let taps = Arc::new([open_tap(&a, options.mtu)?, open_tap(&b, options.mtu)?]);
        let state = State {
            profiles: [options.profile.clone(), options.profile],
            stats: Default::default(),
            carrier: [true; 2],
            stop: false,
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
        });
        let waker = Waker::new()?;
        let engine =
            engine::Engine::new(taps.clone(), shared.clone(), waker.clone(), options.seed)?;
        let name = format!("cable-{}", a.device);
        let thread = std::thread::Builder::new()
            .name(name)
            .spawn(move || engine.run())?;
        Ok(Self {
            a,
            b,
            taps,
            shared,
            waker,
            thread: Some(thread),
        })
    }

    /// The host and interface at one end.
    pub fn end(&self, end: End) -> &Plug {
        match end {
            End::A => &self.a,
            End::B => &self.b,
        }
    }

    /// Gives the interface of one end an address, "10.0.0.1/24".
    pub fn address(&self, end: End, cidr: &str) -> Result<()> {
        let plug = self.end(end);
        plug.host.add_address(&plug.device, cidr)
    }

    /// Changes what the cable is like, from now on.
    pub fn update(&self, way: Way, change: impl Fn(&mut Profile)) {
        let mut state = self.shared.lock();
        for direction in Direction::BOTH {
            if way.includes(direction) {
                change(&mut state.profiles[direction as usize]);
            }
        }
        drop(state);
        self.waker.wake();
    }

    /// Replaces what the cable is like.
    pub fn set(&self, way: Way, profile: &Profile) {
        self.update(way, |now| now.clone_from(profile));
    }

    /// Loses everything from now on, also what is on its way, without a word: the interfaces stay
    /// up and have their carrier.
    pub fn cut(&self, way: Way) {
        self.update(way, |profile| profile.cut = true);
    }

    /// Ends [`Cable::cut`], both ways.
    pub fn heal(&self) {
        self.update(Way::Both, |profile| profile.cut = false);
    }

    /// Pulls the plug out at one end, or puts it back: that interface loses its carrier, and
    /// nothing passes.
    pub fn set_carrier(&self, end: End, carrier: bool) -> Result<()> {
        // The kernel takes frames from us whatever the carrier, so the engine has to know.
        self.shared.lock().carrier[end as usize] = carrier;
        let tap = &self.taps[end as usize];
        tap.set_carrier(carrier)
            .with_context(|| format!("carrier of {}", tap.name()))
    }

    /// What the profile of one direction is now.
    pub fn profile(&self, direction: Direction) -> Profile {
        self.shared.lock().profiles[direction as usize].clone()
    }

    /// What one direction has done so far.
    pub fn stats(&self, direction: Direction) -> LineStats {
        self.shared.lock().stats[direction as usize]
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        self.shared.lock().stop = true;
        self.waker.wake();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn open_tap(plug: &Plug, mtu: u32) -> Result<Tap> {
    let options = TapOptions {
        ifindex: Some(next_ifindex()),
        ..TapOptions::default()
    };
    let tap = plug.host.enter(|| Tap::open(&plug.device, options))??;
    plug.host.set_mtu(&plug.device, mtu)?;
    plug.host.set_up(&plug.device, true)?;
    Ok(tap)
}

#[cfg(test)]
mod tests;
