//! Moving keys from one server to another, in the three ways that servers have.
//!
//! A key is moved by a copy to the target, which waits in the target's queues like any request,
//! and its removal here when the target has said that the copy is in place. When that is not heard
//! in time the key stays, and the target has the copy or not.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use routing::slot_of;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use super::{Cut, Restored, Server, Work};
use crate::store::{Place, is_read};
use crate::wire::Reply;

const IO_ERROR: &str = "IOERR error or timeout reading to target instance";

const BUSY_ERROR: &str =
    "ERR Target instance replied with error: BUSYKEY Target key name already exists.";

/// Why keys were not moved.
enum NotMoved {
    /// Whether the target has the copies is not known.
    Lost,
    /// The target has one of the keys already.
    Busy,
}

impl NotMoved {
    fn to_reply(&self) -> Reply {
        Reply::error(match self {
            Self::Lost => IO_ERROR,
            Self::Busy => BUSY_ERROR,
        })
    }
}

impl Server {
    /// `MIGRATE host port "" database timeout [REPLACE] KEYS key...`
    pub(super) async fn migrate(self: &Rc<Self>, database: u16, request: &[String]) -> Reply {
        let [_, host, port, key, target_database, timeout, options @ ..] = request else {
            return Reply::error("ERR wrong number of arguments for 'migrate' command");
        };
        let is_same = target_database.parse() == Ok(database);
        let at = options.iter().position(|option| option.eq_ignore_ascii_case("KEYS"));
        let keys = match at {
            Some(at) if key.is_empty() => &options[at + 1..],
            _ => std::slice::from_ref(key),
        };
        let is_replaced = options.iter().any(|option| option.eq_ignore_ascii_case("REPLACE"));
        assert!(is_same, "the proxy moves keys to their own database: {request:?}");
        let places = keys.iter().map(|key| (database, key.clone()));
        let places: Vec<_> = places.filter(|place| self.has(place)).collect();
        if places.is_empty() {
            return Reply::Status("NOKEY".to_owned());
        }
        match self.move_all(&format!("{host}:{port}"), &places, timeout, is_replaced).await {
            Ok(()) => Reply::ok(),
            Err(not_moved) => not_moved.to_reply(),
        }
    }

    /// `SLOTSMGRTTAGONE host port timeout key`: the key and all that have its tag.
    pub(super) async fn migrate_tag(self: &Rc<Self>, database: u16, request: &[String]) -> Reply {
        let [_, host, port, timeout, key] = request else {
            return Reply::error("ERR wrong number of arguments for 'slotsmgrttagone' command");
        };
        let places = self.look(|store| store.places_with_tag_of(&(database, key.clone())));
        match self.move_all(&format!("{host}:{port}"), &places, timeout, true).await {
            Ok(()) => Reply::count(places.len()),
            Err(not_moved) => not_moved.to_reply(),
        }
    }

    /// `SLOTSMGRTTAGSLOT-ASYNC host port timeout keys bytes slot count`: some keys of a slot, beside
    /// other requests. Answers how many were moved and how many are left.
    pub(super) fn migrate_slot(self: &Rc<Self>, conn: u64, database: u16, request: &[String]) {
        let [_, host, port, timeout, _, _, slot, count] = request else {
            panic!("the mover is ours: {request:?}");
        };
        if self.state.borrow().moving.iter().any(|place| place.0 == database) {
            let busy = Reply::error("ERR the specified DB is being migrated");
            self.reply(conn, request, &busy);
            return;
        }
        let (server, request) = (Rc::clone(self), request.to_vec());
        let (target, timeout) = (format!("{host}:{port}"), timeout.clone());
        let count: usize = count.parse().unwrap();
        let slot: usize = slot.parse().unwrap();
        let is_wanted = move |place: &&Place| {
            place.0 == database && slot_of(place.1.as_bytes()).index() == slot
        };
        let slots = routing::SlotId::all().filter(|id| id.index() == slot).collect();
        let found = self.look(|store| store.places_of(&slots));
        let chosen: Vec<_> = found.iter().filter(is_wanted).take(count).cloned().collect();
        self.state.borrow_mut().moving.extend(chosen.iter().cloned());
        self.world.spawn(async move {
            let moved = server.move_all(&target, &chosen, &timeout, true).await;
            server.state.borrow_mut().moving.retain(|place| !chosen.contains(place));
            let left = server.look(|store| store.places_of(&slots));
            let left = left.iter().filter(is_wanted).count();
            let reply = match moved {
                Ok(()) => Reply::Array(Some(vec![Reply::count(chosen.len()), Reply::count(left)])),
                Err(not_moved) => not_moved.to_reply(),
            };
            server.reply(conn, &request, &reply);
        });
    }

    /// `SLOTSMGRT-EXEC-WRAPPER key command argument...`: executes the command if the key is here.
    pub(super) fn execute_here(&self, database: u16, request: &[String]) -> Reply {
        let [_, key, inner @ ..] = request else {
            return Reply::error(
                "ERR wrong number of arguments for 'slotsmgrt-exec-wrapper' command",
            );
        };
        let place = (database, key.clone());
        let pair = |number, reply| Reply::Array(Some(vec![Reply::Integer(number), reply]));
        if !self.has(&place) {
            return pair(0, Reply::error("ERR the specified key doesn't exist"));
        }
        if !is_read(&inner[0]) && self.state.borrow().moving.contains(&place) {
            return pair(1, Reply::error("ERR the specified key is being migrated"));
        }
        match self.state.borrow_mut().store.execute(database, inner) {
            Some(reply) => pair(2, reply),
            None => pair(-1, Reply::error("ERR invalid command specified")),
        }
    }

    fn has(&self, place: &Place) -> bool {
        self.state.borrow().store.get(place).is_some()
    }

    /// Moves keys; those whose copies are in place are gone from here whatever happens to others.
    async fn move_all(
        self: &Rc<Self>,
        target: &str,
        places: &[Place],
        timeout: &str,
        is_replaced: bool,
    ) -> Result<(), NotMoved> {
        let network = self.network.upgrade().ok_or(NotMoved::Lost)?;
        let target = network.server(target).ok_or(NotMoved::Lost)?;
        let deadline = Instant::now() + Duration::from_millis(timeout.parse().unwrap());
        let cut = self.state.borrow_mut().next_cut.take();
        if target.is_unreachable.get() {
            return Err(NotMoved::Lost);
        }
        let mut copies = Vec::new();
        for place in places.iter().collect::<BTreeSet<_>>() {
            let (done, is_done) = oneshot::channel();
            let value = self.look(|store| store.get(place).cloned());
            if let (Some(value), false) = (value, cut == Some(Cut::BeforeExecution)) {
                let restore = Work::Restore { place: place.clone(), value, is_replaced, done };
                let mut state = target.state.borrow_mut();
                state.links.entry(self.index).or_default().push(restore, &self.world);
                target.woken.notify_one();
                copies.push((place.clone(), is_done));
            }
        }
        if cut.is_some() {
            self.world.event(format_args!("server {} loses its link: {cut:?}", self.index));
            return Err(NotMoved::Lost);
        }
        for (place, is_done) in copies {
            match timeout_at(deadline, is_done).await {
                Ok(Ok(Restored::InPlace)) => self.look(|store| store.remove(&place)),
                Ok(Ok(Restored::Busy)) => return Err(NotMoved::Busy),
                _ => return Err(NotMoved::Lost),
            };
        }
        self.world.delay().await;
        Ok(())
    }
}
