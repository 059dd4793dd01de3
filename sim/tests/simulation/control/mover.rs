//! The keys of slots that move: what the proxies are told of them, and the bulk mover, which asks
//! the source to move them in small batches and may die at any moment.

use std::collections::BTreeSet;
use std::rc::Rc;

use routing::{SlotAssignment, SlotId, SlotSource, slot_of};

use super::Changes;
use crate::client::Stage;
use crate::server::{Server, Talk};
use crate::store::Place;
use crate::wire::Reply;
use crate::world::pause;

/// The time that a source has for a move of the mover.
const TIMEOUT_MS: &str = "200";

/// How keys are moved, by the proxies and by the mover.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    /// `MIGRATE`: stock servers.
    Migrate,
    /// `SLOTSMGRTTAGONE`: Codis' servers.
    Sync,
    /// The wrapper, and moves in the background: Codis' servers.
    SemiAsync,
}

/// Slots on their way from a source to a target.
#[derive(Clone)]
pub(super) struct Move {
    pub(super) slots: BTreeSet<SlotId>,
    pub(super) source: Rc<Server>,
    pub(super) target: Rc<Server>,
    pub(super) method: Method,
    /// Where both have a key, the target's counts.
    pub(super) keeps_target: bool,
}

impl Move {
    /// The way back.
    pub(super) fn reversed(&self) -> Self {
        let (source, target) = (Rc::clone(&self.target), Rc::clone(&self.source));
        Self { source, target, keeps_target: false, ..self.clone() }
    }

    /// Whether the target's keys may count, when no key has moved yet.
    pub(super) async fn may_keep_target(&self) -> bool {
        if self.method != Method::Migrate {
            return false;
        }
        settle(&self.target).await;
        self.target.look(|store| store.places_of(&self.slots).is_empty())
    }

    /// The slots are served by one server.
    pub(super) fn settled(&self, server: &Rc<Server>, is_locked: bool) -> Changes {
        self.changes(server, None, is_locked)
    }

    /// The slots migrate.
    pub(super) fn migrating(&self, is_locked: bool) -> Changes {
        let source = SlotSource {
            addr: self.source.addr.clone(),
            group: group(&self.source),
            keeps_target: self.keeps_target,
        };
        self.changes(&self.target, Some(source), is_locked)
    }

    fn changes(
        &self,
        primary: &Rc<Server>,
        source: Option<SlotSource>,
        is_locked: bool,
    ) -> Changes {
        let assignment = SlotAssignment {
            source,
            is_locked,
            forward_method: u8::from(self.method == Method::SemiAsync),
            ..SlotAssignment::primary_only(primary.addr.clone(), group(primary))
        };
        self.slots.iter().map(|slot| (*slot, assignment.clone())).collect()
    }

    /// Moves keys while no proxy sends anything for them.
    pub(super) fn move_at_once(&self) {
        for place in self.target.look(|store| store.places_of(&self.slots)) {
            self.target.look(|store| store.remove(&place));
        }
        for place in self.source.look(|store| store.places_of(&self.slots)) {
            if let Some(value) = self.source.look(|store| store.remove(&place)) {
                self.target.look(|store| store.put(place, value));
            }
        }
    }

    /// What a bulk mover does: all keys of the slots, in small batches, until none is left.
    pub(super) async fn move_keys(&self, stage: &Stage) {
        loop {
            if let Some(mut talk) = Talk::with(&self.source).await
                && self.move_keys_over(&mut talk, stage).await.is_some()
            {
                return;
            }
            pause(20).await;
        }
    }

    /// `None` when the connection is of no use any more, or the mover has crashed.
    async fn move_keys_over(&self, talk: &mut Talk, stage: &Stage) -> Option<()> {
        let random = &stage.world.random;
        loop {
            // What an earlier mover has asked for is over before this is answered.
            talk.ask(&["PING"]).await?;
            let places = self.source.look(|store| store.places_of(&self.slots));
            let Some((database, key)) = places.first() else {
                return Some(());
            };
            talk.ask(&["SELECT", &database.to_string()]).await?;
            let args = self.question(*database, key, &places, 1 + random.index(3));
            if stage.has_faults && random.percent(5) {
                stage.world.event(format_args!("the mover crashes"));
                talk.say(&args).await;
                return None;
            }
            let reply = talk.ask(&args).await?;
            if matches!(&reply, Reply::Error(text) if text.contains("BUSYKEY")) {
                talk.ask(&["UNLINK", key]).await?;
            }
            pause(random.below(20)).await;
        }
    }

    /// Asks the source to move a key, and perhaps others of its slot and database.
    fn question(&self, database: u16, key: &str, places: &[Place], count: usize) -> Vec<String> {
        let slot = slot_of(key.as_bytes());
        let same = places
            .iter()
            .filter(|place| place.0 == database && slot_of(place.1.as_bytes()) == slot)
            .map(|place| place.1.clone());
        // Of keys of which the target's count, one at a time, so that one is known to be there.
        let count = if self.keeps_target { 1 } else { count };
        let (host, port) = (self.target.addr.host(), self.target.addr.port());
        let place = format!("{host} {port}");
        let head = match self.method {
            Method::Migrate => {
                let replace = if self.keeps_target { "KEYS" } else { "REPLACE KEYS" };
                format!("MIGRATE {place} - {database} {TIMEOUT_MS} {replace}")
            }
            Method::Sync => format!("SLOTSMGRTTAGONE {place} {TIMEOUT_MS}"),
            Method::SemiAsync => {
                let slot = slot.index();
                format!("SLOTSMGRTTAGSLOT-ASYNC {place} {TIMEOUT_MS} 200 9999 {slot} 2")
            }
        };
        let head = head.split(' ').map(|word| if word == "-" { "" } else { word }.to_owned());
        match self.method {
            Method::Migrate => head.chain(same.take(count)).collect(),
            Method::Sync => head.chain([key.to_owned()]).collect(),
            Method::SemiAsync => head.collect(),
        }
    }
}

/// Waits until a server has executed all that has been asked of it before.
pub(super) async fn settle(server: &Rc<Server>) {
    loop {
        if let Some(mut talk) = Talk::with(server).await
            && talk.ask(&["PING"]).await.is_some()
            && !server.is_moving()
        {
            return;
        }
        pause(20).await;
    }
}

fn group(server: &Rc<Server>) -> u32 {
    u32::try_from(server.index + 1).unwrap()
}
