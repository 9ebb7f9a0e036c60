//! Generations of an installation's keys: which one signs, which are believed, and until when.
//!
//! A generation is listed first and signs later, so that every node believes it before anybody uses it. Everything follows
//! from the list and the time. What a generation's keys are is not known here.

use serde::{Deserialize, Serialize};

use super::time::{EventTime, Millis};

/// Numbered upwards; a number is never used for another generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Generation(pub u32);

impl Generation {
    /// Of an installation whose keys were never rotated.
    pub const FIRST: Self = Self(1);
}

impl std::fmt::Display for Generation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// One generation. Fields that a later version adds are let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    pub generation: Generation,
    /// Believed from then on; for people.
    pub made_ms: EventTime,
    /// Signs from then on, until a later one does.
    pub signs_ms: EventTime,
}

/// Every generation there has been, oldest first; never empty, and both numbers and times rise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Listed>", into = "Vec<Listed>")]
pub struct Schedule(Vec<Listed>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Believed, and will sign.
    Waiting,
    Signing,
    /// Signs no more; what it signed may still be good.
    Believed,
    /// Nothing that it signed is good any more, but for ticket codes.
    Retired,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotRotated {
    #[error("generation {0} does not sign yet: one rotation at a time")]
    Waiting(Generation),
    #[error("so many generations are believed at once that another one would do no good")]
    TooManyBelieved,
    #[error("there have been as many generations as one root secret can have")]
    UsedUp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a list of generations, in order")]
pub struct NotASchedule;

impl Schedule {
    /// By which nodes' clocks may differ.
    const SLACK: Millis = Millis::minutes(1);
    /// A token is held against each of them.
    const MOST_BELIEVED: usize = 16;
    /// Ticket codes name their key by a byte.
    const MOST: usize = 200;

    pub fn first() -> Self {
        Self(vec![Listed { generation: Generation::FIRST, made_ms: EventTime(0), signs_ms: EventTime(0) }])
    }

    /// Oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Listed> {
        self.0.iter()
    }

    pub fn newest(&self) -> Listed {
        *self.0.last().expect("never empty")
    }

    pub fn signing(&self, now: EventTime) -> Generation {
        let signs = self.iter().rev().find(|listed| listed.signs_ms <= now);
        signs.or(self.0.first()).expect("never empty").generation
    }

    /// When what it signed is over, if nothing lives longer than `life`; `None` while no later one is listed.
    pub fn believed_until(&self, generation: Generation, life: Millis) -> Option<EventTime> {
        let next = self.iter().find(|listed| listed.generation > generation)?;
        Some(next.signs_ms + life + Self::SLACK)
    }

    pub fn state(&self, generation: Generation, life: Millis, now: EventTime) -> State {
        let signing = self.signing(now);
        if generation > signing {
            return State::Waiting;
        }
        match self.believed_until(generation, life) {
            _ if generation == signing => State::Signing,
            Some(until) if until < now => State::Retired,
            _ => State::Believed,
        }
    }

    /// With one more, which signs when `overlap` has passed. `life` is the longest of all that a generation signs, ticket
    /// codes left out.
    pub fn rotated(
        &self,
        generation: Generation,
        now: EventTime,
        overlap: Millis,
        life: Millis,
    ) -> Result<Self, NotRotated> {
        let newest = self.newest();
        if newest.signs_ms > now {
            return Err(NotRotated::Waiting(newest.generation));
        }
        if self.0.len() >= Self::MOST || generation <= newest.generation {
            return Err(NotRotated::UsedUp);
        }
        let believed = self.iter().filter(|listed| self.state(listed.generation, life, now) != State::Retired).count();
        if believed >= Self::MOST_BELIEVED {
            return Err(NotRotated::TooManyBelieved);
        }
        let signs_ms = EventTime((now + overlap).0.max(newest.signs_ms.0 + 1));
        let mut all = self.0.clone();
        all.push(Listed { generation, made_ms: now, signs_ms });
        Ok(Self(all))
    }
}

impl TryFrom<Vec<Listed>> for Schedule {
    type Error = NotASchedule;

    fn try_from(all: Vec<Listed>) -> Result<Self, NotASchedule> {
        let rises = all.is_sorted_by(|a, b| a.generation < b.generation && a.signs_ms < b.signs_ms);
        if all.is_empty() || !rises { Err(NotASchedule) } else { Ok(Self(all)) }
    }
}

impl From<Schedule> for Vec<Listed> {
    fn from(schedule: Schedule) -> Self {
        schedule.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OVERLAP: Millis = Millis::seconds(30);
    const LIFE: Millis = Millis::minutes(15);
    const NOW: EventTime = EventTime(1_000_000_000);

    fn rotated(schedule: &Schedule, now: EventTime) -> Result<Schedule, NotRotated> {
        schedule.rotated(Generation(schedule.newest().generation.0 + 1), now, OVERLAP, LIFE)
    }

    #[test]
    fn a_new_generation_waits_then_signs_and_the_old_one_is_believed_while_it_may_matter() {
        let (old, new) = (Generation::FIRST, Generation(2));
        let first = Schedule::first();
        assert_eq!((first.signing(NOW), first.believed_until(old, LIFE)), (old, None));
        let schedule = rotated(&first, NOW).expect("rotated");
        let signs = NOW + OVERLAP;
        let over = signs + LIFE + Schedule::SLACK;
        for (at, of_old, of_new) in [
            (NOW, State::Signing, State::Waiting),
            (signs - Millis(1), State::Signing, State::Waiting),
            (signs, State::Believed, State::Signing),
            (over, State::Believed, State::Signing),
            (over + Millis(1), State::Retired, State::Signing),
        ] {
            assert_eq!((schedule.state(old, LIFE, at), schedule.state(new, LIFE, at)), (of_old, of_new), "{at}");
            assert_eq!(schedule.signing(at), if at < signs { old } else { new }, "{at}");
        }
        assert_eq!(schedule.believed_until(old, LIFE), Some(over));
        assert_eq!(schedule.believed_until(new, LIFE), None);
    }

    #[test]
    fn one_rotation_at_a_time_and_not_without_end() {
        let schedule = rotated(&Schedule::first(), NOW).expect("rotated");
        let again = rotated(&schedule, NOW + OVERLAP - Millis(1));
        assert_eq!(again, Err(NotRotated::Waiting(Generation(2))));
        let (mut schedule, mut now) = (Schedule::first(), NOW);
        for _ in 1..Schedule::MOST_BELIEVED {
            schedule = rotated(&schedule, now).expect("rotated");
            now = now + OVERLAP;
        }
        assert_eq!(rotated(&schedule, now), Err(NotRotated::TooManyBelieved));
        while schedule.0.len() < Schedule::MOST {
            now = now + Millis::minutes(60);
            schedule = rotated(&schedule, now).expect("rotated");
        }
        assert_eq!(rotated(&schedule, now + Millis::minutes(60)), Err(NotRotated::UsedUp));
        let backwards = Schedule::first().rotated(Generation::FIRST, NOW, OVERLAP, LIFE);
        assert_eq!(backwards, Err(NotRotated::UsedUp));
    }

    #[test]
    fn a_list_reads_back_one_of_a_later_version_too_and_nothing_else_does() {
        let schedule = rotated(&Schedule::first(), NOW).expect("rotated");
        let text = serde_json::to_string(&schedule).expect("plain");
        let expected = r#"[{"generation":1,"made_ms":0,"signs_ms":0},{"generation":2,"made_ms":1000000000,"signs_ms":1000030000}]"#;
        assert_eq!(text, expected);
        let read = |text: &str| serde_json::from_str::<Schedule>(text).ok();
        assert_eq!(read(&text.replacen('{', r#"{"why":"x","#, 1)), Some(schedule));
        let twice = text.replace(r#""generation":2"#, r#""generation":1"#);
        let early = text.replace(r#""signs_ms":1000030000"#, r#""signs_ms":0"#);
        for wrong in ["[]", "null", "{}", &twice, &early] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
