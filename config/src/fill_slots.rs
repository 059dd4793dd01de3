//! The file of `--fillslots`: which backend serves each slot, in the slot form of Codis 3.2.
//!
//! ```json
//! [{"id": 0, "backend_addr": "10.0.0.1:6379", "backend_addr_group_id": 1,
//!   "replica_groups": [["10.0.1.1:6379"]]},
//!  {"id": 1}]
//! ```
//!
//! Only `id` must be there; a slot without `backend_addr`, or without an element, is offline.
//! The file is read strictly: an unknown key, a repeated slot, a wrong type is an error that says
//! which element it is in and where, since a file that is half understood would send keys to
//! servers that do not hold them.
//!
//! An order of a dashboard (`PUT fillslots`) has the same form, and Codis' programs write it in
//! Go's manner: [`parse_order`] reads that as strictly in its values, but lets unknown keys, keys in
//! either case and repeated slots pass, of which the last counts (`order.rs`).

use std::fmt;
use std::marker::PhantomData;

use serde::de::{DeserializeSeed, Deserializer, Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::addr;
use order::OrderedSlot;

mod order;

/// How many slots there are.
const SLOTS: usize = 1024;

/// One element: what a slot's entry says. Written, it leaves out what is at its zero value.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SlotForm {
    /// The slot, 0 to 1023.
    pub id: u16,
    /// Whether requests to the slot wait.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub locked: bool,
    /// The primary, `host:port`; empty: the slot is offline.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub backend_addr: String,
    /// The group of that primary; a label.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub backend_addr_group_id: i64,
    /// The primary that keys are moved from; empty: the slot does not migrate.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub migrate_from: String,
    /// The group of that primary; a label.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub migrate_from_group_id: i64,
    /// Whether the target's key counts where both servers have it.
    #[serde(default)]
    pub migrate_keeps_target: bool,
    /// How keys are moved: 0 sync, 1 semi-async. Says nothing while nothing is moved.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub forward_method: u8,
    /// The replicas, the nearest first, each as `host:port`.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub replica_groups: Vec<Vec<String>>,
}

fn is_zero<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// A file that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{name}:{line}:{column}: {}{text}", element_text(*.element))]
pub struct FillSlotsError {
    /// The name of the file.
    pub name: String,
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1.
    pub column: usize,
    /// The element of the array, from 0, if it is the fault of one.
    pub element: Option<usize>,
    /// What is wrong and what to do.
    pub text: String,
}

fn element_text(element: Option<usize>) -> String {
    element.map_or_else(String::new, |index| format!("element {index}: "))
}

/// Reads a file; `name` is what errors call it.
///
/// # Errors
/// The first thing that is wrong, with its place.
pub fn parse(name: &str, text: &str) -> Result<Vec<SlotForm>, FillSlotsError> {
    read::<_, SlotForm>(name, serde_json::Deserializer::from_str(text))
}

/// Reads the body of an order to fill slots; `name` is what errors call it.
///
/// # Errors
/// The first thing that is wrong, with its place.
pub fn parse_order(name: &str, body: &[u8]) -> Result<Vec<SlotForm>, FillSlotsError> {
    read::<_, OrderedSlot>(name, serde_json::Deserializer::from_slice(body))
}

fn read<'de, R, E>(
    name: &str,
    mut json: serde_json::Deserializer<R>,
) -> Result<Vec<SlotForm>, FillSlotsError>
where
    R: serde_json::de::Read<'de>,
    E: Element<'de>,
{
    let mut element = None;
    let elements = Elements::<E> { current: &mut element, dialect: PhantomData };
    elements.deserialize(&mut json).and_then(|slots| json.end().map(|()| slots)).map_err(|error| {
        FillSlotsError {
            name: name.to_owned(),
            line: error.line(),
            column: error.column(),
            element,
            text: without_place(&error),
        }
    })
}

/// The text of an error without the place that serde_json puts at its end.
fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    text.strip_suffix(&place).unwrap_or(&text).to_owned()
}

/// One of the two ways to write an element.
trait Element<'de>: Deserialize<'de> + Into<SlotForm> {
    /// Whether a slot may be named again, to be what the last element says.
    const MAY_REPEAT: bool;

    /// Checks what the types do not say.
    fn check(slot: &SlotForm) -> Result<(), String>;
}

impl Element<'_> for SlotForm {
    const MAY_REPEAT: bool = false;

    fn check(slot: &SlotForm) -> Result<(), String> {
        check(slot)
    }
}

/// Reads the array and keeps count, so that an error can name its element.
struct Elements<'a, E> {
    current: &'a mut Option<usize>,
    dialect: PhantomData<E>,
}

impl<'de, E: Element<'de>> DeserializeSeed<'de> for Elements<'_, E> {
    type Value = Vec<SlotForm>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Vec<SlotForm>, D::Error> {
        json.deserialize_seq(self)
    }
}

impl<'de, E: Element<'de>> Visitor<'de> for Elements<'_, E> {
    type Value = Vec<SlotForm>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of slots")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Vec<SlotForm>, A::Error> {
        let mut seen = [false; SLOTS];
        let mut slots = Vec::new();
        loop {
            *self.current = Some(slots.len());
            let Some(slot) = array.next_element::<E>()? else {
                break;
            };
            let slot: SlotForm = slot.into();
            E::check(&slot).map_err(A::Error::custom)?;
            match seen.get_mut(usize::from(slot.id)) {
                Some(seen) if E::MAY_REPEAT || !*seen => *seen = true,
                Some(_) => {
                    let text = format!("slot `{}` is already in an earlier element", slot.id);
                    return Err(A::Error::custom(text));
                }
                None => {
                    let text = format!("slot `{}` does not exist, slots are 0 to 1023", slot.id);
                    return Err(A::Error::custom(text));
                }
            }
            slots.push(slot);
        }
        *self.current = None;
        Ok(slots)
    }
}

/// Checks what the types do not say.
fn check(slot: &SlotForm) -> Result<(), String> {
    check_forward_method(slot)?;
    let replicas = slot.replica_groups.iter().flatten();
    if slot.backend_addr.is_empty() && replicas.clone().next().is_some() {
        return Err(format!("slot `{}` has replicas but no `backend_addr`", slot.id));
    }
    if !slot.migrate_from.is_empty() && slot.backend_addr.is_empty() {
        return Err(format!("slot `{}` has a `migrate_from` but no `backend_addr`", slot.id));
    }
    let named = [&slot.backend_addr, &slot.migrate_from];
    let primaries = named.into_iter().filter(|addr| !addr.is_empty());
    for text in primaries.chain(replicas) {
        addr::check_connectable(text).map_err(|error| error.to_string())?;
    }
    Ok(())
}

fn check_forward_method(slot: &SlotForm) -> Result<(), String> {
    match slot.forward_method {
        0 | 1 => Ok(()),
        other => Err(format!("`forward_method` is 0 (sync) or 1 (semi-async), not {other}")),
    }
}

#[cfg(test)]
mod tests;
