//! What the slow log would need of the requests in the window, and of those that were slow.
//!
//! ```text
//! kept:  [gone........][request 1][request 2][request 3]     in the order of the entries
//!                       └ the front entry
//! ```
//!
//! A request is looked at when it leaves: almost always its bytes are only stepped over.
//!
//! Bounds: `slow_log::argv::KEPT_BYTES_MAX` per entry of the window and never much more than its
//! request, whose bytes the session counts as held until it is answered. What is gone is at most
//! as much as what is there, or [`GONE_BYTES_MIN`].

use command::{Args, Command};

use super::{ReplyWindow, Tag};
use crate::slow_log::{Stamps, argv};

/// Less dead space is not worth moving the rest.
const GONE_BYTES_MIN: usize = 16 * 1024;

/// An idle client keeps a buffer up to this size: one small request at a time is what most clients
/// send, and should not cost an allocation.
const IDLE_BYTES_MAX: usize = 128;

/// Requests that have left one after the other and are alike, as those of one read mostly are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Left {
    pub(crate) tag: Tag,
    /// Their replies were errors.
    pub(crate) is_error: bool,
    pub(crate) count: u32,
}

/// A request that was slow and has left.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SlowLeft {
    pub(crate) tag: Tag,
    pub(crate) stamps: Stamps,
    kept_bytes: u16,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Kept {
    /// From which time on a request is slow; `u32::MAX` when none is, and then nothing is kept.
    slow_us: u32,
    /// Some request in the window is slow already.
    is_any_slow: bool,
    bytes: Vec<u8>,
    /// How many of them belong to requests that have left.
    gone: usize,
    slow: Vec<SlowLeft>,
    /// What was kept of `slow`, in its order.
    slow_bytes: Vec<u8>,
}

impl Default for Kept {
    fn default() -> Self {
        Self::new(u32::MAX)
    }
}

impl Kept {
    pub(super) fn new(slow_us: u32) -> Self {
        Self {
            slow_us,
            is_any_slow: false,
            bytes: Vec::new(),
            gone: 0,
            slow: Vec::new(),
            slow_bytes: Vec::new(),
        }
    }

    /// Gives up memory that an idle window does not need.
    pub(super) fn shrink(&mut self) {
        if self.bytes.capacity() > IDLE_BYTES_MAX {
            self.bytes = Vec::new();
            self.gone = 0;
        }
        if self.slow.capacity() > 0 {
            self.slow = Vec::new();
            self.slow_bytes = Vec::new();
        }
    }

    /// The front request leaves, at `now_us`.
    #[inline]
    pub(super) fn leave(&mut self, kept_bytes: u16, tag: Tag, stamps: Stamps, now_us: u32) {
        let start = self.gone;
        self.gone += usize::from(kept_bytes);
        let is_slow = || now_us.wrapping_sub(tag.entered_us) >= self.slow_us;
        if self.is_any_slow && kept_bytes > 0 && is_slow() {
            self.slow.push(SlowLeft { tag, stamps, kept_bytes });
            let kept = self.bytes.get(start..self.gone).unwrap_or_default();
            self.slow_bytes.extend_from_slice(kept);
        }
    }

    /// Drops what has left, before more comes.
    fn tidy(&mut self) {
        if self.gone >= self.bytes.len() {
            self.bytes.clear();
            self.gone = 0;
        } else if self.gone >= GONE_BYTES_MIN.max(self.bytes.len() / 2) {
            self.bytes.drain(..self.gone);
            self.gone = 0;
        }
    }
}

impl ReplyWindow {
    /// Keeps for the slow log what it needs of requests that take at least so many microseconds.
    pub(crate) fn watch_slow(&mut self, slow_us: u32) {
        self.kept = Kept::new(slow_us);
    }

    /// Keeps what the slow log would need of the request that entered last.
    pub(crate) fn keep(&mut self, frame: &[u8], args: &Args<'_>, command: &Command) {
        let kept = &mut self.kept;
        if kept.slow_us == u32::MAX {
            return;
        }
        if let Some(entry) = self.entries.back_mut() {
            kept.tidy();
            let start = kept.bytes.len();
            argv::keep(frame, args, command, &mut kept.bytes);
            // `argv::KEPT_BYTES_MAX` fits.
            entry.kept_bytes = u16::try_from(kept.bytes.len() - start).unwrap_or_default();
        }
    }

    /// Promises the frame of the request that entered last to `keep_frames`.
    #[inline]
    pub(crate) fn promise_frame(&mut self, frame: &[u8]) {
        if self.kept.slow_us != u32::MAX
            && let Some(entry) = self.entries.back_mut()
        {
            // `argv::KEPT_BYTES_MAX` fits.
            #[expect(clippy::cast_possible_truncation, reason = "frames kept whole are short")]
            let kept_bytes = frame.len() as u16;
            entry.kept_bytes = kept_bytes;
        }
    }

    /// Keeps the promised frames, in one copy of them all.
    ///
    /// ORDER: before any request is kept by `keep`, and before any of them can leave.
    pub(crate) fn keep_frames(&mut self, frames: &[u8]) {
        if self.kept.slow_us != u32::MAX {
            self.kept.tidy();
            self.kept.bytes.extend_from_slice(frames);
        }
    }

    /// Says when what settles from now on was written and read.
    #[inline]
    pub(crate) fn stamp(&mut self, stamps: Stamps) {
        self.stamps = stamps;
        // The front request entered first: when it is not slow, none is.
        let oldest_us = self.entries.front().map_or(stamps.read_us, |entry| entry.tag.entered_us);
        self.kept.is_any_slow = stamps.read_us.wrapping_sub(oldest_us) >= self.kept.slow_us;
    }

    /// Tells of the requests that were slow and have left since the last call, each with what was
    /// kept of it.
    pub(crate) fn take_slow(&mut self, mut tell: impl FnMut(SlowLeft, &[u8])) {
        let kept = &mut self.kept;
        let mut start = 0;
        for left in kept.slow.drain(..) {
            let range = start..start + usize::from(left.kept_bytes);
            start = range.end;
            tell(left, kept.slow_bytes.get(range).unwrap_or_default());
        }
        kept.slow_bytes.clear();
        // A moment in which everything was slow must not be remembered for ever.
        kept.slow.shrink_to(GONE_BYTES_MIN / size_of::<SlowLeft>());
        kept.slow_bytes.shrink_to(GONE_BYTES_MIN);
    }

    /// Whether any slow request has left since the last `take_slow`.
    #[inline]
    pub(crate) fn has_slow(&self) -> bool {
        !self.kept.slow.is_empty()
    }
}

#[cfg(test)]
mod tests;
