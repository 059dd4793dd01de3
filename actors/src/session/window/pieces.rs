//! Replies that came in pieces, or in parts, and must wait for their turn.
//!
//! Bounds: what they hold is counted by the window and held against the session's output limit.

use bytes::{Bytes, BytesMut};
use command::Merge;

use super::Piece;
use crate::slow_log::Stamps;

/// Pieces of a reply behind the head; whole when `is_whole`.
#[derive(Debug, Default)]
pub(super) struct Segments {
    pub(super) pieces: Vec<Bytes>,
    pub(super) len: usize,
    pub(super) is_whole: bool,
    /// Those of the last piece.
    pub(super) stamps: Stamps,
}

/// The parts of a fanned-out request.
#[derive(Debug)]
pub(super) struct Merging {
    pub(super) merge: Merge,
    /// Beginnings of part replies that came in pieces, by part.
    pub(super) begun: Vec<(u16, BytesMut)>,
    pub(super) len: usize,
    pub(super) is_whole: bool,
    /// Those of the last part.
    pub(super) stamps: Stamps,
}

impl Segments {
    pub(super) fn add(&mut self, piece: Piece, bytes: Bytes, stamps: Stamps) {
        debug_assert!(!self.is_whole, "S-2: a piece after the last one");
        self.len += bytes.len();
        self.pieces.push(bytes);
        self.is_whole = piece != Piece::More;
        self.stamps = stamps;
    }
}

impl Merging {
    pub(super) fn settle(&mut self, part: u16, piece: Piece, bytes: Bytes) {
        self.len += bytes.len();
        let begun = self.begun.iter().position(|(begun_part, _)| *begun_part == part);
        let whole = match (piece, begun) {
            (Piece::Whole, _) | (Piece::Last, None) => Some(bytes),
            (Piece::More, None) => {
                self.begun.push((part, BytesMut::from(&bytes[..])));
                None
            }
            (Piece::More, Some(index)) => {
                if let Some((_, reply)) = self.begun.get_mut(index) {
                    reply.extend_from_slice(&bytes);
                }
                None
            }
            (Piece::Last, Some(index)) => {
                let (_, mut reply) = self.begun.swap_remove(index);
                reply.extend_from_slice(&bytes);
                Some(reply.freeze())
            }
        };
        if let Some(reply) = whole {
            self.is_whole = self.merge.settle(usize::from(part), reply);
        }
    }
}
