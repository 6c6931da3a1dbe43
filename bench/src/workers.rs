//! Threads that work until told to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

/// Threads that end, and are waited for, when this is dropped.
#[derive(Debug, Default)]
pub(crate) struct Workers {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Workers {
    /// Starts one. It looks at its argument often, and returns when that is set.
    pub(crate) fn spawn(&mut self, work: impl FnOnce(&AtomicBool) + Send + 'static) {
        let stop = self.stop.clone();
        self.threads.push(thread::spawn(move || work(&stop)));
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // Its panic has been printed; what it counted until then stands.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dropping_ends_and_waits() {
        let ended = Arc::new(AtomicBool::new(false));
        let mut workers = Workers::default();
        let mark = ended.clone();
        workers.spawn(move |stop| {
            while !stop.load(Ordering::Relaxed) {
                thread::yield_now();
            }
            mark.store(true, Ordering::Relaxed);
        });
        assert!(!ended.load(Ordering::Relaxed));
        drop(workers);
        assert!(ended.load(Ordering::Relaxed));
    }
}
