//! From what requests need to questions, and from answers to what they may do.

use std::sync::Arc;

use actix::prelude::*;
use bytes::Bytes;
use config::MigrationMethod;
use routing::BackendAddr;
use slog::{info, warn};

use super::queues::{EntryId, Key, KeyState, Keys};
use super::wire::{self, Abilities, MoveAnswer, MoveMethod};
use super::{
    LaneId, MIGRATED_KEYS_MAX, Migration, MigratorActor, REMEMBERED_KEY_BYTES_MAX, Side, Waiting,
};
use crate::backend_conn::{ForwardBatch, ForwardRequest, ReplyTo};
use crate::client_error::RequestFailure;
use crate::session::window::Ticket;
use crate::slow_log::Stamps;

/// A question that a source has not answered.
pub(super) enum Ask {
    /// Which commands it has.
    Abilities(BackendAddr),
    /// To let go of keys.
    Move { lane: LaneId, keys: Vec<Key>, asked_ms: u64 },
    /// To delete a key that the target has.
    Drop { lane: LaneId, key: Key },
    /// To run a request.
    Exec(EntryId),
}

/// What is known of a source.
pub(super) enum Source {
    /// It is being asked what it can do; these wait for that.
    Asked(Vec<(Keys, Waiting)>),
    Known(Abilities),
}

impl Source {
    pub(super) fn waiting(&self) -> impl Iterator<Item = &Waiting> {
        self.entries().iter().map(|(_, waiting)| waiting)
    }

    fn waiting_keys(&self) -> impl Iterator<Item = &Key> {
        self.entries().iter().flat_map(|(keys, _)| keys)
    }

    fn entries(&self) -> &[(Keys, Waiting)] {
        match self {
            Self::Asked(waiting) => waiting,
            Self::Known(_) => &[],
        }
    }
}

impl MigratorActor {
    /// How to ask the source of a migration. `None` when the source must say first what it can do.
    pub(super) fn method(&self, migration: &Migration) -> Option<MoveMethod> {
        match self.worker.settings.config.migration_method {
            MigrationMethod::Migrate => Some(MoveMethod::Migrate),
            MigrationMethod::Sync => Some(MoveMethod::Sync),
            MigrationMethod::SemiAsync => Some(MoveMethod::SemiAsync),
            MigrationMethod::Auto => match self.sources.get(&migration.source)? {
                Source::Known(abilities) => Some(abilities.method(migration.is_semi_async)),
                Source::Asked(_) => None,
            },
        }
    }

    /// Whether a source that has not said what it can do needs not to: it has let go of all these
    /// keys, and no request before waits for it with any of them (M-3). So keys that were moved are
    /// served while their source is away.
    pub(super) fn is_source_done(&self, keys: &Keys, source: &BackendAddr) -> bool {
        let before = self.sources.get(source).map(Source::waiting_keys);
        keys.iter().all(|key| self.let_go.contains(key))
            && !before.into_iter().flatten().any(|key| keys.contains(key))
    }

    pub(super) fn wait_for_abilities(&mut self, keys: Keys, waiting: Waiting) {
        let addr = waiting.migration.source.clone();
        let migration = Arc::clone(&waiting.migration);
        if let Some(Source::Asked(others)) = self.sources.get_mut(&addr) {
            others.push((keys, waiting));
            return;
        }
        let database = keys.first().map_or(0, |(database, _)| *database);
        self.sources.insert(addr.clone(), Source::Asked(vec![(keys, waiting)]));
        let mut question = Vec::new();
        resp::encode::request(&mut question, &wire::ABILITIES);
        self.ask(&migration, database, question, Ask::Abilities(addr));
    }

    /// Has the source asked for the keys of a request that nobody has asked for yet. False when the
    /// request has failed, because the source is left alone now.
    pub(super) fn want_keys(&mut self, id: EntryId) -> bool {
        let Some(waiting) = self.queues.payload(id) else {
            return false;
        };
        let (migration, method) = (Arc::clone(&waiting.migration), waiting.method);
        let now_ms = self.worker.clock.now_ms();
        let mut unasked = self.queues.keys(id).to_vec();
        unasked.retain(|key| self.queues.state(key) == Some(KeyState::Unasked));
        let Some((database, _)) = unasked.first() else {
            return true;
        };
        let lane_id = LaneId { migration, database: *database, method };
        let lane = self.lanes.entry(lane_id.clone()).or_default();
        if let Some(text) = lane.paused(now_ms).map(str::to_owned) {
            let text = self.refusal(method, &text);
            self.fail_keys(&unasked, RequestFailure::MoveFailed, Some(&text));
            return false;
        }
        for key in unasked {
            self.queues.set_state(&key, KeyState::Asked);
            lane.want(key);
        }
        self.stir(lane_id);
        true
    }

    fn stir(&mut self, lane: LaneId) {
        if !self.stirred.contains(&lane) {
            self.stirred.push(lane);
        }
    }

    /// Asks what may be asked now.
    pub(super) fn ask_stirred(&mut self) {
        while let Some(lane_id) = self.stirred.pop() {
            let queues = &self.queues;
            let Some(keys) = self
                .lanes
                .get_mut(&lane_id)
                .and_then(|lane| lane.next(lane_id.method, |key| queues.is_waited_for(key)))
            else {
                continue;
            };
            let question = self.question(&lane_id, &keys);
            let asked_ms = self.worker.clock.now_ms();
            let (migration, database) = (Arc::clone(&lane_id.migration), lane_id.database);
            let ask = Ask::Move { lane: lane_id.clone(), keys, asked_ms };
            self.worker.counters.key_moves_total.add(1);
            self.ask(&migration, database, question, ask);
            // There may be room for another one.
            self.stir(lane_id);
        }
    }

    fn question(&self, lane: &LaneId, keys: &[Key]) -> Vec<u8> {
        let settings = &self.worker.settings;
        let target = &lane.migration.target;
        let timeout_ms = settings.config.migration_timeout.as_millis().to_string();
        if let (MoveMethod::Sync, Some((_, key))) = (lane.method, keys.first()) {
            return wire::tag_one(target, &timeout_ms, key);
        }
        let migrate = wire::Migrate {
            target,
            credentials: settings.credentials_of(target),
            database: lane.database,
            timeout_ms: &timeout_ms,
            replaces: lane.migration.replaces,
            keys,
        };
        migrate.encode()
    }

    /// Sends a question to the source.
    pub(super) fn ask(
        &mut self,
        migration: &Arc<Migration>,
        database: u16,
        question: Vec<u8>,
        ask: Ask,
    ) {
        let Some(me) = &self.me else {
            return;
        };
        // Far more numbers than questions in flight, so wrapping keeps them distinct.
        let number = self.next_ask;
        self.next_ask = number.wrapping_add(1);
        self.asks.insert(number, ask);
        let len = u32::try_from(question.len()).unwrap_or(u32::MAX);
        let request = ForwardRequest::for_backend(Ticket::from_number(number), len);
        let batch = ForwardBatch {
            reply_to: ReplyTo::Migrator(Arc::clone(me)),
            data: Bytes::from(question),
            parts: Bytes::new(),
            requests: vec![request],
        };
        self.forward(migration, Side::Source, database, batch);
    }

    /// A source has answered.
    pub(super) fn take_answer(
        &mut self,
        ask: u32,
        answer: &Bytes,
        stamps: Stamps,
        ctx: &mut Context<Self>,
    ) {
        match self.asks.remove(&ask) {
            Some(Ask::Abilities(source)) => self.take_abilities(&source, answer),
            Some(Ask::Move { lane, keys, asked_ms }) => {
                let read = MoveAnswer::read(lane.method, answer);
                self.take_move(&lane, keys, asked_ms, read);
            }
            Some(Ask::Drop { lane, key }) => self.take_drop(lane, key, answer),
            Some(Ask::Exec(id)) => self.take_exec(id, answer, stamps, ctx),
            None => {}
        }
    }

    /// A source will not answer: what it did is not known (M-1).
    pub(super) fn take_failure(&mut self, ask: u32, failure: RequestFailure) {
        match self.asks.remove(&ask) {
            Some(Ask::Abilities(source)) => {
                if let Some(Source::Asked(waiting)) = self.sources.remove(&source) {
                    for (keys, waiting) in waiting {
                        self.fail(&waiting, RequestFailure::MoveFailed, None);
                        self.forget(&keys);
                    }
                }
            }
            // The broken rule that the simulation must notice.
            #[cfg(feature = "sim")]
            Some(Ask::Move { lane, keys, asked_ms }) if crate::sim::is_guessing() => {
                self.take_move(&lane, keys, asked_ms, MoveAnswer::LetGo);
            }
            Some(Ask::Move { lane, keys, .. }) => {
                self.forget_abilities(&lane.migration.source);
                self.answered(&lane);
                self.fail_keys(&keys, RequestFailure::MoveFailed, None);
                self.stir(lane);
            }
            Some(Ask::Drop { lane, key }) => {
                self.answered(&lane);
                self.fail_keys(&[key], RequestFailure::MoveFailed, None);
                self.stir(lane);
            }
            Some(Ask::Exec(id)) => self.fail_exec(id, failure, None),
            None => {}
        }
    }

    /// Another server may be at the address next time. Requests that wait for what is being asked of
    /// it keep waiting: that question has its own end.
    pub(super) fn forget_abilities(&mut self, source: &BackendAddr) {
        if let Some(Source::Known(_)) = self.sources.get(source) {
            self.sources.remove(source);
        }
    }

    fn take_abilities(&mut self, source: &BackendAddr, answer: &Bytes) {
        let abilities = Abilities::read(answer);
        info!(self.worker.log, "source of migrating slots"; "backend" => %source,
            "worker" => self.worker.index, "can" => ?abilities);
        let known = self.sources.insert(source.clone(), Source::Known(abilities));
        if let Some(Source::Asked(waiting)) = known {
            for (keys, mut waiting) in waiting {
                waiting.method = abilities.method(waiting.migration.is_semi_async);
                self.admit(keys, waiting);
            }
        }
    }

    fn take_move(&mut self, lane_id: &LaneId, keys: Vec<Key>, asked_ms: u64, answer: MoveAnswer) {
        let now_ms = self.worker.clock.now_ms();
        let method = lane_id.method;
        let lane = self.lanes.entry(lane_id.clone()).or_default();
        lane.answered();
        match answer {
            MoveAnswer::LetGo => self.let_go_of(&keys),
            MoveAnswer::TargetHasIt | MoveAnswer::Failed(_) if keys.len() > 1 => {
                lane.want_alone(keys);
            }
            MoveAnswer::TargetHasIt => keys.into_iter().for_each(|key| self.drop_key(lane_id, key)),
            MoveAnswer::Unreachable(text) => {
                let mut failed = lane.pause(now_ms, now_ms.saturating_sub(asked_ms), &text);
                failed.extend(keys);
                warn!(self.worker.log, "key not moved: the target is out of reach of its source";
                    "source" => %lane_id.migration.source, "target" => %lane_id.migration.target,
                    "worker" => self.worker.index, "keys" => failed.len(), "error" => &text);
                let text = self.refusal(method, &text);
                self.fail_keys(&failed, RequestFailure::MoveFailed, Some(&text));
            }
            MoveAnswer::Failed(text) => {
                warn!(self.worker.log, "key not moved"; "source" => %lane_id.migration.source,
                    "target" => %lane_id.migration.target, "worker" => self.worker.index,
                    "error" => &text);
                if text.contains("unknown command") {
                    self.forget_abilities(&lane_id.migration.source);
                }
                let text = self.refusal(method, &text);
                self.fail_keys(&keys, RequestFailure::MoveFailed, Some(&text));
            }
        }
        self.stir(lane_id.clone());
    }

    /// Has a source delete a key of which the target's counts. Until it has, the key could be moved
    /// again when a client has deleted it at the target.
    fn drop_key(&mut self, lane_id: &LaneId, key: Key) {
        if let Some(lane) = self.lanes.get_mut(lane_id) {
            lane.asked();
        }
        let mut question = Vec::new();
        resp::encode::request(&mut question, &[b"UNLINK", &key.1]);
        let (migration, database) = (Arc::clone(&lane_id.migration), lane_id.database);
        self.ask(&migration, database, question, Ask::Drop { lane: lane_id.clone(), key });
    }

    fn take_drop(&mut self, lane: LaneId, key: Key, answer: &Bytes) {
        self.answered(&lane);
        if answer.first() == Some(&b':') {
            self.let_go_of(&[key]);
        } else {
            let text = wire::error_text(answer);
            let text = self.refusal(lane.method, &text);
            self.fail_keys(&[key], RequestFailure::MoveFailed, Some(&text));
        }
        self.stir(lane);
    }

    fn answered(&mut self, lane: &LaneId) {
        if let Some(lane) = self.lanes.get_mut(lane) {
            lane.answered();
        }
    }

    /// The source does not have these keys, and nobody gives it any of them as long as their slots
    /// migrate: requests for them may run at the target.
    fn let_go_of(&mut self, keys: &[Key]) {
        for key in keys {
            self.queues.set_state(key, KeyState::LetGo);
            if self.let_go.len() >= MIGRATED_KEYS_MAX {
                self.let_go.clear();
            }
            // A key that nobody waits for any more may be of a slot that is filled meanwhile.
            if key.1.len() <= REMEMBERED_KEY_BYTES_MAX && self.queues.is_waited_for(key) {
                self.let_go.insert(key.clone());
            }
        }
        self.go_on(keys.iter().cloned().collect());
    }

    pub(super) fn refusal(&self, method: MoveMethod, text: &str) -> String {
        wire::refusal_text(self.worker.commands.dialect(), method, text)
    }
}
