//! Who gets the replies of forwarded requests.

use std::sync::Arc;

use actix::Addr;

use crate::client_error::RequestFailure;
use crate::migrator::MigratorActor;
use crate::session::window::Ticket;
use crate::session::{RepliesFailed, ReplyBatch, SessionActor};
use crate::slow_log::Stamps;

/// Who sent some requests and gets their replies.
#[derive(Clone)]
pub enum ReplyTo {
    /// A client's session.
    Session(Arc<Addr<SessionActor>>),
    /// The migrator, which asks a source for keys.
    Migrator(Arc<Addr<MigratorActor>>),
}

impl ReplyTo {
    /// Hands over replies.
    #[expect(clippy::disallowed_methods, reason = "BOUND: each reply answers an entered request")]
    pub(crate) fn reply(&self, batch: ReplyBatch) {
        match self {
            Self::Session(session) => session.do_send(batch),
            Self::Migrator(migrator) => migrator.do_send(batch),
        }
    }

    /// Says that requests, or parts of them, get no reply.
    #[expect(clippy::disallowed_methods, reason = "BOUND: each failure answers an entered request")]
    pub(crate) fn fail(&self, failed: Vec<(Ticket, u16, RequestFailure)>, stamps: Stamps) {
        let batch = RepliesFailed { failed, text: None, stamps };
        match self {
            Self::Session(session) => session.do_send(batch),
            Self::Migrator(migrator) => migrator.do_send(batch),
        }
    }
}
