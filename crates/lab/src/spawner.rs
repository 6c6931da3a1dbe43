//! Children that die with this process, also when it is killed.
//!
//! The kernel sends the death signal when the *thread* that spawned a child ends, so all are
//! spawned by one thread that lives as long as the process.

use std::io;
use std::process::{Child, Command};
use std::sync::OnceLock;
use std::sync::mpsc::{self, Sender};

use crate::Namespace;

struct Job {
    host: Namespace,
    command: Command,
    result: Sender<io::Result<Child>>,
}

/// Spawns a command in the namespace of a host.
pub(crate) fn spawn(host: &Namespace, command: Command) -> io::Result<Child> {
    static SPAWNER: OnceLock<Option<Sender<Job>>> = OnceLock::new();
    let gone = || io::Error::other("the spawning thread is gone");
    let spawner = SPAWNER.get_or_init(start).as_ref().ok_or_else(gone)?;
    let (result, answer) = mpsc::channel();
    spawner
        .send(Job {
            host: host.clone(),
            command,
            result,
        })
        .map_err(|_| gone())?;
    answer.recv().map_err(|_| gone())?
}

fn start() -> Option<Sender<Job>> {
    let (sender, jobs) = mpsc::channel::<Job>();
    let work = move || {
        for Job {
            host,
            command,
            result,
        } in jobs
        {
            // Nobody waits any longer: then the child is not wanted either, and its handle goes.
            let _ = result.send(host.netns().spawn_bound(command));
        }
    };
    std::thread::Builder::new()
        .name("spawner".into())
        .spawn(work)
        .ok()?;
    Some(sender)
}
