//! Telling systemd how we are; without systemd nothing happens.

use std::time::Duration;

use sd_notify::NotifyState;

/// The line to the service manager that `$NOTIFY_SOCKET` names, if any.
#[derive(Debug, Clone, Copy, Default)]
pub struct Notifier;

impl Notifier {
    /// Everything is set up and frames pass as soon as a peer answers. `status` is shown by
    /// `systemctl status`.
    pub fn ready(self, status: &str) {
        self.tell(&[NotifyState::Ready, NotifyState::Status(status)]);
    }

    /// A new line for `systemctl status`.
    pub fn status(self, status: &str) {
        self.tell(&[NotifyState::Status(status)]);
    }

    /// The end has begun.
    pub fn stopping(self) {
        self.tell(&[NotifyState::Stopping]);
    }

    /// Still alive: to be called by the data thread, so that it is what is watched.
    pub fn watchdog(self) {
        self.tell(&[NotifyState::Watchdog]);
    }

    /// How often [`Self::watchdog`] is due: half of what the unit's `WatchdogSec` allows. `None`
    /// when nobody watches.
    pub fn watchdog_interval(self) -> Option<Duration> {
        sd_notify::watchdog_enabled().map(|limit| limit / 2)
    }

    fn tell(self, state: &[NotifyState<'_>]) {
        if let Err(error) = sd_notify::notify(state) {
            // Not fatal: if it matters, the service manager restarts us.
            tracing::debug!("cannot notify the service manager: {error}");
        }
    }
}
