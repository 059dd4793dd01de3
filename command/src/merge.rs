//! Joins the replies of a fan-out's parts into the reply that one server would give.
//!
//! ```text
//!   waiting --settle(part, reply)--> waiting --settle of the last part--> complete --finish-->
//! ```
//!
//! A part that fails, by an error reply or by a reply of the wrong form, makes the whole reply an
//! error: the first one in the order of the parts. Values of the others are not passed on, since
//! clients do not expect an error within an array.
//!
//! Bounds: it holds one reply per part, and for MGET a number per key.

#[cfg(test)]
mod tests;

use bytes::Bytes;
use resp::encode;
use resp::reply;
use resp::reply::Elements;
use smallvec::SmallVec;

use crate::policy::FanOutKind;
use crate::rejection::UNEXPECTED_PART_REPLY;

/// The replies of one fan-out, in the making.
#[derive(Debug)]
pub struct Merge {
    join: Join,
    replies: SmallVec<[Option<Bytes>; 4]>,
    missing: usize,
}

/// How the replies become one.
#[derive(Debug)]
enum Join {
    /// The values in the order of the keys; for each key the part that has its value.
    Values { owners: SmallVec<[usize; 16]> },
    /// The sum of the counts.
    Sum,
    /// `OK` when every part says so.
    AllOk,
}

/// Why there is no joined reply.
enum Failure {
    /// A part's reply is this error.
    Part(Bytes),
    /// A part's reply has the wrong form, or none came.
    WrongForm,
}

impl Merge {
    /// A merge of `parts` replies; `owners` names the part of each key, in the order of the keys.
    pub(crate) fn new(kind: FanOutKind, parts: usize, owners: impl Iterator<Item = usize>) -> Self {
        let join = match kind {
            FanOutKind::Mget => Join::Values { owners: owners.collect() },
            FanOutKind::Mset => Join::AllOk,
            FanOutKind::Del | FanOutKind::Unlink | FanOutKind::Exists | FanOutKind::Touch => {
                Join::Sum
            }
        };
        Self { join, replies: smallvec::smallvec![None; parts], missing: parts }
    }

    /// The number of parts.
    #[must_use]
    pub fn parts(&self) -> usize {
        self.replies.len()
    }

    /// Takes the reply of a part and says whether all replies are there. A second reply of one
    /// part is ignored.
    pub fn settle(&mut self, part: usize, reply: Bytes) -> bool {
        if let Some(place @ None) = self.replies.get_mut(part) {
            *place = Some(reply);
            self.missing -= 1;
        }
        self.missing == 0
    }

    /// Appends the joined reply. A part without a reply counts as failed.
    pub fn finish(&self, out: &mut Vec<u8>) {
        let start = out.len();
        match self.join_into(out) {
            Ok(()) => {}
            Err(failure) => {
                out.truncate(start);
                match failure {
                    Failure::Part(error) => out.extend_from_slice(&error),
                    Failure::WrongForm => encode::error(out, UNEXPECTED_PART_REPLY),
                }
            }
        }
    }

    fn join_into(&self, out: &mut Vec<u8>) -> Result<(), Failure> {
        match &self.join {
            Join::Values { owners } => self.join_values(owners, out)?,
            Join::Sum => {
                let mut sum = 0i64;
                for reply in self.checked_replies() {
                    let count = reply::integer(reply?).ok_or(Failure::WrongForm)?;
                    sum = sum.saturating_add(count);
                }
                encode::integer(out, sum);
            }
            Join::AllOk => {
                for reply in self.checked_replies() {
                    if reply?.as_ref() != b"+OK\r\n" {
                        return Err(Failure::WrongForm);
                    }
                }
                encode::simple_string(out, "OK");
            }
        }
        Ok(())
    }

    fn join_values(&self, owners: &[usize], out: &mut Vec<u8>) -> Result<(), Failure> {
        let mut cursors: SmallVec<[Elements<'_>; 4]> = SmallVec::new();
        for reply in self.checked_replies() {
            cursors.push(reply::elements(reply?).map_err(|_| Failure::WrongForm)?);
        }
        out.reserve(self.replies.iter().flatten().map(Bytes::len).sum());
        encode::array_header(out, owners.len());
        for owner in owners {
            let value = cursors.get_mut(*owner).and_then(Iterator::next);
            match value {
                Some(Ok(value)) => out.extend_from_slice(value),
                Some(Err(_)) | None => return Err(Failure::WrongForm),
            }
        }
        // A value too many means that the others may belong to other keys.
        if cursors.iter_mut().any(|cursor| cursor.next().is_some()) {
            return Err(Failure::WrongForm);
        }
        Ok(())
    }

    /// The replies in the order of the parts; an error reply comes as a failure.
    fn checked_replies(&self) -> impl Iterator<Item = Result<&Bytes, Failure>> {
        self.replies.iter().map(|reply| match reply {
            Some(reply) if reply::is_error(reply) => Err(Failure::Part(reply.clone())),
            Some(reply) => Ok(reply),
            None => Err(Failure::WrongForm),
        })
    }
}
