//! Tells Jodis clients of this proxy: keeps its node in a coordinator while it takes clients.
//!
//! ```text
//!   Lifecycle: started ──► registration ── create, watch ──► coordinator ◄── Jodis clients
//!                              ▲   │ standing
//!           LeaveJodis ── JodisActor ◄── QueryCoordinator
//! ```
//!
//! | message            | from         | what happens                                             |
//! |--------------------|--------------|----------------------------------------------------------|
//! | `LeaveJodis`       | wiring       | the node is deleted; answered when it is, or after a limit |
//! | `QueryCoordinator` | admin server | how it stands, without asking the coordinator            |
//!
//! The node is `/jodis/PRODUCT/proxy-TOKEN`, or with `jodis_compatible` the one of Codis 2. It is
//! written once with all its data, since clients read it as soon as it is there, and goes away
//! with the proxy's session. `registration` is all of it; this file is the actor around it.
//!
//! Supervision: started by wiring, lives as long as the process. Whatever the coordinator does,
//! requests are served: nothing here is on the data path.
//!
//! Bounds: one session, one call at a time, each with a time limit; pauses between attempts.

mod registration;
mod standing;

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use config::{Config, Topology};
use coordinator::codis3::{Jodis, Paths};
use coordinator::{CoordinatorError, Kind, NodePath, Timeouts};
use slog::Logger;
use thiserror::Error;

use self::registration::{Around, Registration};
use crate::chance::Chance;
use crate::coordination::{CoordinatorReport, QueryCoordinator, connect_by};
use crate::worker::Shared;

/// How long connecting to the coordinator may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long one call to it may take.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);

/// The session's timeout when the setting is 0.
const SESSION_TIMEOUT: Duration = Duration::from_secs(5);

/// Deletes the node and ends the session. Answered when that is done, or cannot be done soon.
#[derive(Message)]
#[rtype(result = "()")]
pub struct LeaveJodis;

/// Why the proxy cannot be registered at all.
#[derive(Debug, Error)]
pub enum JodisError {
    /// There is no such kind of coordinator.
    #[error("`jodis_name` is `{name}`; Jodis clients find proxies in `zookeeper` or `etcd`")]
    Name {
        /// The setting.
        name: String,
    },
    /// The product or the token cannot be part of a path.
    #[error(transparent)]
    Path(#[from] CoordinatorError),
}

/// The node of the proxy with this token; `None` when it does not register.
///
/// # Errors
/// When there can be no such node.
pub fn node_path(config: &Config, token: &str) -> Result<Option<NodePath>, CoordinatorError> {
    if config.topology != Topology::Codis3 || config.jodis_addr.is_empty() {
        return Ok(None);
    }
    Paths::new(&config.product_name)?.jodis(token, config.jodis_compatible).map(Some)
}

fn kind_of(name: &str) -> Result<Kind, JodisError> {
    match name {
        "zookeeper" | "zk" => Ok(Kind::ZooKeeper),
        "etcd" => Ok(Kind::Etcd),
        _ => Err(JodisError::Name { name: name.to_owned() }),
    }
}

/// See the module.
pub struct JodisActor {
    registration: Rc<Registration>,
}

impl JodisActor {
    /// The actor that registers the proxy as `told`; `None` when the settings do not ask for it.
    ///
    /// # Errors
    /// When the settings ask for what cannot be.
    pub fn new(
        shared: &Arc<Shared>,
        told: &Jodis,
        log: &Logger,
    ) -> Result<Option<Self>, JodisError> {
        let config = &shared.settings.config;
        let Some(path) = node_path(config, &told.token)? else {
            return Ok(None);
        };
        let kind = kind_of(&config.jodis_name)?;
        let session = Some(config.jodis_timeout).filter(|timeout| !timeout.is_zero());
        let timeouts = Timeouts {
            connect: CONNECT_TIMEOUT,
            call: CALL_TIMEOUT,
            session: session.unwrap_or(SESSION_TIMEOUT),
        };
        let (addrs, auth) = (config.jodis_addr.clone(), config.jodis_auth.clone());
        let around = Around {
            kind,
            addrs: config.jodis_addr.clone(),
            connect: connect_by(kind, addrs, auth, timeouts),
            lifecycle: Arc::clone(&shared.lifecycle),
            chance: Chance::new(shared.jitter_seed),
            log: log.clone(),
        };
        Ok(Some(Self { registration: Rc::new(Registration::new(path, told, around)) }))
    }
}

impl Actor for JodisActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let registration = Rc::clone(&self.registration);
        ctx.spawn(async move { registration.run().await }.into_actor(self));
    }
}

impl Handler<LeaveJodis> for JodisActor {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: LeaveJodis, _ctx: &mut Self::Context) -> Self::Result {
        let registration = Rc::clone(&self.registration);
        Box::pin(async move { registration.leave().await })
    }
}

impl Handler<QueryCoordinator> for JodisActor {
    type Result = MessageResult<QueryCoordinator>;

    fn handle(&mut self, _: QueryCoordinator, _ctx: &mut Self::Context) -> Self::Result {
        let report: CoordinatorReport = self.registration.report();
        MessageResult(report)
    }
}

#[cfg(test)]
mod tests;
