//! Finds the keys of a request.
//!
//! The server describes where the keys of each command stand; the description is in the data
//! file and is followed here:
//!
//! ```text
//!   begin: at an index, or after a keyword      find: a range (last key, step, share of the rest)
//!                                                     or as many as a number says
//!   BITOP AND dest k1 k2     begin 2, range to 0      and  begin 3, range to the end
//!   EVAL script 2 k1 k2      begin 2, as many as the number there says
//! ```
//!
//! Two kinds of commands need their own parser, because the words that introduce their keys can
//! also be names: SORT and XREAD. GETKEYS and routing use the same extraction.

#[cfg(test)]
mod tests;

use serde_json::Value;
use smallvec::SmallVec;

use crate::Args;
use crate::Command;
use crate::data;
use crate::sort;
use crate::sort::SortOption;

/// The place of [`SORT`](sort)'s destination among the specs of its data.
const SORT_STORE_SPEC: usize = 2;

/// A key of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeyPosition {
    /// The argument that is the key.
    pub(crate) index: usize,
    /// The spec that led to it; it knows what the command does with the key.
    pub(crate) spec: usize,
}

/// The keys could not be found: the request is one that Redis refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeysNotFound;

/// How the keys of a command are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyRule {
    /// One key at this index and no other: the fast path.
    Single(usize),
    /// By the server's specs; without specs there are no keys.
    Specs,
    /// By the options of SORT.
    Sort,
    /// By the options of XREAD and XREADGROUP.
    Streams,
}

/// Where keys stand in a request, in the server's words.
#[derive(Debug)]
pub(crate) struct KeySpec {
    begin: Begin,
    find: Find,
    /// What the command does with these keys: `RO`, `access`...
    flags: Vec<Box<str>>,
}

#[derive(Debug)]
enum Begin {
    Index(usize),
    /// After the keyword, which is looked for from `start_from` on.
    Keyword {
        word: Box<str>,
        start_from: usize,
    },
    /// Only a parser of the command's own can tell.
    Unknown,
}

#[derive(Debug)]
enum Find {
    /// Keys up to `last_key`, counted from the first one; negative numbers count from the end of
    /// the request, or of its `limit`-th part.
    Range {
        last_key: i64,
        step: usize,
        limit: i64,
    },
    /// As many keys as the argument `number` says; all counted from where the search begins.
    KeyNum {
        number: usize,
        first_key: usize,
        step: usize,
    },
    Unknown,
}

impl KeyRule {
    /// The rule of a command with these specs.
    pub(crate) fn of(name: &str, specs: &[KeySpec]) -> Self {
        match (name, specs) {
            ("sort" | "sort_ro", _) => Self::Sort,
            ("xread" | "xreadgroup", _) => Self::Streams,
            (_, [spec]) if !spec.is_not_key() => match (&spec.begin, &spec.find) {
                (Begin::Index(index), Find::Range { last_key: 0, .. }) => Self::Single(*index),
                _ => Self::Specs,
            },
            _ => Self::Specs,
        }
    }

    /// The index of the only key.
    pub(crate) const fn single(self) -> Option<usize> {
        match self {
            Self::Single(index) => Some(index),
            Self::Specs | Self::Sort | Self::Streams => None,
        }
    }
}

impl KeySpec {
    /// Reads a spec from an entry of `COMMAND`; `None` when its form is unknown.
    pub(crate) fn read(spec: &Value) -> Option<Self> {
        let flags = data::texts(data::map_value(spec, "flags")?).map(Box::from).collect();
        let (begin, find) = (part(spec, "begin_search")?, part(spec, "find_keys")?);
        let begin = match begin {
            ("index", spec) => Begin::Index(number(spec, "index")?),
            ("keyword", spec) => Begin::Keyword {
                word: data::map_text(spec, "keyword")?.into(),
                // MIGRATE searches from the end, which is not done here: it is refused anyway.
                start_from: number(spec, "startfrom").unwrap_or(1),
            },
            ("unknown", _) => Begin::Unknown,
            _ => return None,
        };
        let find = match find {
            ("range", spec) => Find::Range {
                last_key: data::map_value(spec, "lastkey")?.as_i64()?,
                step: number(spec, "keystep").filter(|step| *step > 0)?,
                limit: data::map_value(spec, "limit")?.as_i64()?,
            },
            ("keynum", spec) => Find::KeyNum {
                number: number(spec, "keynumidx")?,
                first_key: number(spec, "firstkey")?,
                step: number(spec, "keystep").filter(|step| *step > 0)?,
            },
            ("unknown", _) => Find::Unknown,
            _ => return None,
        };
        Some(Self { begin, find, flags })
    }

    /// What the command does with these keys.
    pub(crate) fn flags(&self) -> impl ExactSizeIterator<Item = &str> {
        self.flags.iter().map(|flag| &**flag)
    }

    /// Whether these arguments are no keys, though hashed like keys in a Redis Cluster: the
    /// channels of sharded publish and subscribe.
    pub(crate) fn is_not_key(&self) -> bool {
        self.flags().any(|flag| flag == "not_key")
    }
}

/// The type and the spec of one half of a key spec.
fn part<'v>(spec: &'v Value, name: &str) -> Option<(&'v str, &'v Value)> {
    let half = data::map_value(spec, name)?;
    Some((data::map_text(half, "type")?, data::map_value(half, "spec")?))
}

fn number(spec: &Value, name: &str) -> Option<usize> {
    usize::try_from(data::map_value(spec, name)?.as_u64()?).ok()
}

/// Appends the positions of all keys to `keys`.
///
/// On an error `keys` holds what was found before it.
pub(crate) fn find(
    command: &Command,
    args: &Args<'_>,
    keys: &mut SmallVec<[KeyPosition; 16]>,
) -> Result<(), KeysNotFound> {
    match command.key_rule {
        KeyRule::Single(index) if index < args.len() => keys.push(KeyPosition { index, spec: 0 }),
        KeyRule::Single(_) => return Err(KeysNotFound),
        KeyRule::Specs => {
            for (number, spec) in command.key_specs.iter().enumerate() {
                if !spec.is_not_key() {
                    find_by_spec(spec, number, args, keys)?;
                }
            }
        }
        KeyRule::Sort if args.len() < 2 => return Err(KeysNotFound),
        KeyRule::Sort => {
            keys.push(KeyPosition { index: 1, spec: 0 });
            // Of several destinations Redis takes the last one. SORT_RO has none: there the word
            // is a syntax error.
            let stores = sort::options(args).filter_map(|option| match option {
                SortOption::Store(index) => Some(index),
                SortOption::By(_) | SortOption::Get(_) => None,
            });
            if command.key_specs.len() > SORT_STORE_SPEC {
                let store = stores.last();
                keys.extend(store.map(|index| KeyPosition { index, spec: SORT_STORE_SPEC }));
            }
        }
        KeyRule::Streams => {
            let first = stream_options(args).first_stream.ok_or(KeysNotFound)?;
            // One id follows for each stream.
            let count = args.len().saturating_sub(first) / 2;
            if count == 0 {
                return Err(KeysNotFound);
            }
            keys.extend((first..first + count).map(|index| KeyPosition { index, spec: 0 }));
        }
    }
    Ok(())
}

fn find_by_spec(
    spec: &KeySpec,
    number: usize,
    args: &Args<'_>,
    keys: &mut SmallVec<[KeyPosition; 16]>,
) -> Result<(), KeysNotFound> {
    match &spec.begin {
        Begin::Index(index) => find_from(spec, number, *index, args, keys),
        Begin::Keyword { word, start_from } => {
            // Redis' own extraction takes the first occurrence, its GEORADIUS the last: all of
            // them count, or else a destination could slip into a foreign slot. A keyword at the
            // very end is a syntax error that Redis finds.
            for index in *start_from..args.len().saturating_sub(1) {
                if args.is_word(index, word) {
                    find_from(spec, number, index + 1, args, keys)?;
                }
            }
            Ok(())
        }
        Begin::Unknown => Err(KeysNotFound),
    }
}

/// Follows the second half of a spec, whose first half led to the argument `begin`.
fn find_from(
    spec: &KeySpec,
    number: usize,
    begin: usize,
    args: &Args<'_>,
    keys: &mut SmallVec<[KeyPosition; 16]>,
) -> Result<(), KeysNotFound> {
    let (first, last, step) = match spec.find {
        Find::Range { last_key, step, limit } => {
            let last = last_of_range(begin, args.len(), last_key, limit).ok_or(KeysNotFound)?;
            (begin, last, step)
        }
        Find::KeyNum { number, first_key, step } => {
            let count = args.get(begin + number).and_then(strict_count).ok_or(KeysNotFound)?;
            let first = begin + first_key;
            let end = first.checked_add(count).ok_or(KeysNotFound)?;
            (first, end.checked_sub(1).ok_or(KeysNotFound)?, step)
        }
        Find::Unknown => return Err(KeysNotFound),
    };
    if last < first || last >= args.len() {
        return Err(KeysNotFound);
    }
    keys.extend((first..=last).step_by(step).map(|index| KeyPosition { index, spec: number }));
    Ok(())
}

/// The index of a range's last key.
fn last_of_range(first: usize, args: usize, last_key: i64, limit: i64) -> Option<usize> {
    let first = i64::try_from(first).ok()?;
    let args = i64::try_from(args).ok()?;
    let last = match (last_key, limit) {
        (0.., _) => first.checked_add(last_key)?,
        (_, ..=1) => args.checked_add(last_key)?,
        _ => first.checked_add((args - first) / limit)?.checked_add(last_key)?,
    };
    usize::try_from(last).ok()
}

/// A number of keys as Redis reads it: digits only, no leading zero.
fn strict_count(text: &[u8]) -> Option<usize> {
    let is_number = match text {
        [b'0'] => true,
        [b'1'..=b'9', rest @ ..] => rest.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    let text = std::str::from_utf8(text).ok().filter(|_| is_number)?;
    text.parse().ok()
}

/// What the options of XREAD and XREADGROUP say.
#[derive(Clone, Copy, Debug, Default)]
struct StreamOptions {
    first_stream: Option<usize>,
    blocks: bool,
}

/// Reads options as Redis does, up to STREAMS or to the first word that is none.
fn stream_options(args: &Args<'_>) -> StreamOptions {
    let mut found = StreamOptions::default();
    let mut index = 1;
    while index + 1 < args.len() {
        if args.is_word(index, "streams") {
            found.first_stream = Some(index + 1);
            break;
        } else if args.is_word(index, "block") {
            found.blocks = true;
            index += 2;
        } else if args.is_word(index, "count") {
            index += 2;
        } else if args.is_word(index, "group") {
            index += 3;
        } else if args.is_word(index, "noack") {
            index += 1;
        } else {
            break;
        }
    }
    found
}

/// Whether an XREAD or XREADGROUP waits for entries.
pub(crate) fn has_block_option(args: &Args<'_>) -> bool {
    stream_options(args).blocks
}

/// Whether every operation of a BITFIELD is a GET.
pub(crate) fn bitfield_only_reads(args: &Args<'_>) -> bool {
    let mut index = 2;
    while index < args.len() {
        let left = args.len() - index - 1;
        if args.is_word(index, "get") && left >= 2 {
            index += 3;
        } else if args.is_word(index, "overflow") && left >= 1 {
            index += 2;
        } else {
            return false;
        }
    }
    true
}
