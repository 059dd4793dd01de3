//! A request as the router hands it to a backend connection.
//!
//! It owns no bytes: it says where in those of its batch it lies, so that a batch of any size is
//! two reference counts and a list of numbers.

use bytes::Bytes;
use command::Part;
use routing::SlotId;

use crate::io::{OutBuffer, detached};
use crate::router::RouteRequest;
use crate::session::window::Ticket;

/// One request, or one part of a fanned-out request.
#[derive(Clone, Copy, Debug)]
pub struct ForwardRequest {
    /// Its place in the session.
    pub ticket: Ticket,
    /// Which part of a fanned-out request; 0 for a whole one.
    pub part: u16,
    /// Whether it lies in the batch's `parts` rather than its `data`.
    pub is_in_parts: bool,
    /// Whether the client named this very backend: no other may answer.
    pub is_for_backend: bool,
    /// The slot of its (first) key.
    pub slot: SlotId,
    /// Where it begins.
    pub start: u32,
    /// Its length in bytes.
    pub len: u32,
}

impl ForwardRequest {
    /// A request that was not split.
    pub(crate) fn whole(request: &RouteRequest) -> Self {
        Self {
            ticket: request.ticket,
            part: 0,
            is_in_parts: false,
            is_for_backend: false,
            slot: request.slot,
            start: request.start,
            len: request.len,
        }
    }

    /// A request for this backend and no other: the client named it, or the migrator asks it. It is
    /// alone in its batch.
    pub(crate) fn for_backend(ticket: Ticket, len: u32) -> Self {
        Self { ticket, is_for_backend: true, ..Self::own(len) }
    }

    /// A part of a fanned-out request.
    pub(crate) fn part(ticket: Ticket, number: u16, part: &Part) -> Self {
        // The parts of a batch together are hardly larger than the batch, which fits u32.
        let offset = |position: usize| u32::try_from(position).unwrap_or(u32::MAX);
        let (start, len) = (offset(part.range.start), offset(part.range.len()));
        Self {
            ticket,
            part: number,
            is_in_parts: true,
            is_for_backend: false,
            slot: part.slot,
            start,
            len,
        }
    }

    /// Its bytes, which lie in one of those of its batch.
    pub(crate) fn bytes<'b>(&self, data: &'b Bytes, parts: &'b Bytes) -> &'b [u8] {
        let source = if self.is_in_parts { parts } else { data };
        let start = self.start as usize;
        source.get(start..start + self.len as usize).unwrap_or_default()
    }

    /// The request's own bytes, and the request relative to them.
    pub(crate) fn detached(self, data: &Bytes, parts: &Bytes) -> (Bytes, Self) {
        let source = if self.is_in_parts { parts } else { data };
        let range = self.start as usize..self.start as usize + self.len as usize;
        let own = Self { start: 0, is_in_parts: false, ..self };
        (detached(source, range), own)
    }

    /// A request of the connection itself.
    pub(super) fn own(len: u32) -> Self {
        Self {
            ticket: Ticket::default(),
            part: 0,
            is_in_parts: false,
            is_for_backend: false,
            slot: SlotId::default(),
            start: 0,
            len,
        }
    }

    /// Appends its bytes, which lie in one of those of its batch.
    pub(super) fn write(&self, data: &Bytes, parts: &Bytes, out: &mut OutBuffer) {
        let source = if self.is_in_parts { parts } else { data };
        let range = self.start as usize..self.start as usize + self.len as usize;
        debug_assert!(range.end <= source.len(), "a request lies within its bytes");
        out.push_range(source, range);
    }
}
