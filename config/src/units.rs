//! Lengths of time and numbers of bytes as an operator writes them.
//!
//! | kind  | forms                                                                       |
//! |-------|-----------------------------------------------------------------------------|
//! | time  | a number with `ns`, `us`, `ms`, `s`, `m` or `h`; without a unit: seconds     |
//! | bytes | a number with `b`, `k`/`kb`, `m`/`mb`, `g`/`gb`, `t`/`tb` or `p`/`pb` (1024) |
//!
//! The number may have a fraction (`1.5s`); what is left below a nanosecond or a byte is dropped.
//! The texts written by [`duration_text`] and [`size_text`] are read back to the same value.
//!
//! Bounds: a time is at most [`DURATION_MAX`], so that adding it to a clock cannot overflow; a
//! size fits a `usize`.

use std::time::Duration;

/// The longest time a setting may have: a year.
pub(crate) const DURATION_MAX: Duration = Duration::from_secs(365 * 24 * 60 * 60);

const TIME_UNITS: &[(&str, u128)] = &[
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

const SIZE_UNITS: &[(&str, u128)] = &[
    ("pb", 1 << 50),
    ("tb", 1 << 40),
    ("gb", 1 << 30),
    ("mb", 1 << 20),
    ("kb", 1 << 10),
    ("p", 1 << 50),
    ("t", 1 << 40),
    ("g", 1 << 30),
    ("m", 1 << 20),
    ("k", 1 << 10),
    ("b", 1),
];

/// Digits before and after the point beyond which a number is refused rather than computed; with
/// them and the largest unit the arithmetic stays far below the end of a `u128`.
const DIGITS_MAX: usize = 20;

/// Reads a length of time; the error goes on after the name of a setting.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let nanos = parse(text, TIME_UNITS, "s").ok_or_else(|| {
        format!("cannot be `{text}`: write a number and ns, us, ms, s, m or h, like `30s`")
    })?;
    u64::try_from(nanos)
        .map(Duration::from_nanos)
        .ok()
        .filter(|time| *time <= DURATION_MAX)
        .ok_or_else(|| format!("cannot be `{text}`: the longest time is a year, `8760h`"))
}

/// Reads a number of bytes; the error goes on after the name of a setting.
///
/// # Errors
/// The text is no number of bytes.
pub fn parse_size(text: &str) -> Result<usize, String> {
    let bytes = parse(text, SIZE_UNITS, "b").ok_or_else(|| {
        format!("cannot be `{text}`: write a number and b, kb, mb, gb, tb or pb, like `64mb`")
    })?;
    usize::try_from(bytes)
        .map_err(|_| format!("cannot be `{text}`: no process has that many bytes"))
}

/// Writes a length of time with the largest unit that divides it.
#[must_use]
pub fn duration_text(time: Duration) -> String {
    largest_unit(time.as_nanos(), TIME_UNITS)
}

/// Writes a number of bytes with the largest unit that divides it; single bytes have none.
#[must_use]
pub fn size_text(bytes: usize) -> String {
    largest_unit(bytes as u128, SIZE_UNITS)
}

fn largest_unit(amount: u128, units: &[(&str, u128)]) -> String {
    let exact = units.iter().find(|(_, scale)| amount.is_multiple_of(*scale));
    match exact {
        None | Some(("b", _)) => amount.to_string(),
        Some(_) if amount == 0 => amount.to_string(),
        Some((unit, scale)) => format!("{}{unit}", amount / scale),
    }
}

/// Reads a number, its fraction dropped below one, and multiplies it by its unit.
fn parse(text: &str, units: &[(&str, u128)], bare: &str) -> Option<u128> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(end)?;
    let unit = match unit.trim_start() {
        "" => bare,
        unit => unit,
    };
    let (_, scale) = units.iter().find(|(name, _)| *name == unit)?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let whole_value = digits(whole)?;
    let fraction_value = digits(fraction)?;
    let fraction_scale = 10_u128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let from_fraction = fraction_value.checked_mul(*scale)? / fraction_scale;
    whole_value.checked_mul(*scale)?.checked_add(from_fraction)
}

fn digits(text: &str) -> Option<u128> {
    let is_number =
        (1..=DIGITS_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    if is_number { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests;
