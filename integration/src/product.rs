//! A product in ZooKeeper, ready for proxies: two groups of one server each, with half of the slots
//! each, and the dashboard that manages them.
//!
//! A proxy is started by the test and declared after the product, so that it ends before what it
//! needs does.

use std::time::Duration;

use routing::SlotId;

use crate::admin::AdminClient;
use crate::old_dashboard::migration::key_of;
use crate::old_dashboard::{Flavour, OldDashboard};
use crate::proxy::{KeywayProxy, ProxyOptions};
use crate::raw_client::{RawClient, encode};
use crate::redis_server::RedisServer;
use crate::wait::{DEADLINE, wait_until};
use crate::zookeeper::ZooKeeper;

/// A slot of group 1, and one of group 2.
pub const SLOTS_OF_GROUPS: [usize; 2] = [7, 700];

/// Long enough to see an answer that should not come.
pub const MOMENT: Duration = Duration::from_millis(700);

/// See the module.
#[derive(Debug)]
pub struct Product {
    /// The dashboard.
    pub dashboard: OldDashboard,
    /// The coordinator.
    pub zookeeper: ZooKeeper,
    /// The primary of group 1.
    pub one: RedisServer,
    /// The primary of group 2.
    pub two: RedisServer,
}

impl Product {
    /// Starts the servers and writes the product.
    ///
    /// # Panics
    /// When one of them does not start.
    #[must_use]
    pub fn start(flavour: Flavour) -> Self {
        Self::start_on(ZooKeeper::start(), flavour)
    }

    /// The same on this coordinator.
    ///
    /// # Panics
    /// As [`Self::start`].
    #[must_use]
    pub fn start_on(zookeeper: ZooKeeper, flavour: Flavour) -> Self {
        let (one, two) = (RedisServer::start(), RedisServer::start());
        let groups: [(i32, &[&RedisServer]); 2] = [(1, &[&one]), (2, &[&two])];
        let dashboard = OldDashboard::of_product(zookeeper.client(), flavour, &groups);
        // The least that any flavour gives, so that a test ends in time.
        let dashboard = dashboard.with_confirm_limit(DEADLINE);
        Self { dashboard, zookeeper, one, two }
    }

    /// What a proxy of the product is started with.
    #[must_use]
    pub fn options(&self, id: &str) -> ProxyOptions {
        self.dashboard.proxy_options(id, &self.zookeeper.addr().to_string())
    }

    /// Starts a proxy and puts it online.
    ///
    /// # Panics
    /// When it does not serve in time.
    #[must_use]
    pub fn start_online(&self, id: &str) -> KeywayProxy {
        self.dashboard.start_online(id, self.options(id))
    }

    /// Checks that a proxy sends the slots of each group to the group's server.
    ///
    /// # Panics
    /// When it does not.
    pub fn check_routes(&self, proxy: &KeywayProxy) {
        let mut client = proxy.client();
        for (slot, server) in SLOTS_OF_GROUPS.into_iter().zip([&self.one, &self.two]) {
            let key = key_in(slot, "routed");
            assert_eq!(client.text(&["SET", &key, "1"]), "+OK\r\n");
            assert_eq!(server.client().text(&["GET", &key]), "$1\r\n1\r\n", "slot {slot}");
        }
    }
}

/// A key of a slot, by the slot's number.
///
/// # Panics
/// When there is no such slot.
#[must_use]
pub fn key_in(slot: usize, name: &str) -> String {
    let slot = u16::try_from(slot).ok().and_then(SlotId::new);
    key_of(slot.unwrap_or_else(|| panic!("there is no such slot")), name)
}

/// The alarms that a proxy shows at present.
///
/// # Panics
/// When it does not tell.
#[must_use]
pub fn alarms(proxy: &KeywayProxy) -> Vec<String> {
    let reply = AdminClient::connect(proxy.admin_addr(), "").get("/keyway/coordinator");
    assert_eq!(reply.status, 200, "{}", reply.text());
    let report = reply.json();
    let alarms = report.pointer("/coordinator/alarms").and_then(serde_json::Value::as_array);
    let alarms = alarms.cloned();
    let alarms = alarms.unwrap_or_else(|| panic!("no alarms in {report}"));
    let text = |alarm: serde_json::Value| Some(alarm.get("text")?.as_str()?.to_owned());
    alarms.into_iter().filter_map(text).collect()
}

/// Waits until a proxy has warned of something whose text contains all of these.
///
/// # Panics
/// When it has not in time.
pub fn wait_alarm(proxy: &KeywayProxy, parts: &[&str]) {
    wait_until(&format!("the proxy warns of {parts:?}"), DEADLINE, || {
        let lines = proxy.log().lines();
        let alarms: Vec<String> =
            lines.iter().filter_map(|line| line.field("alarm")).map(str::to_owned).collect();
        let is_it = |alarm: &String| parts.iter().all(|part| alarm.contains(part));
        if alarms.iter().any(is_it) { Ok(()) } else { Err(alarms) }
    });
}

/// Sends a request and returns when the proxy has read it, whatever its server does: it goes in one
/// piece with one for the other group, which is answered.
///
/// # Panics
/// When that is not answered.
pub fn send_surely(client: &mut RawClient, arguments: &[&str]) {
    let other = key_in(SLOTS_OF_GROUPS[1], "absent");
    client.send([encode(&["EXISTS", &other]), encode(arguments)].concat());
    assert_eq!(client.read_reply(), b":0\r\n");
}
