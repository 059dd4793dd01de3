//! A dashboard of Codis 1.9, Codis 2.0 or RebornDB, played by the test: it tells the proxies of a
//! product through ZooKeeper, and waits for their answers, as those do.
//!
//! ```text
//!   dashboard                         ZooKeeper                            proxies
//!   writes the slot or the server ──► slots/..., servers/...
//!   tells of it ────────────────────► actions/SEQUENCE ──────────────────► read slots and servers
//!   waits for all who are online ◄─── ActionResponse/SEQUENCE/ID ◄──────── answer
//! ```
//! It writes before it tells, and takes nothing back when telling fails, as the originals do.
//!
//! * [`forms`]: the JSON of the nodes, byte for byte as captured; none of it is the proxy's code.
//! * [`actions`]: sequence numbers, answers, what happens to those who do not answer.
//! * [`proxies`]: who is online, fences.
//! * [`groups`]: servers, promotion, ranges of slots.
//! * [`migration`]: slots that move, with the bulk part on servers without Codis' commands.
//!
//! What it does not play, since no proxy sees it: locks, queues of tasks, the REST interface. It
//! looks for answers when ZooKeeper tells of some instead of twice a second.
//!
//! Bounds: one session; every wait has a deadline.

pub mod actions;
pub mod forms;
pub mod groups;
pub mod migration;
pub mod proxies;

use std::fmt;
use std::time::Duration;

use routing::SLOTS;

use crate::redis_server::RedisServer;
use crate::zookeeper::ZooKeeperClient;
use forms::{ServerForm, SlotForm};

/// The name of the product of all tests.
pub const PRODUCT: &str = "test";

/// The directories that a dashboard creates; `proxy` and `fence` are the proxies' business.
const DIRECTORIES: [&str; 5] = ["slots", "servers", "actions", "ActionResponse", "LOCK"];

/// Which dashboard it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavour {
    /// Codis 1.9.2, as 1.9.1 to 1.9.5.
    Codis192,
    /// Codis 1.9.8.
    Codis198,
    /// Codis 2.0.
    Codis20,
    /// RebornDB.
    Reborn,
}

impl Flavour {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Codis192, Self::Codis198, Self::Codis20, Self::Reborn];

    /// What a proxy of such a product has as its `topology`.
    #[must_use]
    pub fn topology(self) -> &'static str {
        match self {
            Self::Codis192 | Self::Codis198 => "codis1",
            Self::Codis20 => "codis2",
            Self::Reborn => "reborn",
        }
    }

    /// Where the products are.
    #[must_use]
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Codis192 | Self::Codis198 | Self::Codis20 => "/zk/codis",
            Self::Reborn => "/zk/reborn",
        }
    }

    /// How long it waits for answers.
    #[must_use]
    pub fn confirm_limit(self) -> Duration {
        match self {
            Self::Codis192 | Self::Codis20 | Self::Reborn => Duration::from_secs(30),
            Self::Codis198 => Duration::from_secs(10),
        }
    }

    /// Whether it wants the answers of those whom it asked, and of nobody else.
    fn wants_exact_answers(self) -> bool {
        self == Self::Codis192
    }

    /// Whether a slot that is about to migrate says so in its node.
    #[must_use]
    pub fn writes_pre_migrate(self) -> bool {
        matches!(self, Self::Codis198 | Self::Codis20)
    }
}

/// Why the dashboard did not get its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// There are fences of proxies that are not online.
    Fenced(Vec<String>),
    /// These proxies did not answer in time.
    Silent(Vec<String>),
    /// The call makes no sense as things are.
    Refused(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fenced(addrs) => {
                write!(f, "Some proxies may not stop cleanly: {}", addrs.join(" "))
            }
            Self::Silent(ids) => write!(f, "receiver timeout: {}", ids.join(" ")),
            Self::Refused(why) => f.write_str(why),
        }
    }
}

/// See the module.
#[derive(Debug)]
pub struct OldDashboard {
    client: ZooKeeperClient,
    flavour: Flavour,
    confirm_limit: Duration,
}

impl OldDashboard {
    /// A dashboard of a product that does not exist yet.
    #[must_use]
    pub fn new(client: ZooKeeperClient, flavour: Flavour) -> Self {
        Self { client, flavour, confirm_limit: flavour.confirm_limit() }
    }

    /// A dashboard of a product whose slots are all online, spread over these groups in order. The
    /// first server of a group is its primary. No action tells of how it became so.
    ///
    /// # Panics
    /// When ZooKeeper refuses.
    #[must_use]
    pub fn of_product(
        client: ZooKeeperClient,
        flavour: Flavour,
        groups: &[(i32, &[&RedisServer])],
    ) -> Self {
        let dashboard = Self::new(client, flavour);
        dashboard.create_directories();
        for (group, servers) in groups {
            dashboard.client.create_directory(&dashboard.group_path(*group));
            for (index, server) in servers.iter().enumerate() {
                let kind = if index == 0 { "master" } else { "slave" };
                let form = ServerForm::new(kind, *group, &server.addr().to_string());
                dashboard.write_server(&form);
            }
        }
        let slots = (0..SLOTS).map(|id| {
            let group = groups.get(id * groups.len() / SLOTS).map_or(-1, |(group, _)| *group);
            let form = SlotForm::online(id, group);
            (dashboard.slot_path(id), form.json())
        });
        dashboard.client.create_many(slots);
        dashboard
    }

    /// The same with another time for answers than the flavour has.
    #[must_use]
    pub fn with_confirm_limit(mut self, limit: Duration) -> Self {
        self.confirm_limit = limit;
        self
    }

    /// The session with ZooKeeper.
    #[must_use]
    pub fn client(&self) -> &ZooKeeperClient {
        &self.client
    }

    /// Which dashboard it is.
    #[must_use]
    pub fn flavour(&self) -> Flavour {
        self.flavour
    }

    /// The path of a node of the product, such as `slots/slot_7`.
    #[must_use]
    pub fn path(&self, name: &str) -> String {
        format!("{}/db_{PRODUCT}/{name}", self.flavour.prefix())
    }

    /// Where a slot is.
    #[must_use]
    pub fn slot_path(&self, slot: usize) -> String {
        self.path(&format!("slots/slot_{slot}"))
    }

    /// Where the servers of a group are.
    #[must_use]
    pub fn group_path(&self, group: i32) -> String {
        self.path(&format!("servers/group_{group}"))
    }

    /// Where a server is.
    #[must_use]
    pub fn server_path(&self, group: i32, addr: &str) -> String {
        self.path(&format!("servers/group_{group}/{addr}"))
    }

    /// Creates what every product has.
    ///
    /// # Panics
    /// When ZooKeeper refuses.
    pub fn create_directories(&self) {
        for directory in DIRECTORIES {
            self.client.create_directory(&self.path(directory));
        }
    }

    /// A slot as it is stored.
    ///
    /// # Panics
    /// When there is none, or it cannot be understood.
    #[must_use]
    pub fn slot(&self, slot: usize) -> SlotForm {
        let path = self.slot_path(slot);
        SlotForm::parse(&self.client.data(&path)).unwrap_or_else(|why| panic!("{path}: {why}"))
    }

    /// Stores a slot, and tells nobody.
    ///
    /// # Panics
    /// When ZooKeeper refuses.
    pub fn write_slot(&self, form: &SlotForm) {
        self.client.put(&self.slot_path(form.id), &form.json());
    }

    /// Stores a server, and tells nobody.
    ///
    /// # Panics
    /// When ZooKeeper refuses.
    pub fn write_server(&self, form: &ServerForm) {
        self.client.put(&self.server_path(form.group_id, &form.addr), &form.json());
    }
}

#[cfg(test)]
mod tests;
