//! The JSON of Codis 3. The order of the fields is the order in the files.

use serde::Deserialize;
use serde::Serialize;

use crate::codec::Stored;
use crate::codec::is_zero;

/// How far the migration of a slot has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActionState {
    /// There is none.
    #[default]
    #[serde(rename = "")]
    Nothing,
    /// It waits for its turn.
    Pending,
    /// The proxies are about to be told.
    Preparing,
    /// The proxies hold the slot.
    Prepared,
    /// Keys move.
    Migrating,
    /// All keys have moved; the proxies are about to be told.
    Finished,
}

/// What happens to a slot.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Action {
    /// Its place in the queue.
    #[serde(skip_serializing_if = "is_zero")]
    pub index: u32,
    /// How far it has come.
    #[serde(skip_serializing_if = "is_zero")]
    pub state: ActionState,
    /// The group that the keys go to; 0 for none.
    #[serde(skip_serializing_if = "is_zero")]
    pub target_id: u16,
}

/// A slot. A slot without a node is offline.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Slot {
    /// Its number.
    pub id: u16,
    /// The group that serves it; 0 for none.
    pub group_id: u16,
    /// What happens to it.
    pub action: Action,
}

/// How far the synchronisation of a replica has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SyncState {
    /// There is none.
    #[default]
    #[serde(rename = "")]
    Nothing,
    /// It waits for its turn.
    Pending,
    /// Under way.
    Syncing,
    /// Done.
    Synced,
    /// Failed.
    SyncedFailed,
}

/// The order to synchronise a server with its group's primary.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SyncAction {
    /// Its place in the queue.
    #[serde(skip_serializing_if = "is_zero")]
    pub index: u32,
    /// How far it has come.
    #[serde(skip_serializing_if = "is_zero")]
    pub state: SyncState,
}

/// A server of a group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct GroupServer {
    /// Its address.
    #[serde(rename = "server")]
    pub addr: String,
    /// Where it is.
    pub datacenter: String,
    /// What happens to it.
    pub action: SyncAction,
    /// May reads go to it?
    pub replica_group: bool,
}

/// How far the exchange of a group's primary has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PromotingState {
    /// There is none.
    #[default]
    #[serde(rename = "")]
    Nothing,
    /// The proxies are about to be told.
    Preparing,
    /// The proxies hold the group's slots.
    Prepared,
    /// The new primary is in place; the proxies are about to be told.
    Finished,
}

/// The exchange of a group's primary.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Promoting {
    /// Which server is to become the primary.
    #[serde(skip_serializing_if = "is_zero")]
    pub index: u32,
    /// How far it has come.
    #[serde(skip_serializing_if = "is_zero")]
    pub state: PromotingState,
}

/// A group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Group {
    /// Its number.
    pub id: u16,
    /// Its servers; the first one is the primary.
    pub servers: Vec<GroupServer>,
    /// Whether its primary is being exchanged.
    pub promoting: Promoting,
    /// May proxies have an older form of the group?
    pub out_of_sync: bool,
}

/// The sentinels.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sentinels {
    /// Their addresses.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub servers: Vec<String>,
    /// May they have an older form of the groups?
    pub out_of_sync: bool,
}

/// A proxy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Proxy {
    /// The number that the dashboard has given it.
    #[serde(skip_serializing_if = "is_zero")]
    pub id: u32,
    /// What identifies it.
    pub token: String,
    /// When it was started; free text.
    pub start_time: String,
    /// Where its admin API is.
    pub admin_addr: String,
    /// The kind of network its clients use.
    pub proto_type: String,
    /// Where its clients connect to.
    pub proxy_addr: String,
    /// Where it registers for clients; empty when it does not.
    #[serde(skip_serializing_if = "is_zero")]
    pub jodis_path: String,
    /// The product.
    pub product_name: String,
    /// Its process.
    pub pid: u32,
    /// The folder it works in.
    pub pwd: String,
    /// The system it runs on; free text.
    pub sys: String,
    /// Its machine.
    pub hostname: String,
    /// Where that is.
    pub datacenter: String,
}

/// The dashboard.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Dashboard {
    /// What identifies it.
    pub token: String,
    /// When it was started; free text.
    pub start_time: String,
    /// Where its API is.
    pub admin_addr: String,
    /// The product.
    pub product_name: String,
    /// Its process.
    pub pid: u32,
    /// The folder it works in.
    pub pwd: String,
    /// The system it runs on; free text.
    pub sys: String,
}

/// What clients learn of a proxy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Jodis {
    /// Where to connect to: host and port, without the brackets of IPv6.
    pub addr: String,
    /// Where its admin API is.
    pub admin: String,
    /// When it was started; free text.
    pub start: String,
    /// Always `online`: clients skip a proxy in any other state.
    pub state: String,
    /// What identifies it.
    pub token: String,
}

impl Stored for Slot {
    const WHAT: &'static str = "a slot";
    const IS_PRETTY: bool = true;
}

impl Stored for Group {
    const WHAT: &'static str = "a group";
    const IS_PRETTY: bool = true;
}

impl Stored for Sentinels {
    const WHAT: &'static str = "the sentinels";
    const IS_PRETTY: bool = true;
}

impl Stored for Proxy {
    const WHAT: &'static str = "a proxy";
    const IS_PRETTY: bool = true;
}

impl Stored for Dashboard {
    const WHAT: &'static str = "a dashboard";
    const IS_PRETTY: bool = true;
}

impl Stored for Jodis {
    const WHAT: &'static str = "a proxy for clients";
    const IS_PRETTY: bool = true;
}
