//! What the tests of this crate share: a fresh network namespace, or a loud skip.

use std::io::Write;

use crate::{Netlink, Netns, privilege};

/// Runs `test` on a thread in a network namespace of its own; without the privilege, says so.
pub(crate) fn in_netns(test: impl FnOnce() + Send) {
    if !can_make_namespaces() {
        return;
    }
    Netns::create().unwrap().enter(test).unwrap();
}

/// Whether namespaces can be made; when not, the test says that it is skipped.
pub(crate) fn can_make_namespaces() -> bool {
    if privilege::has_cap_sys_admin() && privilege::has_cap_net_admin() {
        return true;
    }
    let name = std::thread::current().name().unwrap_or("?").to_owned();
    // Not `eprintln!`: the test harness would swallow it.
    let message = "it makes network namespaces, which takes CAP_SYS_ADMIN";
    let _ = writeln!(std::io::stderr(), "SKIPPED: {name}: {message}");
    false
}

/// Runs `test` in a Tokio runtime of its own with a netlink connection.
pub(crate) fn block_on(test: impl AsyncFnOnce(Netlink)) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async { test(Netlink::open().unwrap()).await });
}
