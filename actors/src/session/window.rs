//! The window of requests that a session has entered and not yet answered.
//!
//! Clients may pipeline; backends answer in any order relative to each other. The window gives
//! every request a ticket when it enters and lets replies out strictly in that order, whatever
//! order they arrive in.
//!
//! ```text
//! enter(1) enter(2) enter(3)   settle(3)   settle(1)       settle(2)
//! [1 . .]  [1 2 .]  [1 2 3] -> [1 2 3*] -> [2 3*] out: 1 -> [] out: 2, 3
//! ```
//!
//! A large reply comes in pieces: at the head of the window they go out at once, behind it they
//! wait as shared segments. The reply of a fanned-out request is merged from its parts' replies.
//!
//! Of each request what the slow log would need is kept until it leaves (`slow.rs`).
//!
//! Pure: no socket, no clock. The session is the only user.
//!
//! Bounds: the session enters requests only while [`ReplyWindow::has_room`]; what waits behind the
//! head is counted by [`ReplyWindow::retained_bytes`] and held against the session's output limit.
//!
//! Invariants: S-1 replies leave in the order of entry. S-2 every entered request leaves exactly
//! once. S-3 `request_bytes` is the sum over the entries. S-4 once a piece of a reply has left,
//! nothing but the rest of that reply follows it.

mod pieces;
mod slow;
mod ticket;

use std::collections::VecDeque;
use std::ops::Range;

use bytes::Bytes;
use command::{CommandId, Merge};
use smallvec::SmallVec;

use crate::io::{OutBuffer, detached};
use crate::latency::RequestClass;
use crate::slow_log::Stamps;
use pieces::{Merging, Segments};
use slow::Kept;
pub(crate) use slow::Left;
pub use ticket::Ticket;

/// Which part of a reply a piece is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece {
    /// The whole reply.
    Whole,
    /// Some of the reply; more follows.
    More,
    /// The end of a reply whose beginning came before.
    Last,
}

/// What the session must do after a failed reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Settled {
    /// Nothing special.
    Fine,
    /// The client has got the beginning of a reply that will never end (S-4): close it.
    Broken,
}

/// How many requests and bytes a session may have in flight.
#[derive(Clone, Copy, Debug)]
pub struct WindowLimits {
    /// Requests entered and not answered. At the limit the session stops reading.
    pub requests_max: usize,
    /// Their bytes. A single larger request is let through alone.
    pub bytes_max: usize,
}

/// What is known of a request when it enters, for the statistics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tag {
    /// The command; `None` when there is no such command.
    pub(crate) command: Option<CommandId>,
    /// How it is served.
    pub(crate) class: RequestClass,
    /// When it came, in microseconds of the worker's clock, which wrap after 71 minutes.
    pub(crate) entered_us: u32,
}

/// Replies held behind the head are copied together up to this size; larger ones stay shared.
const HELD_BYTES_MAX: usize = 4 * 1024;

/// An idle window keeps room for so many requests.
const ENTRIES_KEPT_MAX: usize = 4;

/// Above this much dead space the held replies are copied together again.
const HELD_WASTE_MIN: usize = 64 * 1024;

#[derive(Debug)]
struct Entry {
    request_bytes: u32,
    /// The client asked for no reply (CLIENT REPLY OFF or SKIP).
    is_muted: bool,
    /// Bytes in `kept`; 0 when the slow log is not to show the request.
    kept_bytes: u16,
    tag: Tag,
    state: EntryState,
}

#[derive(Debug)]
enum EntryState {
    /// No reply yet.
    Waiting,
    /// A whole reply, in `held`.
    Held { start: u32, len: u32, stamps: Stamps },
    /// Pieces of a reply that is not at the head, or whole when `is_whole`.
    Segments(Box<Segments>),
    /// At the head, some of the reply has left (S-4).
    Leaving,
    /// Parts of a fanned-out request.
    Merging(Box<Merging>),
}

/// The requests of a session without a reply, in order.
#[derive(Debug)]
pub(crate) struct ReplyWindow {
    limits: WindowLimits,
    /// The ticket of the front entry.
    head: u32,
    entries: VecDeque<Entry>,
    request_bytes: usize,
    /// Small replies that wait behind the head, back to back.
    held: Vec<u8>,
    /// Bytes of `held` that an entry still points at.
    held_live: usize,
    /// Bytes in `Segments` and `Merging` entries.
    segment_bytes: usize,
    /// Requests that have left and were not yet counted. Mostly alike, hence one without a buffer.
    left: SmallVec<[Left; 1]>,
    /// Those of what settles now.
    stamps: Stamps,
    /// What the slow log would need of the entries.
    kept: Kept,
}

impl ReplyWindow {
    /// An empty window.
    #[must_use]
    pub(crate) fn new(limits: WindowLimits) -> Self {
        Self {
            limits,
            head: 0,
            entries: VecDeque::new(),
            request_bytes: 0,
            held: Vec::new(),
            held_live: 0,
            segment_bytes: 0,
            left: SmallVec::new(),
            stamps: Stamps::default(),
            kept: Kept::default(),
        }
    }

    /// The number of requests without a reply.
    #[must_use]
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// True when every request is answered.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// True when another request may enter.
    #[must_use]
    pub(crate) fn has_room(&self) -> bool {
        self.entries.is_empty()
            || (self.entries.len() < self.limits.requests_max
                && self.request_bytes < self.limits.bytes_max)
    }

    /// Bytes of the requests without a reply.
    #[must_use]
    pub(crate) fn request_bytes(&self) -> usize {
        self.request_bytes
    }

    /// Bytes of replies that cannot leave yet.
    #[must_use]
    pub(crate) fn retained_bytes(&self) -> usize {
        self.held.len() + self.segment_bytes
    }

    /// Enters a request of that many bytes and gives it its ticket.
    pub(crate) fn enter(&mut self, request_bytes: u32, is_muted: bool, tag: Tag) -> Ticket {
        // The window is far smaller than the range of tickets, so wrapping keeps them distinct.
        #[expect(clippy::cast_possible_truncation, reason = "wrapping sequence number")]
        let ticket = self.head.wrapping_add(self.entries.len() as u32);
        self.request_bytes += request_bytes as usize;
        let state = EntryState::Waiting;
        self.entries.push_back(Entry { request_bytes, is_muted, kept_bytes: 0, tag, state });
        Ticket::from_number(ticket)
    }

    /// Settles a request with a reply made here.
    pub(crate) fn settle_local(
        &mut self,
        ticket: Ticket,
        out: &mut OutBuffer,
        encode: impl FnOnce(&mut Vec<u8>),
    ) {
        let is_head = ticket.number() == self.head;
        let Some(entry) = self.entry(ticket) else {
            return;
        };
        if is_head {
            let tail = out.tail();
            let start = tail.len();
            if !entry.is_muted {
                encode(tail);
            }
            let is_error = tail.get(start) == Some(&b'-');
            self.pop_head(is_error, self.stamps);
            self.release(out);
            return;
        }
        let start = self.held.len();
        encode(&mut self.held);
        self.hold(ticket, start);
    }

    /// Settles a request, or a part of it, with the text of an error made here.
    pub(crate) fn settle_failed(
        &mut self,
        ticket: Ticket,
        part: u16,
        text: &str,
        out: &mut OutBuffer,
    ) -> Settled {
        let Some(entry) = self.entry(ticket) else {
            return Settled::Fine;
        };
        let mut error = Vec::new();
        match &mut entry.state {
            EntryState::Leaving if !entry.is_muted => return Settled::Broken,
            EntryState::Merging(merging) => {
                merging.begun.retain(|(begun_part, _)| *begun_part != part);
                resp::encode::error(&mut error, text);
                let range = 0..error.len();
                self.settle(ticket, part, Piece::Whole, &Bytes::from(error), range, out);
            }
            EntryState::Leaving | EntryState::Waiting => {
                self.settle_local(ticket, out, |out| {
                    resp::encode::error(out, text);
                });
            }
            EntryState::Segments(segments) => {
                let dropped = segments.len;
                entry.state = EntryState::Waiting;
                self.segment_bytes -= dropped;
                self.settle_local(ticket, out, |out| {
                    resp::encode::error(out, text);
                });
            }
            // S-2: a second answer for a settled request; the first one stands.
            EntryState::Held { .. } => debug_assert!(false, "S-2: request settled twice"),
        }
        Settled::Fine
    }

    /// Says that the reply of a request will be merged from the replies of its parts.
    pub(crate) fn plan_merge(&mut self, ticket: Ticket, merge: Merge) {
        if let Some(entry) = self.entry(ticket) {
            let merging = Merging {
                merge,
                begun: Vec::new(),
                len: 0,
                is_whole: false,
                stamps: Stamps::default(),
            };
            entry.state = EntryState::Merging(Box::new(merging));
        }
    }

    /// Settles a request, or a part of it, with a piece of a backend's reply: a range of `data`.
    /// Everything that can leave now goes to `out`.
    pub(crate) fn settle(
        &mut self,
        ticket: Ticket,
        part: u16,
        piece: Piece,
        data: &Bytes,
        range: Range<usize>,
        out: &mut OutBuffer,
    ) {
        let is_head = ticket.number() == self.head;
        let (len, stamps) = (range.len(), self.stamps);
        let Some(entry) = self.entry(ticket) else {
            return;
        };
        match &mut entry.state {
            EntryState::Waiting | EntryState::Leaving if is_head => {
                let is_error = piece == Piece::Whole && data.get(range.start) == Some(&b'-');
                if !entry.is_muted {
                    out.push_range(data, range);
                }
                if piece == Piece::More {
                    entry.state = EntryState::Leaving;
                } else {
                    self.pop_head(is_error, stamps);
                    self.release(out);
                }
            }
            EntryState::Merging(merging) => {
                merging.stamps = stamps;
                merging.settle(part, piece, detached(data, range));
                let is_done = merging.is_whole;
                self.segment_bytes += len;
                if is_done && is_head {
                    self.release(out);
                }
            }
            EntryState::Waiting if piece == Piece::Whole && len <= HELD_BYTES_MAX => {
                let start = self.held.len();
                self.held.extend_from_slice(data.get(range).unwrap_or_default());
                self.hold(ticket, start);
            }
            EntryState::Waiting => {
                let mut segments = Segments::default();
                segments.add(piece, detached(data, range), stamps);
                entry.state = EntryState::Segments(Box::new(segments));
                self.segment_bytes += len;
            }
            EntryState::Segments(segments) => {
                segments.add(piece, detached(data, range), stamps);
                self.segment_bytes += len;
            }
            // S-2: a second reply for a settled request; the first one stands.
            EntryState::Held { .. } | EntryState::Leaving => {
                debug_assert!(false, "S-2: request settled twice");
            }
        }
    }

    /// The client wants no reply to this request.
    pub(crate) fn mute(&mut self, ticket: Ticket) {
        self.set_muted(ticket, true);
    }

    /// The client wants the reply to this request after all.
    pub(crate) fn unmute(&mut self, ticket: Ticket) {
        self.set_muted(ticket, false);
    }

    /// Whether any request has left since the last `take_left`.
    pub(crate) fn has_left(&self) -> bool {
        !self.left.is_empty()
    }

    /// The requests that have left since the last call.
    pub(crate) fn take_left(&mut self) -> impl Iterator<Item = Left> {
        self.left.drain(..)
    }

    /// Gives up memory that an idle window does not need.
    pub(crate) fn shrink(&mut self) {
        if !self.entries.is_empty() {
            return;
        }
        // A client that sends one request after the other would allocate with each of them.
        if self.entries.capacity() > ENTRIES_KEPT_MAX {
            self.entries = VecDeque::new();
        }
        if self.left.spilled() {
            self.left = SmallVec::new();
        }
        self.held = Vec::new();
        self.held_live = 0;
        self.kept.shrink();
    }

    fn set_muted(&mut self, ticket: Ticket, is_muted: bool) {
        if let Some(entry) = self.entry(ticket) {
            entry.is_muted = is_muted;
        }
    }

    fn entry(&mut self, ticket: Ticket) -> Option<&mut Entry> {
        let entry = self.entries.get_mut(ticket.number().wrapping_sub(self.head) as usize);
        debug_assert!(entry.is_some(), "S-2: a reply for a request that is not in the window");
        entry
    }

    /// Marks what was appended to `held` since `start` as the reply of a request behind the head.
    fn hold(&mut self, ticket: Ticket, start: usize) {
        let len = self.held.len() - start;
        let (Ok(start), Ok(len)) = (u32::try_from(start), u32::try_from(len)) else {
            debug_assert!(false, "held replies are compacted long before 4 GiB");
            return;
        };
        self.held_live += len as usize;
        let stamps = self.stamps;
        if let Some(entry) = self.entry(ticket) {
            entry.state = EntryState::Held { start, len, stamps };
        }
        self.tidy_held();
    }

    #[inline]
    fn pop_head(&mut self, is_error: bool, stamps: Stamps) {
        if let Some(entry) = self.entries.pop_front() {
            let tag = entry.tag;
            match self.left.last_mut() {
                Some(left) if left.tag == tag && left.is_error == is_error => left.count += 1,
                _ => self.left.push(Left { tag, is_error, count: 1 }),
            }
            self.kept.leave(entry.kept_bytes, tag, stamps, self.stamps.read_us);
            // INVARIANT S-3.
            self.request_bytes -= entry.request_bytes as usize;
            self.head = self.head.wrapping_add(1);
        }
    }

    /// Lets out every reply that nothing precedes any more (S-1).
    fn release(&mut self, out: &mut OutBuffer) {
        let mut has_held = false;
        while let Some(entry) = self.entries.front_mut() {
            let is_muted = entry.is_muted;
            let (is_error, stamps) = match &mut entry.state {
                EntryState::Waiting | EntryState::Leaving => break,
                EntryState::Held { start, len, stamps } => {
                    let range = *start as usize..(*start + *len) as usize;
                    self.held_live -= range.len();
                    has_held = true;
                    let reply = self.held.get(range).unwrap_or_default();
                    if !is_muted {
                        out.extend(reply);
                    }
                    (reply.first() == Some(&b'-'), *stamps)
                }
                EntryState::Segments(segments) => {
                    self.segment_bytes -= segments.len;
                    let pieces = std::mem::take(&mut segments.pieces);
                    let (is_whole, stamps) = (segments.is_whole, segments.stamps);
                    if !is_muted {
                        pieces.iter().for_each(|piece| out.push(piece));
                    }
                    if !is_whole {
                        entry.state = EntryState::Leaving;
                        break;
                    }
                    // No server has errors as long as what comes in pieces.
                    (false, stamps)
                }
                EntryState::Merging(merging) => {
                    if !merging.is_whole {
                        break;
                    }
                    self.segment_bytes -= merging.len;
                    let tail = out.tail();
                    let start = tail.len();
                    if !is_muted {
                        merging.merge.finish(tail);
                    }
                    (tail.get(start) == Some(&b'-'), merging.stamps)
                }
            };
            self.pop_head(is_error, stamps);
        }
        if has_held {
            self.tidy_held();
        }
    }

    /// Keeps the dead space among the held replies below `HELD_WASTE_MIN`, or below the live one.
    /// A client that always has something in flight would otherwise keep its peak for ever.
    fn tidy_held(&mut self) {
        if self.held_live == 0 {
            self.held.clear();
            self.held.shrink_to(HELD_WASTE_MIN);
        } else if self.held.len() - self.held_live > HELD_WASTE_MIN.max(self.held_live) {
            self.compact();
        }
    }

    /// Copies the live held replies together, so that dead ones between them take no memory.
    fn compact(&mut self) {
        let mut held = Vec::with_capacity(self.held_live * 2);
        for entry in &mut self.entries {
            if let EntryState::Held { start, len, .. } = &mut entry.state {
                let range = *start as usize..(*start + *len) as usize;
                // Below the old start, which fitted.
                *start = u32::try_from(held.len()).unwrap_or(u32::MAX);
                held.extend_from_slice(self.held.get(range).unwrap_or_default());
            }
        }
        self.held = held;
    }
}

#[cfg(test)]
mod tests;
