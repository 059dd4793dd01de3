//! Which keys the patterns of SORT may read.
//!
//! `SORT key BY weight_* GET data_*->name` reads a key per element, made of the pattern and the
//! element. Such keys are in the slot of `key` only when their hash tag is that of a slot and does
//! not depend on the element; every other pattern is refused, with the words of Redis Cluster.
//!
//! ```text
//!   nosort          no `*`: Redis reads no key          {user1}:*   the tag stands before the `*`
//!   #               the element itself                  w_*         refused: any slot
//! ```

#[cfg(test)]
mod tests;

use routing::slot_of;

use crate::Args;
use crate::Rejection;

/// One option of a SORT request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SortOption<'a> {
    /// `BY pattern`
    By(&'a [u8]),
    /// `GET pattern`
    Get(&'a [u8]),
    /// `STORE destination`, by the destination's index.
    Store(usize),
}

/// The options of a SORT request that name keys, up to the first word that is no option: there
/// Redis ends with a syntax error.
pub(crate) fn options<'a>(args: &Args<'a>) -> impl Iterator<Item = SortOption<'a>> {
    let args = *args;
    let mut index = 2;
    std::iter::from_fn(move || {
        while args.get(index).is_some() {
            let at = index;
            let value = args.get(at + 1);
            index = at + 2;
            match value {
                _ if ["asc", "desc", "alpha"].iter().any(|word| args.is_word(at, word)) => {
                    index = at + 1;
                }
                Some(_) if args.is_word(at, "limit") && args.len() > at + 2 => index = at + 3,
                Some(_) if args.is_word(at, "store") => return Some(SortOption::Store(at + 1)),
                Some(pattern) if args.is_word(at, "by") => return Some(SortOption::By(pattern)),
                Some(pattern) if args.is_word(at, "get") => {
                    return Some(SortOption::Get(pattern));
                }
                _ => index = args.len(),
            }
        }
        None
    })
}

/// Refuses patterns that may read keys of other slots than that of the sorted key.
pub(crate) fn check_patterns(args: &Args<'_>) -> Result<(), Rejection> {
    let key = args.get(1).unwrap_or_default();
    for option in options(args) {
        match option {
            SortOption::By(pattern) if !stays_in_slot(pattern, key) => {
                return Err(Rejection::SortBy);
            }
            SortOption::Get(pattern) if !stays_in_slot(pattern, key) => {
                return Err(Rejection::SortGet);
            }
            SortOption::By(_) | SortOption::Get(_) | SortOption::Store(_) => {}
        }
    }
    Ok(())
}

/// Whether every key that the pattern can make lies in the slot of `key`.
fn stays_in_slot(pattern: &[u8], key: &[u8]) -> bool {
    let mut pieces = pattern.splitn(2, |byte| *byte == b'*');
    let before = pieces.next().unwrap_or_default();
    if pieces.next().is_none() {
        return true;
    }
    // The tag of a whole key is what stands between the first `{` and the next `}`. Both lie before
    // the `*`, or else the element could change it.
    let tag_starts = before.iter().position(|byte| *byte == b'{');
    let is_fixed =
        tag_starts.and_then(|start| before.get(start..)).is_some_and(|tag| tag.contains(&b'}'));
    is_fixed && slot_of(before) == slot_of(key)
}
