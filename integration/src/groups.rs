//! Two groups of servers with a proxy before them.
//!
//! Group 1 serves the lower half of the slots, group 2 the upper half. The replicas, where there
//! are any, serve the reads of their group.

use std::time::Duration;

use routing::{SLOTS, SlotId, slot_of};
use serde_json::{Value, json};

use crate::proxy::{KeywayProxy, ProxyOptions};
use crate::raw_client::RawClient;
use crate::redis_server::{RedisOptions, RedisServer};
use crate::wait::wait_until;

/// One of the two groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Serves the lower half of the slots.
    One,
    /// Serves the upper half of the slots.
    Two,
}

impl Group {
    /// Both groups in order.
    pub const BOTH: [Self; 2] = [Self::One, Self::Two];

    /// The group that serves a slot.
    #[must_use]
    pub fn of(slot: SlotId) -> Self {
        if slot.index() < SLOTS / 2 { Self::One } else { Self::Two }
    }

    /// A key of this group; equal names give equal keys.
    #[must_use]
    pub fn key(self, name: &str) -> String {
        (0_u32..)
            .map(|number| format!("{name}:{number}"))
            .find(|key| Self::of(slot_of(key.as_bytes())) == self)
            .unwrap_or_default()
    }
}

/// Two primaries, perhaps their replicas, and a proxy.
#[derive(Debug)]
pub struct TwoGroups {
    // Dropped first, while its servers are still there: their end is no matter of its log.
    /// The proxy over both groups.
    pub proxy: KeywayProxy,
    /// The replicas of the groups, in order; none when the test wants none.
    pub replicas: Vec<RedisServer>,
    /// The primary of group one.
    pub one: RedisServer,
    /// The primary of group two.
    pub two: RedisServer,
}

impl TwoGroups {
    /// Two primaries and a proxy with the defaults.
    ///
    /// # Panics
    /// When one of them does not start.
    #[must_use]
    pub fn start() -> Self {
        Self::with(KeywayProxy::options())
    }

    /// Two primaries and a proxy with these options.
    ///
    /// # Panics
    /// When one of them does not start.
    #[must_use]
    pub fn with(options: ProxyOptions) -> Self {
        let (one, two) = (RedisServer::start(), RedisServer::start());
        Self { proxy: options.over([&one, &two]).start(), replicas: Vec::new(), one, two }
    }

    /// Two primaries, a replica of each with these options, and a proxy that reads from them.
    ///
    /// # Panics
    /// When one of them does not start.
    #[must_use]
    pub fn with_replicas(options: ProxyOptions, replica: &RedisOptions) -> Self {
        let (one, two) = (RedisServer::start(), RedisServer::start());
        let replicas = [&one, &two].map(|primary| replica.clone().replica_of(primary).start());
        let slots: Vec<Value> = SlotId::all()
            .map(|slot| {
                let (group, primary, replica) = match Group::of(slot) {
                    Group::One => (1, &one, &replicas[0]),
                    Group::Two => (2, &two, &replicas[1]),
                };
                json!({
                    "id": slot.number(),
                    "backend_addr": primary.addr().to_string(),
                    "backend_addr_group_id": group,
                    "replica_groups": [[replica.addr().to_string()]],
                })
            })
            .collect();
        Self {
            proxy: options.fill_slots(Value::from(slots)).start(),
            replicas: replicas.into(),
            one,
            two,
        }
    }

    /// The primary of a group.
    #[must_use]
    pub fn primary(&self, group: Group) -> &RedisServer {
        match group {
            Group::One => &self.one,
            Group::Two => &self.two,
        }
    }

    /// A new connection to the proxy.
    ///
    /// # Panics
    /// When the proxy does not accept it.
    #[must_use]
    pub fn client(&self) -> RawClient {
        self.proxy.client()
    }
}

/// Waits until a command gets this reply, on a connection of its own for each attempt.
///
/// # Panics
/// When it does not at the deadline.
pub fn wait_reply(proxy: &KeywayProxy, command: &[&str], reply: &str, deadline: Duration) {
    let what = format!("the reply {reply:?} to {command:?}");
    wait_until(&what, deadline, || match proxy.client().text(command) {
        seen if seen == reply => Ok(()),
        seen => Err(seen),
    });
}

#[cfg(test)]
mod tests;
