//! Actions: what the dashboard wants the proxies to take note of, and whose answer it wants.

use serde::Deserialize;
use serde::Deserializer;
use serde::Serialize;
use serde::Serializer;
use serde::de::Error;
use serde_json::Value;

use super::forms::Group;
use super::forms::Proxy;
use super::forms::Slot;
use crate::codec::Stored;
use crate::codec::null_if_empty;
use crate::codec::parse;

/// Some slots that were changed at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SlotRange {
    /// The first one; -1 when there is none.
    pub from: i32,
    /// The last one; -1 when there is none.
    pub to: i32,
    /// What they do, in the word of a [`SlotStatus`](super::SlotStatus). Their nodes count, so that
    /// any other word does no harm.
    pub status: String,
    /// The group that serves them.
    pub group_id: i32,
}

impl Default for SlotRange {
    fn default() -> Self {
        Self { from: -1, to: -1, status: "offline".to_owned(), group_id: -1 }
    }
}

/// What has happened. What it happened to is there as it was then; its node says how it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A slot has changed.
    SlotChanged(Slot),
    /// A slot is about to migrate.
    SlotPreMigrate(Slot),
    /// A slot migrates.
    SlotMigrate(Slot),
    /// Slots have changed.
    MultiSlotChanged(SlotRange),
    /// A group has changed.
    GroupChanged(Group),
    /// A group is gone.
    GroupRemove(Group),
}

/// An action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action {
    /// What has happened.
    pub event: Event,
    /// Free text.
    pub desc: String,
    /// When, in seconds.
    pub ts: String,
    /// Who has to take note: what [`is_receiver`] understands.
    pub receivers: Vec<String>,
}

/// An action in its stored form.
#[derive(Serialize, Deserialize)]
struct Wire<T> {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    desc: String,
    target: T,
    #[serde(default)]
    ts: String,
    #[serde(default, serialize_with = "null_if_empty")]
    receivers: Vec<String>,
}

impl Serialize for Action {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.event {
            Event::SlotChanged(slot) => self.wire("slot_changed", slot).serialize(serializer),
            Event::SlotPreMigrate(slot) => self.wire("slot_premigrate", slot).serialize(serializer),
            Event::SlotMigrate(slot) => self.wire("slot_migrate", slot).serialize(serializer),
            Event::MultiSlotChanged(slots) => {
                self.wire("multi_slot_changed", slots).serialize(serializer)
            }
            Event::GroupChanged(group) => self.wire("group_changed", group).serialize(serializer),
            Event::GroupRemove(group) => self.wire("group_remove", group).serialize(serializer),
        }
    }
}

impl Action {
    fn wire<'a, T>(&'a self, kind: &str, target: &'a T) -> Wire<&'a T> {
        Wire {
            kind: kind.to_owned(),
            desc: self.desc.clone(),
            target,
            ts: self.ts.clone(),
            receivers: self.receivers.clone(),
        }
    }
}

impl<'de> Deserialize<'de> for Action {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wire = Wire::<Value>::deserialize(deserializer)?;
        let target = wire.target;
        let event = match wire.kind.as_str() {
            "slot_changed" => Slot::deserialize(target).map(Event::SlotChanged),
            "slot_premigrate" => Slot::deserialize(target).map(Event::SlotPreMigrate),
            "slot_migrate" => Slot::deserialize(target).map(Event::SlotMigrate),
            "multi_slot_changed" => SlotRange::deserialize(target).map(Event::MultiSlotChanged),
            "group_changed" => Group::deserialize(target).map(Event::GroupChanged),
            "group_remove" => Group::deserialize(target).map(Event::GroupRemove),
            kind => return Err(D::Error::custom(format!("unknown type of action `{kind}`"))),
        };
        let event = event.map_err(D::Error::custom)?;
        Ok(Self { event, desc: wire.desc, ts: wire.ts, receivers: wire.receivers })
    }
}

impl Stored for Action {
    const WHAT: &'static str = "an action";
    const IS_PRETTY: bool = false;
}

/// Does an action with these receivers mean this proxy?
///
/// A receiver is the JSON of a proxy in a text; it means the process with the same id, process id
/// and start, whatever else has changed. From very old dashboards it is the bare id.
#[must_use]
pub fn is_receiver(receivers: &[String], proxy: &Proxy) -> bool {
    receivers.iter().any(|receiver| match parse::<Proxy>(receiver.as_bytes()) {
        Ok(meant) => {
            meant.id == proxy.id && meant.pid == proxy.pid && meant.start_at == proxy.start_at
        }
        Err(_) => *receiver == proxy.id,
    })
}
