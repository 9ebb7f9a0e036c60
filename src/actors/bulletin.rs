//! What a mirror is told of its event, cut into pieces that no link minds, and put together again.
//!
//! Owns the form and the order: each piece once, in sequence. Where one is missing, what follows is of no use until
//! everything is told anew.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::courier::{Bulletin, Piece};
use crate::{
    domain::{
        id::FanId,
        inventory::{View, configuration::Configuration},
        queue::{News, QueueChange},
        time::EventTime,
    },
    stores::journal::Epoch,
};

const PIECE_BYTES: usize = 128 * 1024;
/// A seat plan, and a queue of ten million, are some megabytes.
const MOST_BYTES: usize = 64 * 1024 * 1024;

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Content {
    /// By the event's own clock.
    pub at: EventTime,
    /// Number of the last attendance that was heard.
    pub heard: u64,
    /// One was missed, or none has come yet: all of it has to be said.
    pub missed: bool,
    pub view: Option<Arc<View>>,
    pub configuration: Option<Arc<Configuration>>,
    pub queue: Option<QueueChange>,
    pub news: Vec<(FanId, News)>,
    /// The event's actors have ended: nothing follows.
    pub over: bool,
}

impl Content {
    pub fn cut(&self, whole: bool) -> Vec<(Piece, Vec<u8>)> {
        let bytes = postcard::to_allocvec(self).expect("plain values are encoded into memory");
        let count = bytes.len().div_ceil(PIECE_BYTES);
        let pieces = bytes.chunks(PIECE_BYTES).zip(1..);
        pieces.map(|(bytes, n)| (Piece { first: n == 1, more: n < count, whole }, bytes.to_vec())).collect()
    }
}

/// Reads one mirror's bulletins.
#[derive(Debug, Default)]
pub(super) struct Reader {
    /// Later stand-ins count higher; what comes late from an earlier one is not read.
    from: (u64, u64),
    last: u64,
    open: Option<Vec<u8>>,
}

#[derive(Debug, Default)]
pub(super) struct Read {
    /// What was told before has a gap: another stand-in speaks, or something was lost.
    pub broken: bool,
    pub told: Option<Told>,
}

#[derive(Debug)]
pub(super) struct Told {
    pub epoch: Epoch,
    /// Everything, whatever was known.
    pub whole: bool,
    pub content: Content,
}

impl Reader {
    pub fn read(&mut self, bulletin: Bulletin) -> Read {
        let Bulletin { epoch, stand_in, number, piece, bytes, .. } = bulletin;
        let from = (epoch.0, stand_in);
        let mut read = Read::default();
        if from > self.from {
            *self = Self { from, ..Self::default() };
            read.broken = true;
        }
        // Repeated, or late.
        if from < self.from || number <= self.last {
            return read;
        }
        if number > self.last + 1 {
            self.open = None;
            read.broken = true;
        }
        self.last = number;
        if piece.first {
            self.open = Some(Vec::new());
        }
        // Otherwise its beginning was lost.
        let Some(open) = &mut self.open else { return read };
        if open.len() + bytes.len() > MOST_BYTES {
            self.open = None;
            read.broken = true;
            return read;
        }
        open.extend(bytes);
        if piece.more {
            return read;
        }
        match postcard::from_bytes(&self.open.take().unwrap_or_default()) {
            Ok(content) => read.told = Some(Told { epoch, whole: piece.whole, content }),
            Err(error) => {
                tracing::warn!(%error, "a bulletin that cannot be read");
                read.broken = true;
            }
        }
        read
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::EventId;

    fn content(fans: u128) -> Content {
        let news = (0..fans).map(|fan| (FanId::from_u128(fan), News::Removed)).collect();
        Content {
            at: EventTime(7),
            heard: 1,
            missed: false,
            view: None,
            configuration: None,
            queue: None,
            news,
            over: false,
        }
    }

    fn bulletins(stand_in: u64, from: u64, content: &Content, whole: bool) -> Vec<Bulletin> {
        let bulletin = |(number, (piece, bytes))| Bulletin {
            event: EventId::from_u128(1),
            mirror: 1,
            epoch: Epoch(5),
            stand_in,
            number,
            piece,
            bytes,
        };
        (from..).zip(content.cut(whole)).map(bulletin).collect()
    }

    #[test]
    fn a_long_bulletin_is_put_together_from_its_pieces_each_of_which_may_come_twice() {
        let (mut reader, long) = (Reader::default(), content(50_000));
        let pieces = bulletins(1, 1, &long, true);
        assert!(pieces.len() > 3 && pieces.iter().all(|piece| piece.bytes.len() <= PIECE_BYTES));
        let mut told = Vec::new();
        for piece in &pieces {
            told.extend(reader.read(piece.clone()).told);
            let again = reader.read(piece.clone());
            assert!(!again.broken && again.told.is_none());
        }
        assert_eq!(told.len(), 1);
        assert!(told[0].whole && told[0].content.news == long.news);
    }

    #[test]
    fn a_lost_piece_is_noticed_and_the_next_whole_is_read() {
        let (mut reader, long) = (Reader::default(), content(50_000));
        let pieces = bulletins(1, 1, &long, true);
        assert!(reader.read(pieces[0].clone()).broken, "a stand-in that was not known");
        assert!(reader.read(pieces[2].clone()).broken);
        for piece in &pieces[3..] {
            let read = reader.read(piece.clone());
            assert!(!read.broken && read.told.is_none(), "its beginning was lost");
        }
        let next = bulletins(1, pieces.len() as u64 + 1, &content(1), true);
        assert!(reader.read(next[0].clone()).told.is_some_and(|told| told.whole));
    }

    #[test]
    fn a_later_stand_in_is_believed_and_an_earlier_one_is_not_any_more() {
        let mut reader = Reader::default();
        let (old, new) = (bulletins(1, 1, &content(1), true), bulletins(2, 1, &content(2), true));
        assert!(reader.read(old[0].clone()).told.is_some());
        let read = reader.read(new[0].clone());
        assert!(read.broken && read.told.is_some());
        let late = reader.read(Bulletin { number: 2, ..old[0].clone() });
        assert!(!late.broken && late.told.is_none());
    }
}
