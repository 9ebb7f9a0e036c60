//! Parcels and reports on their way: several in one notice, or one in several.
//!
//! Owns how much is sent at once: a frame that takes long holds up everything behind it, heartbeats too.

use std::collections::HashMap;

use crate::cluster::{gateway::Piece, wire::Opaque};

/// In one notice, about.
const NOTICE_BYTES: usize = 128 * 1024;
/// Of one parcel or report: a seat plan is 8 MiB at most.
const MOST_BYTES: usize = 16 * 1024 * 1024;

/// Into notices of several pieces each.
pub(super) fn pack(letters: impl IntoIterator<Item = (u64, Vec<u8>)>) -> Vec<Vec<Piece>> {
    let (mut notices, mut pieces, mut bytes) = (Vec::new(), Vec::new(), 0);
    for piece in letters.into_iter().flat_map(cut) {
        if bytes + piece.bytes.0.len() > NOTICE_BYTES && !pieces.is_empty() {
            notices.push(std::mem::take(&mut pieces));
            bytes = 0;
        }
        bytes += piece.bytes.0.len();
        pieces.push(piece);
    }
    if !pieces.is_empty() {
        notices.push(pieces);
    }
    notices
}

fn cut((id, bytes): (u64, Vec<u8>)) -> Vec<Piece> {
    if bytes.len() <= NOTICE_BYTES {
        return vec![Piece { id, more: false, bytes: Opaque(bytes) }];
    }
    let count = bytes.len().div_ceil(NOTICE_BYTES);
    let pieces = bytes.chunks(NOTICE_BYTES).zip(1..);
    pieces.map(|(bytes, n)| Piece { id, more: n < count, bytes: Opaque(bytes.to_vec()) }).collect()
}

/// Of one link, in one direction. Pieces of a link arrive in order or the link is gone, and this with it.
#[derive(Debug, Default)]
pub(super) struct Joiner {
    open: HashMap<u64, Vec<u8>>,
}

impl Joiner {
    /// All of it, when the last piece is there. What grows too large is dropped, so that its asker's time runs out.
    pub fn join(&mut self, piece: Piece) -> Option<(u64, Vec<u8>)> {
        let Piece { id, more, bytes: Opaque(bytes) } = piece;
        if !more && self.open.is_empty() {
            return Some((id, bytes));
        }
        let mut open = self.open.remove(&id).unwrap_or_default();
        if open.len() + bytes.len() > MOST_BYTES {
            return None;
        }
        open.extend(bytes);
        if more {
            self.open.insert(id, open);
            return None;
        }
        Some((id, open))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_is_joined_again_and_no_notice_is_large() {
        let sizes =
            [0, 1, 100, NOTICE_BYTES, NOTICE_BYTES + 1, 3 * NOTICE_BYTES, 7, NOTICE_BYTES / 2, NOTICE_BYTES / 2];
        let letters: Vec<_> = (1..).zip(sizes.map(|size| vec![size as u8; size])).collect();
        let mut joiner = Joiner::default();
        let mut joined = Vec::new();
        for notice in pack(letters.clone()) {
            assert!(notice.iter().map(|piece| piece.bytes.0.len()).sum::<usize>() <= NOTICE_BYTES);
            joined.extend(notice.into_iter().filter_map(|piece| joiner.join(piece)));
        }
        assert_eq!(joined, letters);
        assert!(joiner.open.is_empty());
    }

    #[test]
    fn pieces_of_several_may_come_in_turn() {
        let mut joiner = Joiner::default();
        let piece = |id, more, byte| Piece { id, more, bytes: Opaque(vec![byte]) };
        assert_eq!(joiner.join(piece(1, true, 1)), None);
        assert_eq!(joiner.join(piece(2, true, 2)), None);
        assert_eq!(joiner.join(piece(3, false, 3)), Some((3, vec![3])));
        assert_eq!(joiner.join(piece(1, false, 4)), Some((1, vec![1, 4])));
        assert_eq!(joiner.join(piece(2, false, 5)), Some((2, vec![2, 5])));
    }

    #[test]
    fn what_grows_without_end_is_dropped() {
        let mut joiner = Joiner::default();
        let pieces = MOST_BYTES / NOTICE_BYTES + 2;
        for _ in 0..pieces {
            joiner.join(Piece { id: 1, more: true, bytes: Opaque(vec![0; NOTICE_BYTES]) });
        }
        assert!(joiner.open.values().map(Vec::len).sum::<usize>() <= MOST_BYTES);
    }
}
