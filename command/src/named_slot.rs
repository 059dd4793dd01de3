//! A slot that a client names by its number, as commands of Codis have it.
//!
//! Numbers are read, and faults told, as a Codis proxy does it, whatever `compat` says: the
//! commands are its own. The library of its language speaks in the texts.

#[cfg(test)]
mod tests;

use routing::SlotId;

use crate::Rejection;

/// What is wrong with the number of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotFault {
    /// No number at all.
    NoNumber,
    /// A number beyond 64 bits.
    TooLarge,
    /// A number that no slot has.
    NoSlot,
}

impl SlotFault {
    /// The fault in words, as it ends the error's text.
    pub(crate) fn describe(self, given: &[u8]) -> Vec<u8> {
        let cause: &[u8] = match self {
            Self::NoNumber => b"invalid syntax",
            Self::TooLarge => b"value out of range",
            Self::NoSlot => return b"out of range".to_vec(),
        };
        [b"strconv.ParseInt: parsing \"", &*quoted(given), b"\": ", cause].concat()
    }
}

/// Reads the number of a slot.
///
/// # Errors
/// The text is no number, or that of no slot.
pub fn named_slot(text: &[u8]) -> Result<SlotId, Rejection> {
    let refused = |fault| Rejection::named_slot(text, fault);
    let digits = text.strip_prefix(b"-").or_else(|| text.strip_prefix(b"+")).unwrap_or(text);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(refused(SlotFault::NoNumber));
    }
    let number = std::str::from_utf8(text).ok().and_then(|text| text.parse::<i64>().ok());
    let number = number.ok_or_else(|| refused(SlotFault::TooLarge))?;
    let slot = u16::try_from(number).ok().and_then(SlotId::new);
    slot.ok_or_else(|| refused(SlotFault::NoSlot))
}

/// The inside of a text in double quotes: what cannot be printed is escaped.
fn quoted(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for letter in String::from_utf8_lossy(text).chars() {
        match u8::try_from(letter).ok().filter(u8::is_ascii) {
            Some(byte) if byte != b'\'' => out.extend(byte.escape_ascii()),
            _ => out.extend(letter.encode_utf8(&mut [0; 4]).bytes()),
        }
    }
    out
}
