//! What a metered uplink may carry in an hour, a day or a month, and what is done when it has.

use std::time::{Duration, Instant};

use tunnel::{Peer, UplinkId};

use crate::config::{BudgetPeriod, NodeBudget};

/// Bytes are counted this often: so far a budget may be exceeded.
const COUNT_EVERY: Duration = Duration::from_secs(1);
const SECOND_NS: u64 = 1_000_000_000;
const HOUR: u64 = 3_600;
const DAY: u64 = 86_400;

/// One uplink's budget.
#[derive(Clone, Debug)]
struct Account {
    uplink: UplinkId,
    budget: NodeBudget,
    /// Which hour, day or month is counted; `None`: not begun.
    period: Option<u64>,
    used: u64,
    /// What the peers' counters said last.
    seen: u64,
    spent: bool,
}

/// The budgets of all uplinks that have one. They begin again with every start of the program.
#[derive(Debug, Default)]
pub(crate) struct Budgets {
    accounts: Vec<Account>,
    counted: Option<Instant>,
}

impl Budgets {
    pub(crate) fn new(budgets: impl Iterator<Item = (UplinkId, NodeBudget)>) -> Self {
        let account = |(uplink, budget)| Account {
            uplink,
            budget,
            period: None,
            used: 0,
            seen: 0,
            spent: false,
        };
        Self {
            accounts: budgets.map(account).collect(),
            counted: None,
        }
    }

    /// Counts what the paths of `peers` carried, with all headers; hands each uplink whose budget is spent now, or begins anew
    /// (false), to `change`. `wall_ns`: the wall clock, ns since 1970.
    pub(crate) fn count<'a>(
        &mut self,
        peers: impl Iterator<Item = &'a Peer> + Clone,
        now: Instant,
        wall_ns: u64,
        mut change: impl FnMut(UplinkId, bool),
    ) {
        let waits = |at| now.saturating_duration_since(at) < COUNT_EVERY;
        if self.accounts.is_empty() || self.counted.is_some_and(waits) {
            return;
        }
        self.counted = Some(now);
        for account in &mut self.accounts {
            let carried = |peer: &'a Peer| peer.carried(account.uplink);
            let total = peers.clone().map(carried).sum();
            if let Some(spent) = account.count(total, wall_ns / SECOND_NS) {
                change(account.uplink, spent);
            }
        }
    }
}

impl Account {
    /// `total`: what the counters say. Whether the budget is spent, if that changed.
    fn count(&mut self, total: u64, wall_s: u64) -> Option<bool> {
        let period = match self.budget.period {
            BudgetPeriod::Hour => wall_s / HOUR,
            BudgetPeriod::Day => wall_s / DAY,
            BudgetPeriod::Month => month(wall_s / DAY),
        };
        // Counters begin again with a new session.
        let more = total.checked_sub(self.seen).unwrap_or(total);
        self.seen = total;
        if self.period.replace(period) == Some(period) {
            self.used += more;
        } else {
            self.used = 0;
        }
        let spent = self.used >= self.budget.bytes;
        (std::mem::replace(&mut self.spent, spent) != spent).then_some(spent)
    }
}

/// Months since March of the year 0, by the number of days since 1970 (Gregorian calendar).
fn month(days: u64) -> u64 {
    // Years that begin in March have their leap day at the end, and months of a pattern that repeats every five.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    (era * 400 + year) * 12 + (5 * day + 2) / 153
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(period: BudgetPeriod) -> Account {
        Account {
            uplink: UplinkId(0),
            budget: NodeBudget { bytes: 100, period },
            period: None,
            used: 0,
            seen: 0,
            spent: false,
        }
    }

    #[test]
    fn what_was_carried_is_spent_until_the_next_period() {
        let mut account = account(BudgetPeriod::Hour);
        assert_eq!(account.count(5_000, 0), None, "from before the start");
        assert_eq!(account.count(5_099, 10), None);
        assert_eq!(account.count(5_100, 20), Some(true));
        assert_eq!(account.count(5_200, 30), None);
        assert_eq!(account.count(5_300, HOUR), Some(false));
        assert_eq!(
            account.count(50, HOUR + 1),
            None,
            "a new session counts from nothing"
        );
        assert_eq!(account.count(100, HOUR + 2), Some(true));
    }

    #[test]
    fn months_are_those_of_the_calendar() {
        let first_days = [0, 31, 59, 90, 11_016, 11_017, 20_454, 20_758];
        for day in first_days {
            // 1970: January to April; 29 February and 1 March 2000; 1 January and 1 November 2026.
            let begins = day != 11_016;
            assert_eq!(
                month(day) != month(day - u64::from(day > 0)),
                begins && day > 0,
                "{day}"
            );
        }
        assert_eq!(month(20_758) - month(20_454), 10);
    }
}
