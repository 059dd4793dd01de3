//! Slots: the 1024 parts of the key space, and the hash that puts a key into one of them.
//!
//! The hash is Codis': CRC-32 (IEEE) of the hash tag, modulo 1024, so that data written through a
//! Codis proxy is found again. Source: Codis 3.2 `pkg/proxy/mapper.go` (behaviour only).
//!
//! Invariant H-1: `slot_of` of equal keys is equal on every machine and in every version.

use std::fmt;

/// The number of slots. Fixed by the format that Codis dashboards and servers share.
pub const SLOTS: usize = 1024;

const SLOTS_U16: u16 = 1024;

/// One of the [`SLOTS`] parts of the key space.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SlotId(u16);

impl SlotId {
    /// The slot with this number, or `None` when there is no such slot.
    #[must_use]
    pub const fn new(number: u16) -> Option<Self> {
        if number < SLOTS_U16 { Some(Self(number)) } else { None }
    }

    /// The number of the slot, below [`SLOTS`].
    #[must_use]
    pub const fn number(self) -> u16 {
        self.0
    }

    /// The number as an index into a table of [`SLOTS`] entries.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// Every slot, in order.
    pub fn all() -> impl DoubleEndedIterator<Item = Self> + ExactSizeIterator {
        (0..SLOTS_U16).map(Self)
    }
}

impl fmt::Display for SlotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The part of a key that is hashed: what stands between the first `{` and the first `}` after
/// it, also when that is empty (unlike Redis Cluster); the whole key when there is no such pair.
#[must_use]
pub fn hash_tag(key: &[u8]) -> &[u8] {
    let Some((_, after)) = split_at_byte(key, b'{') else {
        return key;
    };
    split_at_byte(after, b'}').map_or(key, |(tag, _)| tag)
}

/// The slot of a key.
#[must_use]
pub fn slot_of(key: &[u8]) -> SlotId {
    let hash = crc32fast::hash(hash_tag(key));
    // The remainder is below 1024, so the cast keeps its value.
    #[expect(clippy::cast_possible_truncation, reason = "below 1024 by the modulo")]
    SlotId((hash % u32::from(SLOTS_U16)) as u16)
}

fn split_at_byte(bytes: &[u8], byte: u8) -> Option<(&[u8], &[u8])> {
    let at = bytes.iter().position(|b| *b == byte)?;
    Some((bytes.get(..at)?, bytes.get(at + 1..)?))
}

#[cfg(test)]
mod tests;
