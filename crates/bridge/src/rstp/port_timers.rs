//! Port Timers state machine (clause 17.22): once a second, every timer that runs.

use super::port::Port;

/// State TICK.
pub(super) fn tick(port: &mut Port) {
    let timers = &mut port.timers;
    for timer in [
        &mut timers.edge_delay_while,
        &mut timers.fd_while,
        &mut timers.hello_when,
        &mut timers.mdelay_while,
        &mut timers.rb_while,
        &mut timers.rcvd_info_while,
        &mut timers.rr_while,
        &mut timers.tc_while,
    ] {
        *timer = timer.saturating_sub(1);
    }
    port.tx_count = port.tx_count.saturating_sub(1);
}
