//! An ordinary user becomes root of namespaces of its own. Without the test harness, since that
//! takes a process with one thread.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use sys::netns::{UsernsError, userns_root};
use sys::{Netlink, Netns};

/// The user "nobody".
const ORDINARY: u32 = 65_534;

fn main() -> ExitCode {
    if std::env::args().any(|argument| argument == "--as-ordinary-user") {
        return as_ordinary_user();
    }
    if !sys::privilege::has_cap_sys_admin() {
        return as_ordinary_user();
    }
    // The test's own file may lie where "nobody" cannot read, so it is run through a descriptor.
    let itself = std::fs::File::open("/proc/self/exe").expect("our own program");
    let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&itself));
    rustix::io::fcntl_setfd(&itself, rustix::io::FdFlags::empty()).expect("inherit");
    let mut child = Command::new(path);
    child.arg("--as-ordinary-user").uid(ORDINARY).gid(ORDINARY);
    match child.status().expect("run as an ordinary user").success() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

fn as_ordinary_user() -> ExitCode {
    match userns_root() {
        Ok(()) => {}
        Err(error @ UsernsError::Refused { .. }) => {
            let _ = writeln!(std::io::stderr(), "SKIPPED: userns: {error}");
            return ExitCode::SUCCESS;
        }
        Err(error) => panic!("{error}"),
    }
    assert!(sys::privilege::has_cap_net_admin());
    let netns = Netns::create().expect("a namespace");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(async {
        let netlink = Netlink::open_in(&netns).expect("netlink");
        netlink.set_up("lo", true).await.expect("loopback up");
        assert!(
            netlink
                .link("lo")
                .await
                .expect("loopback")
                .expect("there")
                .up
        );
    });
    let forward = netns.enter(|| std::fs::write("/proc/sys/net/ipv4/ip_forward", "1"));
    forward
        .expect("enter")
        .expect("forwarding can be switched on");
    let _ = writeln!(std::io::stderr(), "userns: an ordinary user made a network");
    ExitCode::SUCCESS
}
