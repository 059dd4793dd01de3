//! What is common to those who have a session with a coordinator: how they begin it, how long it may
//! fail before that is told, and the form in which they tell how it stands.
//!
//! The JodisActor (`topology = "codis3"` with `jodis_addr`) and the MembershipActor (the other
//! topologies) answer [`QueryCoordinator`] at once, whatever their coordinator does.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use actix::prelude::*;
use config::{Config, CoordinatorName, Secret, Topology};
use coordinator::{Coordinator, CoordinatorError, Kind, Timeouts, connect};

/// The most alarms that are told one by one.
pub const ALARMS_TOLD_MAX: usize = 64;

/// How long calls may fail within a session before that is told: a coordinator that restarts is no
/// reason to call anybody.
pub(crate) const FAILING_AFTER: Duration = Duration::from_secs(5);

/// A session that is about to begin.
pub type Connecting = Pin<Box<dyn Future<Output = Result<Arc<dyn Coordinator>, CoordinatorError>>>>;

/// Begins sessions with a coordinator.
pub type Connect = Rc<dyn Fn() -> Connecting>;

/// Begins sessions with the coordinator at these addresses; credentials may be empty.
pub(crate) fn connect_by(kind: Kind, addrs: String, auth: Secret, timeouts: Timeouts) -> Connect {
    Rc::new(move || {
        let (addrs, auth) = (addrs.clone(), auth.clone());
        Box::pin(async move {
            let credentials = Some(auth.expose()).filter(|auth| !auth.is_empty());
            connect(kind, &addrs, credentials, timeouts).await
        })
    })
}

/// Asks how the proxy stands with its coordinator.
#[derive(Message)]
#[rtype(result = "CoordinatorReport")]
pub struct QueryCoordinator;

/// How the proxy stands with its coordinator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoordinatorReport {
    /// Who says which server has which slot.
    pub topology: Topology,
    /// The kind of the coordinator.
    pub kind: Kind,
    /// Its addresses.
    pub addrs: String,
    /// The contact with it.
    pub contact: Contact,
    /// When the session began; `None` without one.
    pub session_since: Option<SystemTime>,
    /// The sessions so far.
    pub sessions: u64,
    /// What the proxy does in the product.
    pub membership: MembershipState,
    /// The node that tells others of the proxy; `None` while there is none.
    pub node: Option<String>,
    /// The action that was dealt with last, of those that were meant for this proxy.
    pub last_action: Option<ActionReport>,
    /// Actions that have their answer.
    pub actions_answered: u64,
    /// Actions that wait for their effect, and so for their answer.
    pub actions_waiting: usize,
    /// What an operator has to look at: [`ALARMS_TOLD_MAX`] of them at most.
    pub alarms: Vec<Alarm>,
    /// How many alarms there are.
    pub alarm_count: usize,
}

/// The contact with the coordinator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contact {
    /// There is no session yet, or no longer: one is being asked for.
    Connecting,
    /// There is contact.
    Connected,
    /// The session goes on without contact.
    Disconnected,
}

impl Contact {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Connected => "connected",
            Self::Disconnected => "disconnected",
        }
    }
}

/// What the proxy does in the product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MembershipState {
    /// Nobody knows of it: it has not started, or has no session.
    Unregistered,
    /// It is registered and waits until the dashboard puts it online.
    Waiting,
    /// It serves clients.
    Online,
    /// It takes its leave.
    Leaving,
}

impl MembershipState {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Unregistered => "unregistered",
            Self::Waiting => "waiting",
            Self::Online => "online",
            Self::Leaving => "leaving",
        }
    }
}

/// An action and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActionReport {
    /// The name of its node.
    pub sequence: String,
    /// Its type, in the coordinator's word: `slot_migrate` and the like.
    pub kind: &'static str,
    /// When it was seen.
    pub seen: SystemTime,
    /// How long it took until its answer; `None` while it waits for one.
    pub answered_after: Option<Duration>,
}

/// Something that an operator has to look at, for as long as it is so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alarm {
    /// What is wrong and what to do.
    pub text: String,
    /// Since when.
    pub since: SystemTime,
}

/// The coordinator of the product, as the crate `coordinator` calls its kind.
#[must_use]
pub fn kind_of(config: &Config) -> Kind {
    match config.coordinator_name {
        CoordinatorName::ZooKeeper => Kind::ZooKeeper,
        CoordinatorName::Etcd => Kind::Etcd,
    }
}
