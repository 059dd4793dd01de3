//! Follows the Redis Sentinels of the product: when they replace the primary of a group, so does
//! this proxy, without waiting for a dashboard.
//!
//! ```text
//! sentinels ── +switch-master ──► follow ── trigger ──► ask ──► sentinels: SENTINEL masters
//!                                                        │ PrimariesFound      (a majority)
//!                                                        ▼
//!                       SentinelActor     apply ── SwitchPrimaries ──► TopologyActor
//! ```
//!
//! | message            | from         | what happens                                        |
//! |--------------------|--------------|-----------------------------------------------------|
//! | `WatchSentinels`   | admin server | other sentinels are watched; the same: asked anew   |
//! | `RewatchSentinels` | admin server | the watch begins again                              |
//! | `QuerySentinels`   | admin server | who is watched and what they said                   |
//! | `PrimariesFound`   | its watch    | kept, if the watch has not been replaced since      |
//!
//! A watch is two tasks (`watch`), which end when it is replaced. What sentinels say is judged in
//! `core`, asked for in `asking`, and carried out in `apply`.
//!
//! Supervision: started by wiring, lives as long as the process. A sentinel that fails is tried
//! again every `watch::RETRY_PERIOD`.
//!
//! Bounds: [`SENTINELS_MAX`] sentinels, one connection for events and one for questions to each;
//! every answer has a limit in bytes and time. One question and one switch at a time.

mod apply;
mod asking;
mod core;
mod watch;

use std::rc::Rc;
use std::sync::Arc;

use actix::prelude::*;
use routing::BackendAddr;
use slog::{Logger, info};

pub use self::core::Primaries;
use self::watch::{Watch, WatchContext};
use crate::topology::{QuerySlots, TopologyActor};
use crate::worker::Settings;

/// The most sentinels that are watched; a product has three or five.
pub const SENTINELS_MAX: usize = 64;

/// Names the sentinels to watch; none: nothing is watched.
#[derive(Message)]
#[rtype(result = "()")]
pub struct WatchSentinels {
    /// At most [`SENTINELS_MAX`] of them are used, each once.
    pub servers: Vec<BackendAddr>,
}

/// Begins the watch of the same sentinels again.
#[derive(Message)]
#[rtype(result = "()")]
pub struct RewatchSentinels;

/// Asks what is watched.
#[derive(Message)]
#[rtype(result = "SentinelReport")]
pub struct QuerySentinels;

/// What is watched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SentinelReport {
    /// The sentinels.
    pub servers: Vec<BackendAddr>,
    /// What a majority of them said last.
    pub primaries: Primaries,
    /// Some slot has a primary that sentinels chose and that nobody has filled since.
    pub is_switched: bool,
}

/// What a majority of the sentinels says.
#[derive(Message)]
#[rtype(result = "()")]
struct PrimariesFound {
    /// The number of the watch.
    watch: u64,
    primaries: Primaries,
}

/// See the module.
pub struct SentinelActor {
    settings: Arc<Settings>,
    topology: Addr<TopologyActor>,
    servers: Vec<BackendAddr>,
    watch: Option<Watch>,
    /// Counts the watches, so that the answer to an older one is known as such.
    watches: u64,
    primaries: Primaries,
    log: Logger,
}

impl SentinelActor {
    /// A follower of sentinels that watches none yet.
    #[must_use]
    pub fn new(settings: Arc<Settings>, topology: Addr<TopologyActor>, log: Logger) -> Self {
        let (servers, primaries) = (Vec::new(), Primaries::new());
        Self { settings, topology, servers, watch: None, watches: 0, primaries, log }
    }

    /// Ends the watch, forgets what was said, and begins anew.
    fn restart(&mut self, ctx: &Context<Self>) {
        self.watches += 1;
        self.watch = None;
        self.primaries.clear();
        let servers: Vec<String> = self.servers.iter().map(ToString::to_string).collect();
        info!(self.log, "sentinels to watch"; "sentinels" => servers.join(" "));
        if self.servers.is_empty() {
            return;
        }
        self.watch = Some(Watch::start(Rc::new(WatchContext {
            me: ctx.address(),
            number: self.watches,
            servers: self.servers.clone(),
            settings: Arc::clone(&self.settings),
            topology: self.topology.clone(),
            log: self.log.clone(),
        })));
    }
}

impl Actor for SentinelActor {
    type Context = Context<Self>;
}

impl Handler<WatchSentinels> for SentinelActor {
    type Result = ();

    fn handle(&mut self, order: WatchSentinels, ctx: &mut Self::Context) {
        let servers = core::without_doubles(order.servers, SENTINELS_MAX);
        if servers != self.servers {
            self.servers = servers;
            self.restart(ctx);
        } else if let Some(watch) = &self.watch {
            // Whoever orders the same again may have told the sentinels something new.
            watch.ask();
        }
    }
}

impl Handler<RewatchSentinels> for SentinelActor {
    type Result = ();

    fn handle(&mut self, _: RewatchSentinels, ctx: &mut Self::Context) {
        self.restart(ctx);
    }
}

impl Handler<QuerySentinels> for SentinelActor {
    type Result = ResponseFuture<SentinelReport>;

    fn handle(&mut self, _: QuerySentinels, _ctx: &mut Self::Context) -> Self::Result {
        let (servers, primaries) = (self.servers.clone(), self.primaries.clone());
        let table = self.topology.send(QuerySlots);
        Box::pin(async move {
            // Without an answer the proxy is stopping, and nobody reads this.
            let is_switched = table.await.is_ok_and(|table| {
                table.assignments().any(|(_, assignment)| assignment.is_switched)
            });
            SentinelReport { servers, primaries, is_switched }
        })
    }
}

impl Handler<PrimariesFound> for SentinelActor {
    type Result = ();

    fn handle(&mut self, found: PrimariesFound, _ctx: &mut Self::Context) {
        if found.watch == self.watches {
            self.primaries = found.primaries;
        }
    }
}
