//! What is tried outside again and again until it is taken: a mail, a webhook.
//!
//! | of what waits | it is then |
//! |---|---|
//! | it is due, and somebody takes it | that one's for a while; not due until that is over |
//! | the attempt is accepted | done |
//! | the attempt fails | due again after a pause, each twice as long; given up when that is beyond its time |
//! | the attempt is refused for good | given up |
//!
//! What became of an attempt counts as long as nobody has begun another.

use super::time::{EventTime, Millis};

/// The pauses between attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retries {
    pub first: Millis,
    pub longest: Millis,
}

/// Of one attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Accepted,
    Failed,
    Refused,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Done,
    /// Not before.
    Again(EventTime),
    GivenUp,
}

impl Retries {
    /// After so many attempts, with this outcome of the last.
    pub fn judge(self, outcome: Outcome, attempts: u32, give_up_at: EventTime, now: EventTime) -> Verdict {
        match outcome {
            Outcome::Accepted => Verdict::Done,
            Outcome::Refused => Verdict::GivenUp,
            Outcome::Failed => {
                let next = now + self.pause(attempts);
                if next > give_up_at { Verdict::GivenUp } else { Verdict::Again(next) }
            }
        }
    }

    fn pause(self, attempts: u32) -> Millis {
        self.first.doubled(attempts.saturating_sub(1), self.longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RETRIES: Retries = Retries { first: Millis::seconds(30), longest: Millis::minutes(15) };

    #[test]
    fn each_pause_is_twice_as_long_up_to_the_longest() {
        let pauses = [1, 2, 3, 5, 6, 7, 1_000].map(|attempts| RETRIES.pause(attempts).0 / 1_000);
        assert_eq!(pauses, [30, 60, 120, 480, 900, 900, 900]);
    }

    #[test]
    fn what_fails_is_tried_again_as_long_as_its_time_lasts() {
        let (now, pause) = (EventTime(1_000_000), Millis::seconds(60));
        let judge = |outcome, give_up_at| RETRIES.judge(outcome, 2, give_up_at, now);
        assert_eq!(judge(Outcome::Failed, now + pause), Verdict::Again(now + pause));
        assert_eq!(judge(Outcome::Failed, now + pause - Millis(1)), Verdict::GivenUp);
        assert_eq!(judge(Outcome::Accepted, now), Verdict::Done);
        assert_eq!(judge(Outcome::Refused, now + pause), Verdict::GivenUp);
    }
}
