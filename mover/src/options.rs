//! What is to be moved, where, and how: the order of an operator, checked.

use std::fmt;
use std::str::FromStr;

use routing::{BackendAddr, SLOTS, SlotId};
use serde::{Deserialize, Serialize};

use crate::error::MoverError;

/// The most slots that are worked on at once.
pub const SLOTS_AT_ONCE_MAX: usize = SLOTS;

/// The most sources that are worked on at once.
pub const CONCURRENCY_MAX: usize = 16;

/// The most proxies that take part in one move.
pub const PROXIES_MAX: usize = 64;

/// Slots in their order, each once. As text `0-99,200`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SlotSet(Vec<SlotId>);

impl SlotSet {
    /// The slots of a list, in any order.
    #[must_use]
    pub fn of(mut slots: Vec<SlotId>) -> Self {
        slots.sort_unstable();
        slots.dedup();
        Self(slots)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a slot is one of them.
    #[must_use]
    pub fn contains(&self, slot: SlotId) -> bool {
        self.0.binary_search(&slot).is_ok()
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = SlotId> + '_ {
        self.0.iter().copied()
    }

    /// In sets of at most this many.
    pub(crate) fn chunks(&self, size: usize) -> impl Iterator<Item = Self> + '_ {
        self.0.chunks(size.max(1)).map(|slots| Self(slots.to_vec()))
    }
}

impl FromStr for SlotSet {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| -> Result<u16, String> {
            let wrong = || format!("`{text}` is no slot, slots are numbered 0 to 1023");
            let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
            let number: u16 = text.parse().ok().filter(|_| is_plain).ok_or_else(wrong)?;
            SlotId::new(number).map(SlotId::number).ok_or_else(wrong)
        };
        let mut slots = Vec::new();
        for part in text.split(',').map(str::trim) {
            let (first, last) = match part.split_once('-') {
                Some((first, last)) => (number(first.trim())?, number(last.trim())?),
                None => (number(part)?, number(part)?),
            };
            if first > last {
                return Err(format!("`{part}` ends before it begins"));
            }
            slots.extend((first..=last).filter_map(SlotId::new));
        }
        Ok(Self::of(slots))
    }
}

impl TryFrom<String> for SlotSet {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<SlotSet> for String {
    fn from(slots: SlotSet) -> Self {
        slots.to_string()
    }
}

impl fmt::Display for SlotSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_next = |a: &SlotId, b: &SlotId| a.number() + 1 == b.number();
        for (place, range) in self.0.chunk_by(is_next).enumerate() {
            let comma = if place > 0 { "," } else { "" };
            match range {
                [first, .., last] => write!(f, "{comma}{first}-{last}")?,
                [only] => write!(f, "{comma}{only}")?,
                [] => {}
            }
        }
        Ok(())
    }
}

/// How keys are moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MethodChoice {
    /// The best that the source has: `codis-async`, then `codis-sync`, then `migrate`.
    #[default]
    Auto,
    /// SCAN and MIGRATE, of every Redis from 3.0.6 and every Valkey.
    Migrate,
    /// SLOTSMGRTTAGSLOT of Codis servers.
    CodisSync,
    /// SLOTSMGRTTAGSLOT-ASYNC of Codis servers.
    CodisAsync,
}

/// Which keys are compared on both servers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Comparison {
    /// None.
    None,
    /// One of 64.
    #[default]
    Sample,
    /// All.
    All,
}

/// How the keys are moved, and how fast.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MoveOptions {
    /// Slots that migrate at the same time.
    pub slots_at_once: usize,
    /// Sources that are worked on at the same time.
    pub concurrency: usize,
    /// 0: no limit.
    pub keys_per_second: u64,
    /// 0: no limit.
    pub bytes_per_second: u64,
    /// How long one MIGRATE should occupy the source.
    pub batch_time_ms: u64,
    /// The most keys of one MIGRATE.
    pub batch_keys_max: usize,
    /// The most bytes of one MIGRATE.
    pub batch_bytes_max: u64,
    /// Larger keys are reported, and moved last, one at a time.
    pub big_key_bytes: u64,
    /// Larger keys are not moved. 0: no limit.
    pub max_key_bytes: u64,
    /// Which keys are compared.
    pub verify: Comparison,
    /// How keys are moved.
    pub method: MethodChoice,
}

impl Default for MoveOptions {
    fn default() -> Self {
        Self {
            slots_at_once: 64,
            concurrency: 2,
            keys_per_second: 0,
            bytes_per_second: 0,
            batch_time_ms: 5,
            batch_keys_max: 1000,
            batch_bytes_max: 1 << 20,
            big_key_bytes: 1 << 20,
            max_key_bytes: 0,
            verify: Comparison::Sample,
            method: MethodChoice::Auto,
        }
    }
}

/// The order to move slots.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct MoveRequest {
    /// Which ones.
    pub slots: SlotSet,
    /// The primary that gets them.
    pub to: String,
    /// The id of its group; without it, that of other slots on the same primary, else 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<u32>,
    /// Addresses of the admin APIs of the other proxies that serve these slots.
    #[serde(default)]
    pub proxies: Vec<String>,
    /// How.
    #[serde(default)]
    pub options: MoveOptions,
}

impl MoveRequest {
    /// Checks what can be checked without asking anybody; gives the target.
    pub(crate) fn check(&self) -> Result<BackendAddr, MoverError> {
        let options = &self.options;
        let wrong = |text: String| Err(MoverError::Request { text });
        if self.slots.is_empty() {
            return wrong("no slot is named".to_owned());
        }
        if !(1..=SLOTS_AT_ONCE_MAX).contains(&options.slots_at_once) {
            return wrong(format!("`slots_at_once` is 1 to {SLOTS_AT_ONCE_MAX}"));
        }
        if !(1..=CONCURRENCY_MAX).contains(&options.concurrency) {
            return wrong(format!("`concurrency` is 1 to {CONCURRENCY_MAX}"));
        }
        if !(1..=1000).contains(&options.batch_time_ms) {
            return wrong("`batch_time_ms` is 1 to 1000".to_owned());
        }
        if !(1..=10_000).contains(&options.batch_keys_max) {
            return wrong("`batch_keys_max` is 1 to 10000".to_owned());
        }
        if !(1024..=64 << 20).contains(&options.batch_bytes_max) {
            return wrong("`batch_bytes_max` is 1024 to 64 MB".to_owned());
        }
        if options.big_key_bytes == 0 {
            return wrong("`big_key_bytes` is at least 1".to_owned());
        }
        let is_codis = matches!(options.method, MethodChoice::CodisSync | MethodChoice::CodisAsync);
        if is_codis && options.max_key_bytes > 0 {
            let text =
                "`max_key_bytes` needs the method `migrate`: a Codis server chooses the keys";
            return wrong(text.to_owned());
        }
        if self.proxies.len() >= PROXIES_MAX {
            return wrong(format!("more than {PROXIES_MAX} proxies"));
        }
        for (place, addr) in self.proxies.iter().enumerate() {
            config::check_connectable(addr)
                .map_err(|error| MoverError::Request { text: format!("proxy: {error}") })?;
            if self.proxies.iter().skip(place + 1).any(|other| other == addr) {
                return wrong(format!("proxy `{addr}` is named twice"));
            }
        }
        let text = |error: routing::RoutingError| MoverError::Request { text: error.to_string() };
        self.to.parse().map_err(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<&str, &str>) {
        let slots = text.parse::<SlotSet>().map(|slots| slots.to_string());
        assert_eq!(slots.as_deref().map_err(String::as_str), expected, "{text}");
    }

    #[test]
    fn slots_are_numbers_and_ranges() {
        check("0-99,200", Ok("0-99,200"));
        check("5, 3,4 , 1", Ok("1,3-5"));
        check("7,7,6-8", Ok("6-8"));
        check("0-1023", Ok("0-1023"));
    }

    #[test]
    fn what_is_no_slot_is_refused() {
        let wrong = |text: &str| format!("`{text}` is no slot, slots are numbered 0 to 1023");
        check("", Err(&wrong("")));
        check("1,", Err(&wrong("")));
        check("1024", Err(&wrong("1024")));
        check("+1", Err(&wrong("+1")));
        check("1-x", Err(&wrong("x")));
        check("9-8", Err("`9-8` ends before it begins"));
    }

    #[test]
    fn an_order_is_checked_before_anybody_is_asked() {
        let check = |order: serde_json::Value, expected: Option<&str>| {
            let order: MoveRequest = serde_json::from_value(order).unwrap();
            let error = order.check().err().map(|error| error.to_string());
            assert_eq!(error.as_deref(), expected);
        };
        let order = |options: serde_json::Value| serde_json::json!({"slots": "1", "to": "h:1", "options": options});
        check(order(serde_json::json!({})), None);
        let text = "`slots_at_once` is 1 to 1024";
        check(order(serde_json::json!({"slots_at_once": 0})), Some(text));
        let text = "`max_key_bytes` needs the method `migrate`: a Codis server chooses the keys";
        let codis = serde_json::json!({"method": "codis-sync", "max_key_bytes": 1});
        check(order(codis), Some(text));
        let twice = serde_json::json!({"slots": "1", "to": "h:1", "proxies": ["a:1", "a:1"]});
        check(twice, Some("proxy `a:1` is named twice"));
    }
}
