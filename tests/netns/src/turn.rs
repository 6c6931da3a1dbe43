//! Tests that measure time take turns, also with those of other test programs.

use std::fs::File;
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};

/// Somebody's turn; it ends when this is dropped.
#[derive(Debug)]
pub struct Turn {
    _file: File,
    _guard: MutexGuard<'static, ()>,
}

/// Waits for a turn.
pub fn take() -> Result<Turn> {
    static MINE: Mutex<()> = Mutex::new(());
    // A test that failed in its turn leaves nothing behind that could disturb the next one.
    let guard = MINE.lock().unwrap_or_else(PoisonError::into_inner);
    // The daemons inherit it: a compiler at work beside must not count as an outage.
    let _ = rustix::process::setpriority_process(None, -15);
    let path = std::env::temp_dir().join("ropewalk-netns.lock");
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .with_context(|| format!("open {}", path.display()))?;
    file.lock()
        .with_context(|| format!("lock {}", path.display()))?;
    Ok(Turn {
        _file: file,
        _guard: guard,
    })
}
