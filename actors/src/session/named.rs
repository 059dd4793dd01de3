//! Requests for the backend that their first argument names.
//!
//! ```text
//! SLOTSINFO 10.0.0.1:6379          ->  SLOTSINFO      to 10.0.0.1:6379
//! PING 10.0.0.1:6379 hello         ->  PING hello     to 10.0.0.1:6379, with `compat = "codis"`
//! ```
//!
//! PING and INFO without an address are answered here, whatever backends there are: a look at the
//! proxy's health must not depend on one of them.

use std::sync::Arc;

use bytes::Bytes;
use command::{Args, LocalCommand, Plan, Planned};
use resp::encode;

use super::SessionActor;
use super::manners::PingArgument;
use crate::router::named::AskBackend;
use crate::session::window::Ticket;

/// Longer than any name of a host with its port: the rest of what a client sends need not be carried
/// to the router.
const ADDR_BYTES_MAX: usize = 512;

impl SessionActor {
    /// The plan as this proxy has it: at a Codis proxy the argument of PING and INFO is a backend.
    pub(super) fn in_dialect<'t>(&self, planned: Planned<'t>, args: &Args<'_>) -> Planned<'t> {
        let is_named = matches!(planned.plan, Plan::Local(LocalCommand::Ping | LocalCommand::Info))
            && args.len() > 1
            && self.manners().ping == PingArgument::Backend;
        if is_named { Planned { plan: Plan::NamedBackend, ..planned } } else { planned }
    }

    /// Sends a request, without its first argument, to the backend that this argument names.
    #[expect(clippy::disallowed_methods, reason = "BOUND: the request holds credit of the window")]
    pub(super) fn ask_backend(&self, ticket: Ticket, args: &Args<'_>) {
        let Some(me) = self.me.as_ref() else {
            return;
        };
        let kept = args.iter().enumerate().filter(|(index, _)| *index != 1);
        let kept: Vec<&[u8]> = kept.map(|(_, arg)| arg).collect();
        let addr = args.get(1).unwrap_or_default();
        let addr = addr.get(..ADDR_BYTES_MAX).unwrap_or(addr);
        let mut frame = Vec::new();
        encode::request(&mut frame, &kept);
        self.links.router.do_send(AskBackend {
            session: Arc::clone(me),
            ticket,
            database: self.record.database.get(),
            addr: Bytes::copy_from_slice(addr),
            frame: Bytes::from(frame),
        });
    }
}
