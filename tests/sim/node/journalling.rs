//! Segments on their way to the journal and back.

use std::rc::Rc;

use onsale::domain::inventory::entry::{Entry, Segment};

use crate::{
    bug::Bug,
    node::{Input, Node, RESEND_MS, ToNode, ToRoom},
    saga::Step,
    stores::journal::Landed,
    swarm::Fault,
    world::{Event, World},
};

impl World {
    /// A segment that moves an order goes as the script has it; its repeats go as all do.
    pub fn send_first(&mut self, id: u32, node: &Node, seq: u64) {
        let Some(bytes) = node.sending.get(&seq).cloned() else { return };
        let Some(step) = self.script.as_ref().and_then(|_| Step::of_segment(&bytes)) else {
            return self.send(id, node, seq);
        };
        let carried = self.carry(step);
        self.later(RESEND_MS, Event::ToNode(id, ToNode::Resend { seq }));
        for late in carried.arrivals {
            let (delay, bytes) = (late + self.short_delay(), Rc::clone(&bytes));
            self.later(delay, Event::Land { node: id, epoch: node.epoch, seq, bytes, reply_lost: !carried.heard });
        }
    }

    /// Once more the same bytes, by the same or another way.
    pub fn send(&mut self, id: u32, node: &Node, seq: u64) {
        let Some(bytes) = node.sending.get(&seq) else { return };
        let bytes = Rc::clone(bytes);
        self.later(RESEND_MS, Event::ToNode(id, ToNode::Resend { seq }));
        if self.strikes(Fault::JournalLosesRequest) {
            return;
        }
        let late = self.strikes(Fault::JournalRequestLate);
        let delay = if late { self.rng.between(RESEND_MS, 9_000) } else { self.short_delay() };
        let reply_lost = self.strikes(Fault::JournalLosesReply);
        self.later(delay, Event::Land { node: id, epoch: node.epoch, seq, bytes, reply_lost });
    }

    pub fn resend(&mut self, id: u32, node: &Node, seq: u64) {
        let Some(bytes) = node.sending.get(&seq) else { return };
        if self.bug == Some(Bug::ResendOtherBytes)
            && let Ok(mut segment) = Segment::from_bytes(bytes)
        {
            segment.entries.retain(|entry| !matches!(entry, Entry::Held { .. } | Entry::Admitted { .. }));
            let (bytes, epoch) = (segment.to_bytes().into(), node.epoch);
            let delay = self.short_delay();
            return self.later(delay, Event::Land { node: id, epoch, seq, bytes, reply_lost: false });
        }
        self.send(id, node, seq);
    }

    pub fn land(&mut self, id: u32, epoch: u64, seq: u64, bytes: &Rc<[u8]>, reply_lost: bool) {
        if self.now < self.journal.down_until {
            return;
        }
        let owner = self.journal.epoch;
        let landed = self.journal.land(epoch, seq, bytes, self.bug);
        self.trace.note(self.now, "land", &[id.into(), epoch, seq, landed as u64, reply_lost.into()]);
        match landed {
            Landed::Committed => {
                let clock = self.nodes.get(&id).map(|node| node.time(self.now));
                let committed = self.model.commit(bytes, owner, clock);
                self.note_for_misreading(bytes);
                self.require(committed.is_ok(), || committed.err().unwrap_or_default());
                if let Ok(segment) = Segment::from_bytes(bytes) {
                    self.check_asked(&segment.entries);
                    self.check_freed(&segment.entries);
                    self.check_cards(&segment.entries);
                }
                self.check_overtaking();
                self.check_entries();
                self.check_channels();
                self.check_named();
                for what in std::mem::take(&mut self.model.met) {
                    self.saw(what);
                }
                if !self.nodes.contains_key(&id) {
                    self.saw("a write lands after its owner's end");
                }
            }
            Landed::Fenced => self.saw("a stale owner's write is refused"),
            Landed::Already => self.saw("a lost reply is resolved: it was committed"),
            Landed::Overwritten | Landed::TooEarly => {}
        }
        if !reply_lost {
            let delay = self.short_delay();
            self.later(delay, Event::ToNode(id, ToNode::Appended { seq, landed }));
        }
    }

    pub fn appended(&mut self, id: u32, node: &mut Node, seq: u64, landed: Landed) {
        if !node.sending.contains_key(&seq) {
            return;
        }
        match landed {
            Landed::Committed | Landed::Already if self.bug == Some(Bug::AnswerBeforeCommit) => {
                node.sending.remove(&seq);
            }
            Landed::Committed | Landed::Already => self.durable(id, node, seq),
            Landed::TooEarly => {}
            Landed::Fenced => {
                self.saw("a fenced write was not committed");
                self.inventory(id, node, Input::Fenced);
            }
            Landed::Overwritten => {
                let bug = self.bug == Some(Bug::ResendOtherBytes);
                self.require(bug, || format!("segment {seq} of one epoch has two contents"));
                self.durable(id, node, seq);
            }
        }
    }

    pub fn journal_holds(&self, seq: u64, bytes: &Rc<[u8]>) -> bool {
        self.journal.recover().segments.iter().any(|(other, there)| *other == seq && there[..] == bytes[..])
    }

    pub fn durable(&mut self, id: u32, node: &mut Node, seq: u64) {
        let keep = self.bug == Some(Bug::AnswerBeforeCommit);
        let bytes = if keep { node.sending.get(&seq).cloned() } else { node.sending.remove(&seq) };
        let segment = bytes.and_then(|bytes| Segment::from_bytes(&bytes).ok());
        for entry in segment.into_iter().flat_map(|segment| segment.entries) {
            match entry {
                Entry::Claimed { place, until } => {
                    self.room_news(id, node, ToRoom::Changed { place, until, extended: false });
                }
                Entry::AdmissionExtended { place, until } => {
                    self.room_news(id, node, ToRoom::Changed { place, until, extended: true });
                }
                Entry::AdmissionEnded { place, .. } => self.room_news(id, node, ToRoom::Ended { place }),
                _ => {}
            }
        }
        node.durable_seq = seq;
        self.inventory(id, node, Input::Committed);
    }

    /// Now and then, between two batches, the state is frozen and written down.
    pub fn snapshot(&mut self, node: &Node) {
        if self.rng.percent(4) {
            let delay = self.short_delay();
            let (epoch, seq) = (node.epoch, node.durable_seq);
            self.later(delay, Event::Snapshot { epoch, seq, bytes: node.batcher.inventory().to_snapshot() });
        }
    }

    pub fn store_snapshot(&mut self, epoch: u64, seq: u64, bytes: Vec<u8>) {
        let stored = self.journal.put_snapshot(epoch, seq, bytes);
        self.trace.note(self.now, "snapshot", &[epoch, seq, stored.into()]);
        self.saw(if stored { "a snapshot is made" } else { "a snapshot comes too late" });
    }
}
