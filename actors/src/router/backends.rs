//! The backends that the router knows, and their connections.
//!
//! A backend keeps its index as long as some slot needs it; then its connections are closed and its
//! place is free for another.
//!
//! Bounds: as many backends as the slot table names, times the databases that clients use.

use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

use actix::prelude::*;
use routing::BackendAddr;

use super::RouterActor;
use super::routes::BackendIndex;
use crate::backend_conn::fence::FenceToken;
use crate::backend_conn::{BackendConnActor, CloseConn, ConnStatus, PutFence, Role, Target};
use crate::worker::Worker;

/// A connection and what it shows of itself.
pub(super) struct Conn {
    pub(super) addr: Addr<BackendConnActor>,
    pub(super) status: Rc<ConnStatus>,
}

/// The connections of one backend, by database; opened on first use.
struct Backend {
    addr: BackendAddr,
    role: Role,
    conns: Vec<Option<Conn>>,
}

#[derive(Default)]
pub(super) struct Backends {
    /// `None`: a place that is free.
    list: Vec<Option<Backend>>,
    indices: HashMap<(BackendAddr, Role), BackendIndex>,
}

impl Backends {
    /// The index of a backend, which may be new.
    pub(super) fn index_of(&mut self, addr: &BackendAddr, role: Role) -> BackendIndex {
        if let Some(index) = self.indices.get(&(addr.clone(), role)) {
            return *index;
        }
        let backend = Some(Backend { addr: addr.clone(), role, conns: Vec::new() });
        let index = match self.list.iter().position(Option::is_none) {
            Some(free) => {
                if let Some(place) = self.list.get_mut(free) {
                    *place = backend;
                }
                free
            }
            None => {
                self.list.push(backend);
                self.list.len() - 1
            }
        };
        self.indices.insert((addr.clone(), role), BackendIndex(index));
        BackendIndex(index)
    }

    /// The backend with an address, which some slot needs; as a primary if it is one.
    pub(super) fn find(&self, addr: &BackendAddr) -> Option<BackendIndex> {
        let in_role = |role| self.indices.get(&(addr.clone(), role)).copied();
        in_role(Role::Primary).or_else(|| in_role(Role::Replica))
    }

    /// The number of places, for tables by backend.
    pub(super) fn places(&self) -> usize {
        self.list.len()
    }

    /// The connection to a backend for a database, opened when there is none yet. `None` when the
    /// database is beyond the configured number.
    pub(super) fn conn(
        &mut self,
        backend: BackendIndex,
        database: u16,
        worker: &Rc<Worker>,
        router: &Addr<RouterActor>,
    ) -> Option<&Conn> {
        let entry = self.list.get_mut(backend.0)?.as_mut()?;
        let database_index = usize::from(database);
        if database_index >= worker.settings.config.backend_number_databases {
            return None;
        }
        if entry.conns.len() <= database_index {
            entry.conns.resize_with(database_index + 1, || None);
        }
        let place = entry.conns.get_mut(database_index)?;
        if place.is_none() {
            let target = Target { addr: entry.addr.clone(), role: entry.role, database };
            let status = Rc::new(ConnStatus::new(target));
            let actor =
                BackendConnActor::new(Rc::clone(worker), router.clone(), Rc::clone(&status));
            *place = Some(Conn { addr: actor.start(), status });
        }
        place.as_ref()
    }

    /// Every open connection.
    pub(super) fn conns(&self) -> impl Iterator<Item = &Conn> {
        self.list.iter().flatten().flat_map(|backend| backend.conns.iter().flatten())
    }

    /// Puts a token of a fence behind all that is under way to some backends.
    #[expect(clippy::disallowed_methods, reason = "BOUND: one fence per connection and fill")]
    pub(super) fn put_fence(&self, backends: &BTreeSet<BackendIndex>, token: &FenceToken) {
        for backend in backends {
            let entry = self.list.get(backend.0).and_then(Option::as_ref);
            for conn in entry.iter().flat_map(|entry| entry.conns.iter().flatten()) {
                conn.addr.do_send(PutFence(token.clone()));
            }
        }
    }

    /// Closes the connections of some backends, which they may keep needing: the next request opens
    /// new ones. With `only`, those at these addresses.
    #[expect(clippy::disallowed_methods, reason = "BOUND: one order per connection")]
    pub(super) fn cut_off(
        &mut self,
        backends: &BTreeSet<BackendIndex>,
        only: Option<&[BackendAddr]>,
    ) {
        for backend in backends {
            let entry = self.list.get_mut(backend.0).and_then(Option::as_mut);
            let entry = entry.filter(|entry| only.is_none_or(|only| only.contains(&entry.addr)));
            for conn in entry.into_iter().flat_map(|entry| entry.conns.drain(..)).flatten() {
                conn.addr.do_send(CloseConn);
            }
        }
    }

    /// Closes the connections of every backend that is not among `needed`, and frees its place.
    #[expect(clippy::disallowed_methods, reason = "BOUND: one order per connection")]
    pub(super) fn retain(&mut self, needed: &BTreeSet<BackendIndex>) {
        for (index, place) in self.list.iter_mut().enumerate() {
            if needed.contains(&BackendIndex(index)) {
                continue;
            }
            if let Some(backend) = place.take() {
                self.indices.remove(&(backend.addr, backend.role));
                for conn in backend.conns.into_iter().flatten() {
                    conn.addr.do_send(CloseConn);
                }
            }
        }
    }
}
