//! The JSON of Codis 1 and 2. The order of the fields is the order in the nodes.

use serde::Deserialize;
use serde::Serialize;

use crate::codec::Stored;
use crate::codec::null_if_empty;

/// What a slot does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SlotStatus {
    /// Nobody serves it.
    #[default]
    Offline,
    /// Its group serves it.
    Online,
    /// It is about to migrate: requests wait.
    PreMigrate,
    /// Its keys move from another group to its group.
    Migrate,
}

/// Where the keys of a slot move; -1 and -1 when they do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MigrateStatus {
    /// The group that they come from.
    pub from: i32,
    /// The group that they go to.
    pub to: i32,
}

impl Default for MigrateStatus {
    fn default() -> Self {
        Self { from: -1, to: -1 }
    }
}

/// The state of a slot. Without its status it is none: to take it for offline would cost the slot
/// its route.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotState {
    /// What it does.
    pub status: SlotStatus,
    /// Where its keys move.
    #[serde(default)]
    pub migrate_status: MigrateStatus,
    /// Always `0`.
    #[serde(default)]
    pub last_op_ts: String,
}

/// A slot. It has to have a group, if only -1, and a state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    /// The product.
    #[serde(default)]
    pub product_name: String,
    /// Its number.
    #[serde(default)]
    pub id: i32,
    /// The group that serves it; while it migrates already the target; -1 for none.
    pub group_id: i32,
    /// Its state.
    pub state: SlotState,
}

/// What a server is to its group. The words are the format's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ServerType {
    /// The primary.
    #[serde(rename = "master")]
    Primary,
    /// A replica.
    #[serde(rename = "slave")]
    Replica,
    /// Out of use.
    #[default]
    #[serde(rename = "offline")]
    Offline,
}

/// A server of a group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Server {
    /// What it is.
    #[serde(rename = "type")]
    pub kind: ServerType,
    /// Its group.
    pub group_id: i32,
    /// Its address.
    pub addr: String,
}

/// A group. There is no node for it; it is in actions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Group {
    /// Its number.
    pub id: i32,
    /// The product.
    pub product_name: String,
    /// Its servers, in no order.
    #[serde(serialize_with = "null_if_empty")]
    pub servers: Vec<Server>,
}

/// What a proxy does, or is told to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProxyState {
    /// It waits for being switched on.
    #[default]
    Offline,
    /// It serves clients.
    Online,
    /// It has to go.
    MarkOffline,
}

/// A proxy. It creates its node, and dashboards rewrite it: other members would get lost.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Proxy {
    /// Its name.
    pub id: String,
    /// Where clients connect to.
    pub addr: String,
    /// Unused.
    pub last_event: String,
    /// Unused.
    pub last_event_ts: i64,
    /// What it does.
    pub state: ProxyState,
    /// Free text.
    pub description: String,
    /// Where its figures are.
    pub debug_var_addr: String,
    /// Its process.
    pub pid: i64,
    /// When it was started: a text that is only compared.
    pub start_at: String,
}

/// Who holds the lock, or waits for it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Lock {
    /// What for.
    pub desc: String,
    /// The machine.
    pub hostname: String,
    /// The process.
    pub pid: i64,
}

/// A slot that is to be migrated (Codis 2.0).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Task {
    /// The slot.
    pub slot_id: i32,
    /// Its target.
    pub new_group: i32,
    /// The pause between steps in milliseconds.
    pub delay: i64,
    /// When it was ordered, in seconds.
    pub create_at: String,
    /// How much is done.
    pub percent: i32,
    /// Free text: `pending` and the like.
    pub status: String,
}

/// The dashboard that runs (Codis 2.0, RebornDB).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Dashboard {
    /// Where its API is.
    pub addr: String,
    /// Its process.
    pub pid: i64,
}

/// An agent (RebornDB).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Agent {
    /// Its name.
    #[serde(rename = "ID")]
    pub id: String,
    /// Where its API is.
    pub addr: String,
    /// Its process.
    pub pid: i64,
}

/// The agent that leads (RebornDB).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Leader {
    /// Its machine.
    pub hostname: String,
    /// Its process.
    pub pid: i64,
}

impl Stored for Slot {
    const WHAT: &'static str = "a slot";
    const IS_PRETTY: bool = false;
}

impl Stored for Server {
    const WHAT: &'static str = "a server";
    const IS_PRETTY: bool = false;
}

impl Stored for Group {
    const WHAT: &'static str = "a group";
    const IS_PRETTY: bool = false;
}

impl Stored for Proxy {
    const WHAT: &'static str = "a proxy";
    const IS_PRETTY: bool = false;
}

impl Stored for Lock {
    const WHAT: &'static str = "a lock";
    const IS_PRETTY: bool = false;
}

impl Stored for Task {
    const WHAT: &'static str = "a migration task";
    const IS_PRETTY: bool = false;
}

impl Stored for Dashboard {
    const WHAT: &'static str = "a dashboard";
    const IS_PRETTY: bool = false;
}

impl Stored for Agent {
    const WHAT: &'static str = "an agent";
    const IS_PRETTY: bool = false;
}

impl Stored for Leader {
    const WHAT: &'static str = "a leader";
    const IS_PRETTY: bool = false;
}
