//! The verdict: takes what was written, what the agents counted and what was received; says what became of the
//! lines.
//!
//! Both ends are the demo's own numbers: each line written must have been read, each line that an agent counts
//! as accepted must have been received as an event. What lies between is the agents' account.

use std::fmt;

use crate::{
    agent::{Account, Accounts},
    feeder::Written,
};

/// What became of everything.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Verdict {
    pub(crate) written: Written,
    pub(crate) accounts: Accounts,
    /// Events.
    pub(crate) received: u64,
}

impl Verdict {
    /// Lines that never arrived and never will: refused, dropped, stuck in the pipe, or accepted by nobody.
    pub(crate) fn lost(&self) -> u64 {
        let Accounts { run, pipe } = self.accounts;
        let dropped = |account: Account| account.refused + account.dropped_at_shutdown;
        let unread = self.written.pipe.saturating_sub(pipe.read);
        let unreceived = (run.accepted + pipe.accepted).saturating_sub(self.received);
        dropped(run) + dropped(pipe) + pipe.open + unread + unreceived
    }

    /// Lines of the files that a next start of the agent would ship.
    fn left(&self) -> u64 {
        self.written.files.saturating_sub(self.accounts.run.read) + self.accounts.run.open
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let joined = self.accounts.run.joined + self.accounts.pipe.joined;
        write!(f, "{} lines written, {} events received ", self.written.all(), self.received)?;
        write!(f, "({joined} lines are part of another's), ")?;
        match self.lost() {
            0 => write!(f, "nothing lost")?,
            lost => write!(f, "{lost} lines lost")?,
        }
        match self.left() {
            0 => Ok(()),
            left => write!(f, ", {left} lines left to the next start"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(run: Account, pipe: Account, received: u64) -> String {
        let written = Written { files: 10, pipe: 5 };
        Verdict { written, accounts: Accounts { run, pipe }, received }.to_string()
    }

    #[test]
    fn each_line_is_accounted_for() {
        let run = Account { read: 10, accepted: 7, joined: 2, ..Account::default() };
        let pipe = Account { read: 5, accepted: 5, ..Account::default() };
        let joined = "(2 lines are part of another's)";
        assert_eq!(
            verdict(run, pipe, 12),
            format!("15 lines written, 12 events received {joined}, nothing lost")
        );
        assert_eq!(
            verdict(run, pipe, 10),
            format!("15 lines written, 10 events received {joined}, 2 lines lost")
        );
        let unread = Account { read: 4, ..pipe };
        assert_eq!(
            verdict(run, unread, 12),
            format!("15 lines written, 12 events received {joined}, 1 lines lost")
        );
        let (run, pipe) = (Account { read: 7, open: 2, ..run }, Account { refused: 1, ..pipe });
        assert_eq!(
            verdict(run, pipe, 12),
            format!(
                "15 lines written, 12 events received {joined}, 1 lines lost, 5 lines left to the next start"
            )
        );
    }
}
