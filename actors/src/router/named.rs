//! Requests for the backend that a client names, instead of the one that has a key: SLOTSINFO, and
//! at a Codis proxy `PING addr` and `INFO addr`.
//!
//! Such a request has no slot, so no fill holds it. It is in flight like every other: a fence that
//! is put behind it waits for it. One that comes after the fence, while a fill takes the backend
//! away, is answered with an error when the connection is closed.
//!
//! Bounds: one request per message, which holds credit of its session.

use std::sync::Arc;

use actix::prelude::*;
use bytes::Bytes;
use routing::BackendAddr;

use super::RouterActor;
use crate::backend_conn::ForwardRequest;
use crate::client_error::text;
use crate::session::window::Ticket;
use crate::session::{LocalAnswered, SessionActor};

/// A request for one backend, which only reads.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct AskBackend {
    /// Who gets the reply.
    pub(crate) session: Arc<Addr<SessionActor>>,
    /// Its place in the session.
    pub(crate) ticket: Ticket,
    /// The database that the session has selected.
    pub(crate) database: u16,
    /// The address as the client wrote it.
    pub(crate) addr: Bytes,
    /// The request as the backend gets it, without the address.
    pub(crate) frame: Bytes,
}

impl Handler<AskBackend> for RouterActor {
    type Result = ();

    #[expect(clippy::disallowed_methods, reason = "BOUND: the request holds credit of its session")]
    fn handle(&mut self, asked: AskBackend, _ctx: &mut Self::Context) {
        let AskBackend { session, ticket, database, addr, frame } = asked;
        let addr = String::from_utf8_lossy(&addr);
        let backend = addr.parse::<BackendAddr>().ok();
        let Some(backend) = backend.and_then(|addr| self.backends.find(&addr)) else {
            let mut reply = Vec::new();
            resp::encode::error(&mut reply, &text::no_such_backend(&addr));
            session.do_send(LocalAnswered { ticket, reply });
            return;
        };
        // What the session accepted as a request is within u32, and this is a part of it.
        let len = u32::try_from(frame.len()).unwrap_or(u32::MAX);
        self.pend(backend, ForwardRequest::for_backend(ticket, len));
        self.forward(&session, database, &frame, &Bytes::new());
    }
}
