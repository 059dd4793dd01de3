//! Judges a list to which clients append values that are all different.
//!
//! The longest list that was read tells the order in which the appends ran, so that nothing needs
//! to be searched: an append stands at the length that it made, a read at the length that it saw.
//! These levels must never fall: not from a request to one that was sent after its end, and not
//! from one request of a client to its next.
//!
//! The last event must be a read that began when all others had ended, or lost appends would
//! not be found.

use std::collections::HashMap;

use super::{Answer, Event, Operation, Outcome};

/// Checks the events of one list.
///
/// # Errors
/// What is wrong.
pub fn check(events: &[Event]) -> Result<(), String> {
    let last = final_list(events)?;
    let mut levels = HashMap::new();
    for (place, value) in last.iter().enumerate() {
        if levels.insert(*value, place as u64 + 1).is_some() {
            return Err(format!("`{value}` is there twice"));
        }
    }
    let appended =
        |value: &u64| events.iter().any(|event| event.operation == Operation::Append(*value));
    if let Some(value) = last.iter().find(|value| !appended(value)) {
        return Err(format!("nobody has appended `{value}`"));
    }
    let mut placed = Vec::new();
    for event in events {
        if let Some(level) = level(event, last, &levels)? {
            placed.push((event, level));
        }
    }
    check_clock(&placed)?;
    check_clients(&mut placed)
}

/// What the last read saw.
fn final_list(events: &[Event]) -> Result<&[u64], String> {
    let last = events.iter().max_by_key(|event| event.sent_ns).ok_or("no events")?;
    let ended = events.iter().filter(|event| event != &last).map(|event| event.ended_ns).max();
    match last.answer() {
        Some(Answer::Values(list)) if ended <= Some(last.sent_ns) => Ok(list),
        _ => Err("the list was not read at the end".into()),
    }
}

/// Where an event stands; `None` when it did not run, or changed and told nothing.
fn level(event: &Event, last: &[u64], levels: &HashMap<u64, u64>) -> Result<Option<u64>, String> {
    match &event.operation {
        Operation::Append(value) => {
            let level = levels.get(value).copied();
            match (&event.outcome, level) {
                (Outcome::Answered(Answer::Number(len)), Some(level)) => {
                    if u64::try_from(*len) == Ok(level) {
                        return Ok(Some(level));
                    }
                    Err(format!("`{value}` made {len} values and is the one numbered {level}"))
                }
                (Outcome::Answered(Answer::Number(_)), None) => {
                    Err(format!("the append of `{value}` was acknowledged and is lost"))
                }
                (Outcome::NotExecuted, Some(_)) => {
                    Err(format!("the append of `{value}` was said not to be executed, and was"))
                }
                (Outcome::NotExecuted, None) => Ok(None),
                (Outcome::Unknown, level) => Ok(level),
                (Outcome::Answered(other), _) => Err(format!("an append is not told {other:?}")),
            }
        }
        Operation::List => match &event.outcome {
            Outcome::Answered(Answer::Values(list)) if last.starts_with(list) => {
                Ok(Some(list.len() as u64))
            }
            Outcome::Answered(answer) => Err(format!("{answer:?} is no beginning of the list")),
            Outcome::NotExecuted | Outcome::Unknown => Ok(None),
        },
        other => Err(format!("{other:?} is not for lists")),
    }
}

/// Checks that nothing stands lower than what had ended before it was sent.
fn check_clock(placed: &[(&Event, u64)]) -> Result<(), String> {
    let mut by_sent: Vec<_> = placed.to_vec();
    by_sent.sort_by_key(|(event, _)| event.sent_ns);
    // Nobody knows when the unanswered ones ran.
    let mut by_end: Vec<_> = placed.iter().filter(|(event, _)| event.answer().is_some()).collect();
    by_end.sort_by_key(|(event, _)| event.ended_ns);
    let mut ended = by_end.into_iter().peekable();
    let mut highest: Option<(&Event, u64)> = None;
    for (event, level) in by_sent {
        while let Some(before) = ended.next_if(|(before, _)| before.ended_ns < event.sent_ns) {
            if highest.is_none_or(|(_, level)| level < before.1) {
                highest = Some(*before);
            }
        }
        if let Some((before, reached)) = highest
            && is_lower(event, level, reached)
        {
            return Err(format!("level {level} of {event:?} after level {reached} of {before:?}"));
        }
    }
    Ok(())
}

/// Checks that the requests of each client ran in its order, where that is known.
fn check_clients(placed: &mut [(&Event, u64)]) -> Result<(), String> {
    placed.sort_by_key(|(event, _)| (event.client, event.sequence));
    for pair in placed.windows(2) {
        let [(before, reached), (event, level)] = pair else {
            continue;
        };
        let are_known = before.answer().is_some() && event.answer().is_some();
        if before.client == event.client && are_known && is_lower(event, *level, *reached) {
            return Err(format!("level {level} of {event:?} after level {reached} of {before:?}"));
        }
    }
    Ok(())
}

/// An append makes the list longer than it ever was; a read may see the same again.
fn is_lower(event: &Event, level: u64, reached: u64) -> bool {
    match event.operation {
        Operation::Append(_) => level <= reached,
        _ => level < reached,
    }
}
