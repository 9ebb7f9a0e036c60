//! The stock as it is told at one moment: encoded once, shared by all viewers.

use std::{
    collections::VecDeque,
    sync::{Arc, OnceLock},
};

use bytes::Bytes;

use super::words::{self, Told};
use crate::domain::stock::{Delta, Map, Mark, Misfit};

/// Bytes of changes that are kept for those who have not taken them yet, on each way.
const KEPT_BYTES: usize = 512 * 1024;
/// And how many editions they came in.
const KEPT: usize = 512;

#[derive(Debug, Clone, Copy)]
pub enum Way {
    Socket,
    Stream,
}

pub struct Edition {
    mark: Mark,
    map: Map,
    /// The changes that led here, oldest first, without gaps; the last one's number is the mark's.
    parts: VecDeque<Arc<Part>>,
    /// Made when somebody needs it.
    whole: OnceLock<(Bytes, Bytes)>,
}

/// The changes that came at one time.
struct Part {
    /// The number before the first change's.
    after: u64,
    socket: Bytes,
    stream: Bytes,
    /// Where each change ends.
    ends: Vec<(usize, usize)>,
}

impl Edition {
    pub fn new(mark: Mark, map: Map, recent: &[Delta]) -> Self {
        let parts = Part::of(mark.epoch, recent).map(Arc::new).into_iter().collect();
        Self { mark, map, parts, whole: OnceLock::new() }.bounded()
    }

    pub fn mark(&self) -> Mark {
        self.mark
    }

    /// The next one. Fails if these changes do not follow.
    pub fn followed_by(&self, deltas: &[Delta]) -> Result<Self, Misfit> {
        let (mut mark, mut map, mut parts) = (self.mark, self.map.clone(), self.parts.clone());
        for delta in deltas {
            if delta.seq != mark.seq + 1 {
                return Err(Misfit);
            }
            map.apply(&delta.change)?;
            mark.seq = delta.seq;
        }
        parts.extend(Part::of(mark.epoch, deltas).map(Arc::new));
        Ok(Self { mark, map, parts, whole: OnceLock::new() }.bounded())
    }

    fn bounded(mut self) -> Self {
        let mut bytes: usize = self.parts.iter().map(|part| part.stream.len()).sum();
        while bytes > KEPT_BYTES || self.parts.len() > KEPT {
            let Some(oldest) = self.parts.pop_front() else { break };
            bytes -= oldest.stream.len();
        }
        self
    }

    /// What whoever has seen so much is to be sent; all of it where the changes are not kept, or are longer.
    pub fn since(&self, seen: Option<Mark>, way: Way) -> Bytes {
        self.missed(seen, way).unwrap_or_else(|| self.whole(way))
    }

    fn missed(&self, seen: Option<Mark>, way: Way) -> Option<Bytes> {
        let seen = seen.filter(|seen| seen.epoch == self.mark.epoch && seen.seq <= self.mark.seq)?.seq;
        if seen == self.mark.seq {
            return Some(Bytes::new());
        }
        let first = self.parts.iter().rposition(|part| part.after <= seen)?;
        let missed: Vec<Bytes> = self.parts.range(first..).map(|part| part.after(seen, way)).collect();
        if let [one] = &*missed {
            return Some(one.clone());
        }
        let length: usize = missed.iter().map(Bytes::len).sum();
        (length <= self.whole(way).len()).then(|| missed.concat().into())
    }

    fn whole(&self, way: Way) -> Bytes {
        let (socket, stream) = self.whole.get_or_init(|| {
            let Told { socket, stream } = words::snapshot(self.mark, &self.map);
            (socket.into(), stream.into())
        });
        match way {
            Way::Socket => socket.clone(),
            Way::Stream => stream.clone(),
        }
    }
}

impl Part {
    /// `None` of nothing.
    fn of(epoch: u64, deltas: &[Delta]) -> Option<Self> {
        let after = deltas.first()?.seq - 1;
        let (mut socket, mut stream, mut ends) = (Vec::new(), Vec::new(), Vec::new());
        for delta in deltas {
            let told = words::delta(epoch, delta);
            socket.extend(told.socket);
            stream.extend(told.stream);
            ends.push((socket.len(), stream.len()));
        }
        Some(Self { after, socket: socket.into(), stream: stream.into(), ends })
    }

    fn after(&self, seen: u64, way: Way) -> Bytes {
        let known = seen.checked_sub(self.after + 1).and_then(|last| self.ends.get(usize::try_from(last).ok()?));
        let (socket, stream) = known.copied().unwrap_or_default();
        match way {
            Way::Socket => self.socket.slice(socket..),
            Way::Stream => self.stream.slice(stream..),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::stock::Change;

    fn counted(seq: u64) -> Delta {
        Delta { seq, change: Change::Count { ticket_type: "GA".parse().expect("a code"), free: 1_000 - seq as u32 } }
    }

    fn edition() -> Edition {
        // Long, so that changes are shorter.
        let counts = (0..200).map(|n| (format!("T{n}").parse().expect("a code"), 1));
        let counts = counts.chain([("GA".parse().expect("a code"), 1_000)]).collect();
        let map = Map { version: 1, sections: Vec::new(), counts };
        Edition::new(Mark { epoch: 4, seq: 0 }, map, &[])
    }

    fn ids(bytes: &Bytes) -> Vec<String> {
        let text = std::str::from_utf8(bytes).expect("UTF-8");
        text.lines().filter_map(|line| line.strip_prefix("id: ")).map(str::to_owned).collect()
    }

    #[test]
    fn whoever_missed_something_gets_just_that_also_from_the_middle_of_what_came_at_once() {
        let first = edition();
        let second = first.followed_by(&[counted(1), counted(2), counted(3)]).expect("they follow");
        let third = second.followed_by(&[counted(4), counted(5)]).expect("they follow");
        for seen in 0..=5 {
            let missed = third.since(Some(Mark { epoch: 4, seq: seen }), Way::Stream);
            let expected: Vec<String> = (seen + 1..=5).map(|seq| format!("4-{seq}")).collect();
            assert_eq!(ids(&missed), expected, "after {seen}");
        }
        for strange in [None, Some(Mark { epoch: 3, seq: 2 }), Some(Mark { epoch: 4, seq: 6 })] {
            let all = third.since(strange, Way::Stream);
            assert!(all.starts_with(b"event: stock.snapshot\nid: 4-5\n"));
        }
        assert!(third.followed_by(&[counted(7)]).is_err(), "a gap");
    }

    #[test]
    fn what_is_longer_than_the_whole_or_was_not_kept_is_told_as_a_whole() {
        let mut edition = edition();
        for seq in 1..=600 {
            edition = edition.followed_by(&[counted(seq)]).expect("it follows");
        }
        assert_eq!(edition.parts.len(), KEPT);
        assert_eq!(ids(&edition.since(Some(Mark { epoch: 4, seq: 590 }), Way::Stream)).len(), 10);
        for seen in [3, 100] {
            let told = edition.since(Some(Mark { epoch: 4, seq: seen }), Way::Socket);
            assert!(told == edition.whole(Way::Socket), "{seen}");
        }
    }

    #[test]
    fn all_who_keep_up_are_sent_the_same_bytes() {
        let first = edition();
        let second = first.followed_by(&[counted(1), counted(2)]).expect("they follow");
        let sent = || second.since(Some(first.mark()), Way::Socket);
        assert_eq!(sent().as_ptr(), sent().as_ptr());
    }
}
