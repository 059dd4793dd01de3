//! Splits a multi-key command over backends.
//!
//! The keys of one destination go into one sub-request in their original order: that keeps the
//! last of two values of one key the last (MSET), and lets [`Merge`] find the value of each key
//! again (MGET).
//!
//! ```text
//!   MGET k1 k2 k3   k1, k3 -> destination 0    MGET k1 k3
//!                   k2     -> destination 1    MGET k2
//! ```
//!
//! Every key is hashed once, when the request is planned.
//!
//! Bounds: the parts together hold the arguments of the request once more; besides, a split needs
//! some 32 bytes per key.

#[cfg(test)]
mod tests;

use std::ops::Range;

use resp::encode;
use resp::request::Span;
use routing::SlotId;
use routing::slot_of;
use smallvec::SmallVec;

use crate::Args;
use crate::Merge;
use crate::policy::FanOutKind;

/// A multi-key request whose keys may lie in any slots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FanOutRequest {
    kind: FanOutKind,
    items: Vec<Item>,
}

/// One key of the request, with its value for MSET.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Item {
    slot: SlotId,
    key: Span,
    value: Option<Span>,
}

/// What the keys of a multi-key request ask for.
pub(crate) enum FanOut {
    /// There is no key, or a key of MSET has no value.
    WrongArity,
    /// Nothing is to be split.
    OneSlot(SlotId),
    /// The keys lie in several slots.
    ManySlots(FanOutRequest),
}

/// The keys of a request; `None` when there are none, or a key of MSET has no value.
fn items(kind: FanOutKind, args: &Args<'_>) -> Option<SmallVec<[Item; 16]>> {
    let step = if kind == FanOutKind::Mset { 2 } else { 1 };
    let keys = args.len().saturating_sub(1);
    if keys == 0 || !keys.is_multiple_of(step) {
        return None;
    }
    // Most requests have few keys, or keys in one slot only: neither shall allocate.
    let mut items = SmallVec::new();
    for index in (1..args.len()).step_by(step) {
        let (key, span) = (args.get(index)?, args.span(index)?);
        let value = if step == 2 { args.span(index + 1) } else { None };
        items.push(Item { slot: slot_of(key), key: span, value });
    }
    Some(items)
}

/// One sub-request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The destination, as the caller numbered it.
    pub destination: usize,
    /// The slot of the part's first key.
    pub slot: SlotId,
    /// Where the sub-request lies in the caller's buffer.
    pub range: Range<usize>,
}

impl FanOutRequest {
    /// Finds the keys of a request and their slots.
    pub(crate) fn plan(kind: FanOutKind, args: &Args<'_>) -> FanOut {
        let Some(items) = items(kind, args) else {
            return FanOut::WrongArity;
        };
        match items.split_first() {
            Some((first, rest)) if rest.iter().all(|item| item.slot == first.slot) => {
                FanOut::OneSlot(first.slot)
            }
            _ => FanOut::ManySlots(Self { kind, items: items.into_vec() }),
        }
    }

    /// The request ready to be split although its keys may lie in one slot. `None` when it has one
    /// key, or does not say what its keys are.
    pub(crate) fn by_key(kind: FanOutKind, args: &Args<'_>) -> Option<Self> {
        let items = items(kind, args).filter(|items| items.len() > 1)?;
        Some(Self { kind, items: items.into_vec() })
    }

    /// The number of keys.
    #[must_use]
    pub fn keys(&self) -> usize {
        self.items.len()
    }

    /// Which command it is.
    #[must_use]
    pub const fn kind(&self) -> FanOutKind {
        self.kind
    }

    /// The slot of each key, in the order of the keys; a slot comes as often as it has keys.
    pub fn slots(&self) -> impl Iterator<Item = SlotId> + '_ {
        self.items.iter().map(|item| item.slot)
    }

    /// Splits the request, whose bytes are `frame`, into one sub-request per destination.
    ///
    /// `destination_of` numbers the destinations of keys as the caller likes; it is given the place
    /// of each key in the request and its slot. The sub-requests are appended to `out`; parts are
    /// numbered by their place in the returned list.
    pub fn split(
        &self,
        frame: &[u8],
        mut destination_of: impl FnMut(usize, SlotId) -> usize,
        out: &mut Vec<u8>,
    ) -> (SmallVec<[Part; 4]>, Merge) {
        let mut parts: SmallVec<[Part; 4]> = SmallVec::new();
        let mut owned: SmallVec<[(usize, Item); 16]> = SmallVec::new();
        for (place, item) in self.items.iter().enumerate() {
            let destination = destination_of(place, item.slot);
            let known = parts.iter().position(|part| part.destination == destination);
            let part = known.unwrap_or_else(|| {
                parts.push(Part { destination, slot: item.slot, range: 0..0 });
                parts.len() - 1
            });
            owned.push((part, *item));
        }
        let merge = Merge::new(self.kind, parts.len(), owned.iter().map(|(part, _)| *part));
        // ORDER: the sort is stable, so the keys of one part keep their order. Parts are numbered
        // by their first key, so the chunks come in the order of `parts`.
        owned.sort_by_key(|(part, _)| *part);
        out.reserve(frame.len());
        for (part, items) in parts.iter_mut().zip(owned.chunk_by(|a, b| a.0 == b.0)) {
            let start = out.len();
            self.encode_part(frame, items, out);
            part.range = start..out.len();
        }
        (parts, merge)
    }

    fn encode_part(&self, frame: &[u8], items: &[(usize, Item)], out: &mut Vec<u8>) {
        let (name, args_per_key) = match self.kind {
            FanOutKind::Mget => ("MGET", 1),
            FanOutKind::Mset => ("MSET", 2),
            FanOutKind::Del => ("DEL", 1),
            FanOutKind::Unlink => ("UNLINK", 1),
            FanOutKind::Exists => ("EXISTS", 1),
            FanOutKind::Touch => ("TOUCH", 1),
        };
        encode::array_header(out, 1 + items.len() * args_per_key);
        encode::bulk(out, name.as_bytes());
        for (_, item) in items {
            encode::bulk(out, item.key.of(frame));
            if let Some(value) = item.value {
                encode::bulk(out, value.of(frame));
            }
        }
    }
}
