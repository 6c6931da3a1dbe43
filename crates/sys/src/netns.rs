//! Network namespaces: made without mounting anything, entered by threads and children.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::thread;

use rustix::mount::{UnmountFlags, mount_bind, unmount};

use crate::raw;

/// Where `ip netns` keeps its names.
const NAMES: &str = "/run/netns";

/// A network namespace, kept by an open descriptor: it goes when this value, all sockets and all
/// processes in it are gone.
#[derive(Debug)]
pub struct Netns {
    fd: OwnedFd,
    name: Option<PathBuf>,
}

impl Netns {
    /// A new, empty namespace (its loopback is down). Needs CAP_SYS_ADMIN.
    pub fn create() -> io::Result<Self> {
        let made = thread::Builder::new().name("netns".into()).spawn(|| {
            raw::unshare(libc::CLONE_NEWNET)?;
            current_fd()
        })?;
        Ok(Self {
            fd: join(made)??,
            name: None,
        })
    }

    /// A new namespace that `ip netns exec NAME` finds too; the name goes when it is dropped.
    ///
    /// A name that is left over from a process that was killed is replaced; one that still has
    /// processes keeps running without it.
    pub fn create_named(name: &str) -> io::Result<Self> {
        if name.is_empty() || name.starts_with('.') || name.contains(['/', '\0']) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let mut netns = Self::create()?;
        let path = Path::new(NAMES).join(name);
        fs::create_dir_all(NAMES)?;
        remove_name(&path);
        File::create(&path)?;
        let source = format!("/proc/self/fd/{}", netns.fd.as_raw_fd());
        if let Err(error) = mount_bind(source, &path) {
            let _ = fs::remove_file(&path);
            return Err(error.into());
        }
        netns.name = Some(path);
        Ok(netns)
    }

    /// The namespace of the calling thread.
    pub fn current() -> io::Result<Self> {
        Ok(Self {
            fd: current_fd()?,
            name: None,
        })
    }

    /// Runs `work` on a new thread inside the namespace and waits for it.
    ///
    /// What is opened there (sockets, TAP devices) stays in the namespace and may be carried out.
    /// A panic of `work` goes on in the caller.
    pub fn enter<R: Send>(&self, work: impl FnOnce() -> R + Send) -> io::Result<R> {
        thread::scope(|scope| {
            let entered =
                thread::Builder::new()
                    .name("netns".into())
                    .spawn_scoped(scope, || {
                        raw::set_netns(self.fd.as_fd())?;
                        Ok(work())
                    })?;
            entered
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Moves the calling thread into the namespace for good: for a thread that lives there.
    pub fn enter_thread(&self) -> io::Result<()> {
        raw::set_netns(self.fd.as_fd())
    }

    /// Spawns `command` inside the namespace. Its mounts stay ours: `/sys` shows our interfaces,
    /// `/proc/sys/net` those of the namespace.
    pub fn spawn(&self, mut command: Command) -> io::Result<Child> {
        raw::spawn_in_netns(&mut command, self.fd.as_raw_fd());
        command.spawn()
    }

    /// As [`Netns::spawn`], and the child is killed when the calling thread ends.
    pub fn spawn_bound(&self, mut command: Command) -> io::Result<Child> {
        raw::die_with_parent(&mut command);
        self.spawn(command)
    }
}

impl AsFd for Netns {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Drop for Netns {
    fn drop(&mut self) {
        if let Some(path) = &self.name {
            remove_name(path);
        }
    }
}

fn current_fd() -> io::Result<OwnedFd> {
    Ok(File::open("/proc/thread-self/ns/net")?.into())
}

fn join<R>(thread: thread::JoinHandle<R>) -> io::Result<R> {
    thread
        .join()
        .map_err(|_| io::Error::other("a namespace thread panicked"))
}

fn remove_name(path: &Path) {
    // Neither need exist: a name is there to be found by people, nothing depends on it.
    let _ = unmount(path, UnmountFlags::DETACH);
    let _ = fs::remove_file(path);
}

/// Why this process could not become root of a user namespace of its own.
#[derive(Debug, thiserror::Error)]
pub enum UsernsError {
    /// Threads share credentials: the kernel refuses a process that has several.
    #[error("a process with {0} threads cannot change its user namespace; do it first")]
    Threads(usize),
    /// The kernel or a policy refuses user namespaces to ordinary users.
    #[error("this machine gives ordinary users no user namespaces ({reason}): run as root")]
    Refused {
        /// Which setting it is, when that can be seen, with the command that changes it.
        reason: String,
    },
    /// A step after that failed.
    #[error("{step}: {source}")]
    Io {
        /// What was being done.
        step: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
}

/// Makes an ordinary user root of a new user, network and mount namespace, for the whole process.
///
/// Afterwards [`Netns::create`] works. Nothing outside changes. Does nothing when the process may
/// make namespaces already. To be called before any thread is started.
pub fn userns_root() -> Result<(), UsernsError> {
    if crate::privilege::has_cap_sys_admin() {
        return Ok(());
    }
    let threads = fs::read_dir("/proc/self/task").map_or(1, Iterator::count);
    if threads > 1 {
        return Err(UsernsError::Threads(threads));
    }
    let (uid, gid) = (
        rustix::process::geteuid().as_raw(),
        rustix::process::getegid().as_raw(),
    );
    let flags = libc::CLONE_NEWUSER | libc::CLONE_NEWNET | libc::CLONE_NEWNS;
    raw::unshare(flags).map_err(|error| UsernsError::Refused {
        reason: refusal(&error),
    })?;
    let write = |step: &'static str, path: &str, text: String| {
        fs::write(path, text).map_err(|source| match source.kind() {
            // AppArmor lets the namespace be made and takes its capabilities away.
            io::ErrorKind::PermissionDenied => UsernsError::Refused {
                reason: refusal(&source),
            },
            _ => UsernsError::Io { step, source },
        })
    };
    write("refusing setgroups", "/proc/self/setgroups", "deny".into())?;
    write(
        "mapping the user",
        "/proc/self/uid_map",
        format!("0 {uid} 1"),
    )?;
    write(
        "mapping the group",
        "/proc/self/gid_map",
        format!("0 {gid} 1"),
    )?;
    // What is mounted from here on must not appear outside.
    let flags =
        rustix::mount::MountPropagationFlags::REC | rustix::mount::MountPropagationFlags::PRIVATE;
    rustix::mount::mount_change("/", flags).map_err(|error| UsernsError::Io {
        step: "making mounts private",
        source: error.into(),
    })
}

/// The setting that forbids user namespaces, as far as it can be seen.
fn refusal(error: &io::Error) -> String {
    let setting = |path: &str| {
        fs::read_to_string(path)
            .ok()
            .map(|text| text.trim().to_owned())
    };
    let is = |path: &str, value: &str| setting(path).as_deref() == Some(value);
    if is(
        "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
        "1",
    ) {
        return "AppArmor: sysctl kernel.apparmor_restrict_unprivileged_userns=0 allows them"
            .into();
    }
    if is("/proc/sys/kernel/unprivileged_userns_clone", "0") {
        return "sysctl kernel.unprivileged_userns_clone=1 allows them".into();
    }
    if is("/proc/sys/user/max_user_namespaces", "0") {
        return "sysctl user.max_user_namespaces is 0".into();
    }
    if is("/proc/sys/user/max_net_namespaces", "0") {
        return "sysctl user.max_net_namespaces is 0".into();
    }
    if setting("/proc/self/ns/user").is_none() && !Path::new("/proc/self/ns/user").exists() {
        return "the kernel has none: CONFIG_USER_NS".into();
    }
    format!("the kernel said: {error}; a container or seccomp policy forbids it")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::can_make_namespaces;
    use std::process::Stdio;

    #[test]
    fn a_namespace_has_only_its_own_interfaces() {
        if !can_make_namespaces() {
            return;
        }
        let netns = Netns::create().unwrap();
        let other = Netns::create().unwrap();
        let options = crate::tap::TapOptions::default();
        let tap = netns
            .enter(|| crate::Tap::open("inside", options).unwrap())
            .unwrap();
        assert!(netns.enter(|| raw::if_index("inside")).unwrap().is_some());
        assert_eq!(other.enter(|| raw::if_index("inside")).unwrap(), None);
        assert_eq!(raw::if_index("inside"), None, "this thread has not moved");
        drop(tap);
    }

    #[test]
    fn children_run_inside() {
        if !can_make_namespaces() {
            return;
        }
        let netns = Netns::create().unwrap();
        let mut command = Command::new("cat");
        command.arg("/proc/self/net/dev").stdout(Stdio::piped());
        let output = netns.spawn(command).unwrap().wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        let interfaces: Vec<_> = text.lines().filter(|line| line.contains(':')).collect();
        assert_eq!(interfaces.len(), 1, "loopback only: {text}");
    }

    #[test]
    fn a_name_appears_and_goes() {
        if !can_make_namespaces() {
            return;
        }
        let name = format!("ropewalk-test-{}", std::process::id());
        let path = Path::new(NAMES).join(&name);
        let netns = Netns::create_named(&name).unwrap();
        let by_name = File::open(&path).unwrap();
        let inode = |fd: BorrowedFd<'_>| rustix::fs::fstat(fd).unwrap().st_ino;
        assert_eq!(inode(by_name.as_fd()), inode(netns.as_fd()));
        let again = Netns::create_named(&name).unwrap();
        assert_ne!(inode(again.as_fd()), inode(netns.as_fd()));
        drop((netns, again));
        assert!(!path.exists());
        assert!(Netns::create_named("../x").is_err());
    }

    #[test]
    fn a_threaded_process_is_told_so() {
        if crate::privilege::has_cap_sys_admin() {
            assert!(userns_root().is_ok(), "root needs nothing");
            return;
        }
        assert!(matches!(userns_root(), Err(UsernsError::Threads(2..))));
    }
}
