//! Fixtures of the black-box tests: real servers, the built binary, and clients that speak bytes.
//!
//! * [`wait`]: deadlines, and the one place that polls: [`wait_until`].
//! * [`process`]: a child process that never outlives its test.
//! * [`redis_server`]: a real `redis-server` on a free port with its own folder.
//! * [`sentinel`]: a real Redis Sentinel.
//! * [`proxy`]: the built `keyway`, its log, and the checks at its end.
//! * [`raw_client`]: a TCP client that sends any bytes and reads replies unparsed.
//! * [`admin`]: a dashboard's side of the admin API.
//! * [`browser`]: a headless Chromium.
//! * [`fake_server`]: a scripted redis server, for commands that a stock one lacks.
//! * [`groups`]: two groups of servers with a proxy before them, as most tests want them.
//! * [`moves`]: servers, proxies and data for moves of slots that Keyway's own mover makes.
//! * [`history`]: what clients were told, and whether that can be.
//! * [`workload`]: clients that make such histories.
//! * [`counter`]: a client that counts, to see which server a proxy uses.
//! * [`slot_mover`]: moves slots forth and back under two proxies, as a dashboard does.
//! * [`zookeeper`]: a real ZooKeeper, three of them, and a session of the test's own.
//! * [`old_dashboard`]: a dashboard of Codis 1.9, Codis 2.0 or RebornDB.
//! * [`product`]: such a product with two groups, ready for proxies.
//! * [`etcd`]: a real etcd.
//! * [`gate`]: stands between a client and a server, and holds or cuts what passes.
//! * [`http_receiver`]: a scripted HTTP server, for what the proxy calls.
//! * [`log`], [`ports`], [`random`], [`reply`], [`value`]: what those are made of.
//!
//! The tests stand in `tests/`; each owns its servers, so all of them may run at once. A fixture
//! fails its test by a panic that says what was expected and what was seen last. A missing
//! `redis-server` or `keyway` fails as well, with the line that gets it: a skipped test is a
//! test nobody runs.

#![expect(clippy::panic, reason = "a fixture fails its test by panicking")]

pub mod admin;
pub mod browser;
pub mod counter;
pub mod etcd;
pub mod fake_server;
pub mod gate;
pub mod groups;
pub mod history;
pub mod http_receiver;
pub mod log;
pub mod moves;
pub mod old_dashboard;
pub mod ports;
pub mod process;
pub mod product;
pub mod proxy;
pub mod random;
pub mod raw_client;
pub mod redis_server;
pub mod reply;
pub mod sentinel;
pub mod slot_mover;
pub mod value;
pub mod wait;
pub mod workload;
pub mod zookeeper;

pub use admin::AdminClient;
pub use browser::Browser;
pub use etcd::Etcd;
pub use fake_server::FakeServer;
pub use gate::Gate;
pub use groups::TwoGroups;
pub use old_dashboard::OldDashboard;
pub use product::Product;
pub use proxy::KeywayProxy;
pub use raw_client::RawClient;
pub use redis_server::RedisServer;
pub use sentinel::Sentinel;
pub use slot_mover::SlotMover;
pub use wait::{DEADLINE, Deadline, wait_until};
pub use zookeeper::{Ensemble, ZooKeeper, ZooKeeperClient};
