//! Ctrl-C and its relatives end a demo or a bench in an orderly way.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, bail};
use tokio::signal::unix::{SignalKind, signal};

/// Whether somebody wants the program to end.
///
/// Unwinding from there is what cleans up: daemons, namespaces and files go as their values drop.
#[derive(Debug, Clone)]
pub struct Interrupt {
    asked: Arc<AtomicBool>,
}

impl Interrupt {
    /// From now on SIGINT, SIGTERM and SIGHUP are noted instead of killing us. Starts a thread.
    pub fn watch() -> Result<Self> {
        let interrupt = Self {
            asked: Arc::default(),
        };
        let asked = interrupt.asked.clone();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        // Here and not in the thread: a signal that comes before it runs counts too.
        let signals = {
            let _inside = runtime.enter();
            [
                SignalKind::interrupt(),
                SignalKind::terminate(),
                SignalKind::hangup(),
            ]
            .map(signal)
        };
        let [mut interrupted, mut terminated, mut hung_up] = signals;
        let work = move || {
            runtime.block_on(async {
                let (Ok(a), Ok(b), Ok(c)) = (&mut interrupted, &mut terminated, &mut hung_up)
                else {
                    return;
                };
                tokio::select! {
                    _ = a.recv() => (),
                    _ = b.recv() => (),
                    _ = c.recv() => (),
                }
                asked.store(true, Ordering::Relaxed);
            });
        };
        std::thread::Builder::new()
            .name("signals".into())
            .spawn(work)
            .context("watch for signals")?;
        Ok(interrupt)
    }

    /// Whether it has been asked for.
    pub fn asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }

    /// An error when it has been asked for.
    pub fn check(&self) -> Result<()> {
        if self.asked() {
            bail!("interrupted; everything that was made is gone");
        }
        Ok(())
    }
}
