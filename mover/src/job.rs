//! A move as it is kept on disk: what was ordered and how far each batch has come.
//!
//! Bounds: at most 1024 batches, as many as there are slots; [`BIG_KEYS_MAX`] big keys and
//! [`DIFFERENCES_MAX`] differences are listed, all are counted.

use std::collections::BTreeMap;

use config::SlotForm;
use routing::slot_move::{BatchMove, MovePhase};
use routing::{BackendAddr, SlotId};
use serde::{Deserialize, Serialize};

use crate::options::{MoveRequest, SlotSet};

/// The most big keys that are listed.
pub(crate) const BIG_KEYS_MAX: usize = 1000;

/// The most keys that are listed because they differ.
pub(crate) const DIFFERENCES_MAX: usize = 100;

/// What the own proxy is called among the proxies of a move: its address may be another one after
/// a restart.
pub(crate) const OWN: &str = "";

/// A move.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Job {
    pub(crate) id: u64,
    pub(crate) request: MoveRequest,
    #[serde(with = "as_text")]
    pub(crate) target: BackendAddr,
    pub(crate) target_group: u32,
    pub(crate) created_at: u64,
    pub(crate) ended_at: Option<u64>,
    pub(crate) is_paused: bool,
    pub(crate) is_cancelled: bool,
    pub(crate) batches: Vec<Batch>,
    pub(crate) counts: Counts,
    pub(crate) big_keys: Vec<BigKey>,
    pub(crate) differences: Vec<Difference>,
}

/// Slots that are moved together. They have one source.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Batch {
    pub(crate) slots: SlotSet,
    #[serde(with = "as_text")]
    pub(crate) source: BackendAddr,
    pub(crate) source_group: u32,
    #[serde(with = "as_name")]
    pub(crate) phase: MovePhase,
    pub(crate) is_turned: bool,
    pub(crate) is_cancelled: bool,
    /// How requests have their keys moved, as the forms of slots say it.
    pub(crate) forward_method: u8,
    /// Where both servers have a key, the target's counts: it had none of the slots' keys before the
    /// first one moved. Not on the way back.
    pub(crate) keeps_target: bool,
    /// The slots as each proxy had them.
    pub(crate) before: BTreeMap<String, Vec<SlotForm>>,
    /// Why it does not go on. Not kept: after a restart it is found again.
    #[serde(skip)]
    pub(crate) error: Option<String>,
}

/// What a move has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counts {
    /// Keys of the slots on their sources before the move; unknown until they are counted.
    pub(crate) keys_total: Option<u64>,
    pub(crate) keys_moved: u64,
    pub(crate) bytes_moved: u64,
    /// Keys of the slots on the target, counted when their batch was moved.
    pub(crate) keys_on_target: u64,
    pub(crate) compared: u64,
    pub(crate) equal: u64,
    pub(crate) changed: u64,
    pub(crate) missing: u64,
}

/// What has become of a big key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum BigKeyState {
    Found,
    Moved,
    Skipped,
}

/// A key that is larger than others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BigKey {
    pub(crate) slot: u16,
    pub(crate) database: u32,
    /// Bytes that are no text are written as `\xNN`.
    pub(crate) key: String,
    pub(crate) bytes: u64,
    pub(crate) state: BigKeyState,
}

/// A key that is not on the target as it was on the source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Difference {
    pub(crate) slot: u16,
    pub(crate) database: u32,
    pub(crate) key: String,
    /// True: it is not there at all.
    pub(crate) is_missing: bool,
}

impl Batch {
    pub(crate) fn new(slots: SlotSet, source: BackendAddr, source_group: u32) -> Self {
        let BatchMove { phase, is_turned, is_cancelled } = BatchMove::default();
        let (forward_method, keeps_target) = (0, false);
        let (before, error) = (BTreeMap::new(), None);
        Self {
            slots,
            source,
            source_group,
            phase,
            is_turned,
            is_cancelled,
            forward_method,
            keeps_target,
            before,
            error,
        }
    }

    /// Where its move stands.
    pub(crate) fn position(&self) -> BatchMove {
        let Self { phase, is_turned, is_cancelled, .. } = *self;
        BatchMove { phase, is_turned, is_cancelled }
    }

    /// Whether cancelling does anything to it. A batch whose keys servers of Codis move in the
    /// background is let go on: a move that fails leaves a copy at the target while the source goes on
    /// writing to the key, so the way back would bring old values.
    pub(crate) fn can_be_undone(&self) -> bool {
        let has_keys_under_way =
            matches!(self.phase, MovePhase::Migrating | MovePhase::Moving | MovePhase::Verifying);
        let may_turn = self.forward_method == 0 || !has_keys_under_way;
        may_turn && !self.is_cancelled
    }

    pub(crate) fn set_position(&mut self, position: BatchMove) {
        let BatchMove { phase, is_turned, is_cancelled } = position;
        (self.phase, self.is_turned, self.is_cancelled) = (phase, is_turned, is_cancelled);
        if phase.is_final() {
            // Nobody needs it any more.
            self.before.clear();
            self.error = None;
        }
    }
}

impl Job {
    /// True when nothing is left to do.
    pub(crate) fn is_over(&self) -> bool {
        self.batches.iter().all(|batch| batch.phase.is_final())
    }

    /// The move in one word.
    pub(crate) fn state(&self, is_running: bool) -> &'static str {
        let has = |phase| self.batches.iter().any(|batch| batch.phase == phase);
        let has_ended = self.ended_at.is_some();
        match () {
            () if has_ended && has(MovePhase::Left) => "incomplete",
            () if has_ended && self.is_cancelled => "cancelled",
            () if has_ended => "done",
            () if self.is_cancelled => "cancelling",
            () if self.is_paused => "paused",
            () if is_running => "running",
            () => "queued",
        }
    }

    /// Every word that [`Self::state`] may say.
    pub(crate) const STATES: [&str; 7] =
        ["queued", "running", "paused", "cancelling", "done", "incomplete", "cancelled"];

    /// The servers of a batch: the one that its keys leave, and the one that gets them.
    pub(crate) fn way(&self, batch: &Batch) -> (BackendAddr, BackendAddr) {
        let (source, target) = (batch.source.clone(), self.target.clone());
        if batch.is_turned { (target, source) } else { (source, target) }
    }

    /// Takes note of a big key, or of what has become of it.
    pub(crate) fn note_big_key(&mut self, key: BigKey) -> bool {
        let is_same =
            |known: &&mut BigKey| (known.database, &known.key) == (key.database, &key.key);
        match self.big_keys.iter_mut().find(is_same) {
            Some(known) => {
                *known = key;
                false
            }
            None => {
                if self.big_keys.len() < BIG_KEYS_MAX {
                    self.big_keys.push(key);
                }
                true
            }
        }
    }
}

/// A key as text.
pub(crate) fn key_text(key: &[u8]) -> String {
    match std::str::from_utf8(key) {
        Ok(text) if !text.chars().any(char::is_control) => text.to_owned(),
        _ => key.escape_ascii().to_string(),
    }
}

/// A slot of a key as a number.
pub(crate) fn slot_number(key: &[u8]) -> u16 {
    SlotId::number(routing::slot_of(key))
}

/// Addresses as texts.
mod as_text {
    use routing::BackendAddr;
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(addr: &BackendAddr, json: S) -> Result<S::Ok, S::Error> {
        json.serialize_str(addr.as_str())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(json: D) -> Result<BackendAddr, D::Error> {
        String::deserialize(json)?.parse().map_err(D::Error::custom)
    }
}

/// Phases as their names.
mod as_name {
    use routing::slot_move::MovePhase;
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    // Serde hands out references.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature is serde's")]
    pub(super) fn serialize<S: Serializer>(phase: &MovePhase, json: S) -> Result<S::Ok, S::Error> {
        json.serialize_str(phase.name())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(json: D) -> Result<MovePhase, D::Error> {
        let name = String::deserialize(json)?;
        let unknown = || D::Error::custom(format!("`{name}` is no phase of a move"));
        MovePhase::of_name(&name).ok_or_else(unknown)
    }
}
