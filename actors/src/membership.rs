//! The proxy as a member of a product that lives in a coordinator, as Codis 1.9, Codis 2.0 and
//! RebornDB have it: it registers there, and its slots are what the nodes say.
//!
//! ```text
//! coordinator: proxy/ID, fence/ADDR  ◄── registration                          FillSlots, LockSlots
//!              slots, servers        ──► reading ──► routes ──► life, obeying ───────────► TopologyActor
//!              actions               ──► actions ──────────────────┘ │
//!              ActionResponse/N/ID   ◄───────────────────────────────┘ when the slots are drained
//! ```
//!
//! | message            | from         | what happens                                       |
//! |--------------------|--------------|----------------------------------------------------|
//! | `QueryCoordinator` | admin server | how it stands, at once                             |
//! | `LeaveProduct`     | wiring       | fence and node go; answered when they have gone    |
//!
//! The work is one task, its `life`; what it tells of itself stands in its `book`. Nothing of it is
//! on the data path: while the coordinator is away and the session is not over, requests are served
//! from the last routes.
//!
//! Supervision: started by wiring, lives as long as the process. What cannot be mended (another
//! proxy with the same id or address that does not go away) ends the process.
//!
//! Bounds: those of `reading` and `obeying`; one fill at a time; taking leave has a deadline.
//!
//! Invariants: L-1, L-2, L-3 (`life`), G-1, G-2 (`registration`). A-1 an action is answered only when
//! its slots are filled and drained since, and only if it names this process in this incarnation or
//! an earlier one (`obeying`). A-2 wrong nodes change no route (`routes`).

mod actions;
mod address;
mod book;
mod life;
mod link;
mod obeying;
mod reading;
mod registration;
mod routes;

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use config::Config;
use coordinator::{CoordinatorError, Timeouts};
use slog::Logger;
use tokio::sync::watch;
use tokio::time::timeout;

pub use self::address::advertised;
use self::book::Book;
use self::life::Life;
use crate::coordination::{
    Connect, CoordinatorReport, MembershipState, QueryCoordinator, connect_by, kind_of,
};
use crate::topology::TopologyActor;
use crate::worker::Shared;

/// How long taking leave may take, a last try to connect included.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(13);

/// What a member needs of the proxy around it.
pub struct Surroundings {
    /// The settings and the lifecycle.
    pub shared: Arc<Shared>,
    /// Fills the slots.
    pub topology: Addr<TopologyActor>,
    /// Begins sessions.
    pub connect: Connect,
    /// Where clients connect to, as told to others.
    pub addr: String,
    /// Where the figures are, as told to others.
    pub debug_var_addr: String,
    /// Whether `addr` is an address of this machine, as far as is known: whoever had it before ran
    /// here.
    pub is_own_host: bool,
    /// The time of now, as text: the start of an incarnation.
    pub start_at: Rc<dyn Fn() -> String>,
    /// Ends the proxy because it cannot be a member.
    pub fail: Rc<dyn Fn(String)>,
    /// Where it is told.
    pub log: Logger,
}

/// Begins sessions with the coordinator of the settings.
#[must_use]
pub fn connect_to_product(config: &Config) -> Connect {
    let (defaults, session) = (Timeouts::default(), config.coordinator_session_timeout);
    let timeouts = Timeouts { session, call: defaults.call.min(session / 2), ..defaults };
    let (addrs, auth) = (config.coordinator_addr.clone(), config.coordinator_auth.clone());
    connect_by(kind_of(config), addrs, auth, timeouts)
}

/// Takes leave of the product: when the proxy has stopped serving. Answered when the fence and the
/// node are gone, or when the deadline for that has passed.
#[derive(Message)]
#[rtype(result = "()")]
pub struct LeaveProduct;

/// See the module.
pub struct MembershipActor {
    /// Until it begins.
    life: Option<Life>,
    book: Rc<Book>,
    shared: Arc<Shared>,
    leave: watch::Sender<bool>,
    has_left: watch::Sender<bool>,
}

impl MembershipActor {
    /// A member to be.
    ///
    /// # Errors
    /// The product's name, the proxy's id or its address cannot be part of a path.
    pub fn new(around: Surroundings) -> Result<Self, CoordinatorError> {
        let shared = Arc::clone(&around.shared);
        let book = Rc::new(Book::new(&shared.settings.config, around.log.clone()));
        let (leave, ordered) = watch::channel(false);
        let (has_left, _) = watch::channel(false);
        let life = Some(Life::new(around, Rc::clone(&book), ordered)?);
        Ok(Self { life, book, shared, leave, has_left })
    }
}

impl Actor for MembershipActor {
    type Context = Context<Self>;

    fn started(&mut self, _ctx: &mut Self::Context) {
        let Some(life) = self.life.take() else { return };
        let has_left = self.has_left.clone();
        actix_rt::spawn(async move {
            life.live().await;
            has_left.send_replace(true);
        });
    }
}

impl Handler<QueryCoordinator> for MembershipActor {
    type Result = MessageResult<QueryCoordinator>;

    fn handle(&mut self, _: QueryCoordinator, _ctx: &mut Self::Context) -> Self::Result {
        let mut report: CoordinatorReport = self.book.report();
        if self.shared.lifecycle.is_closed() {
            report.membership = MembershipState::Leaving;
        }
        MessageResult(report)
    }
}

impl Handler<LeaveProduct> for MembershipActor {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: LeaveProduct, _ctx: &mut Self::Context) -> Self::Result {
        self.leave.send_replace(true);
        let mut has_left = self.has_left.subscribe();
        Box::pin(async move {
            let _ = timeout(LEAVE_TIMEOUT, has_left.wait_for(|has_left| *has_left)).await;
        })
    }
}

#[cfg(test)]
mod tests;
