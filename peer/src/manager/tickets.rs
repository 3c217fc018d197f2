//! Answers to requests for several torrents, given when the last of them is done.

use std::collections::HashMap;

use potluck_common::{
    Printable,
    control::{CommandError, CommandErrorKind},
};

use super::clients::ClientId;

/// A request that is under way.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct TicketId(u64);

/// Who asked for what.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asker {
    pub(super) client: ClientId,
    pub(super) number: u64,
}

/// An answer.
pub(super) type Answer = Result<Printable, CommandError>;

/// The requests that are under way.
#[derive(Default, Debug)]
pub(super) struct Tickets {
    open: HashMap<TicketId, Ticket>,
    next: u64,
}

#[derive(Debug)]
struct Ticket {
    asker: Asker,
    /// What is done, in the past tense.
    verb: &'static str,
    left: usize,
    done: usize,
    /// What was done to the first of them, in words.
    first: Option<String>,
    failed: Option<CommandError>,
    failures: usize,
}

impl Tickets {
    /// A request for `left` torrents, which will have been `verb`.
    pub(super) fn open(&mut self, asker: Asker, verb: &'static str, left: usize) -> TicketId {
        let id = TicketId(self.next);
        self.next += 1;
        let ticket = Ticket { asker, verb, left, done: 0, first: None, failed: None, failures: 0 };
        self.open.insert(id, ticket);
        id
    }

    /// One of the torrents of a request is done: the words name it and what else there is to say. Gives the answer after
    /// the last.
    pub(super) fn settle(
        &mut self,
        id: TicketId,
        outcome: Result<String, CommandError>,
    ) -> Option<(Asker, Answer)> {
        let ticket = self.open.get_mut(&id)?;
        match outcome {
            Ok(words) => {
                ticket.done += 1;
                ticket.first.get_or_insert(words);
            }
            Err(error) => {
                ticket.failures += 1;
                ticket.failed.get_or_insert(error);
            }
        }
        ticket.left = ticket.left.saturating_sub(1);
        if ticket.left > 0 {
            return None;
        }
        let ticket = self.open.remove(&id)?;
        Some((ticket.asker, ticket.answer()))
    }
}

impl Ticket {
    fn answer(self) -> Answer {
        let Some(error) = self.failed else {
            return Ok(Printable::new(&match (self.done, self.first) {
                (1, Some(first)) => format!("{} {first}", self.verb),
                (count, _) => format!("{} {count} torrents", self.verb),
            }));
        };
        let more = match (self.done, self.failures) {
            (0, 1) => String::new(),
            (0, failures) => format!(" (and so on: none of {failures} was {})", self.verb),
            (done, failures) => format!(" ({} of {} were {})", done, done + failures, self.verb),
        };
        Err(CommandError { message: Printable::new(&format!("{}{more}", error.message)), ..error })
    }
}

/// A [`CommandError`].
pub(super) fn refusal(kind: CommandErrorKind, message: &str) -> CommandError {
    CommandError { kind, message: Printable::new(message) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_comes_with_the_last_and_counts() {
        let bad = || refusal(CommandErrorKind::NotFound, "there is no torrent x");
        let good = |name: &str| Ok(name.to_owned());
        for (outcomes, expected) in [
            (vec![good("a")], Ok("paused a")),
            (vec![good("a"), good("b")], Ok("paused 2 torrents")),
            (vec![Err(bad())], Err("there is no torrent x")),
            (vec![Err(bad()), Err(bad())], Err("there is no torrent x (and so on: none of 2 was paused)")),
            (vec![good("a"), Err(bad()), good("c")], Err("there is no torrent x (2 of 3 were paused)")),
        ] {
            let mut tickets = Tickets::default();
            let asker = Asker { client: ClientId(1), number: 9 };
            let id = tickets.open(asker, "paused", outcomes.len());
            let mut answers: Vec<_> =
                outcomes.into_iter().map(|outcome| tickets.settle(id, outcome)).collect();
            let (asker, answer) = answers.pop().flatten().expect("the last answers");
            assert!(answers.iter().all(Option::is_none));
            assert_eq!(asker.number, 9);
            let answer = answer.map_err(|error| error.message);
            assert_eq!(answer, expected.map(Printable::from).map_err(Printable::from));
            assert!(tickets.settle(id, good("late")).is_none());
        }
    }
}
