//! The steps in which a batch of slots is moved from one server to another.
//!
//! ```text
//!            V-1              V-2             V-5          V-6              V-8
//! Pending ───────► Preparing ─────► Migrating ───► Moving ─────► Verifying ─────► Finishing ─► Done
//!    ▲                 │ V-3                         ▲   V-7         │ V-9           V-10
//!    └── Releasing ◄───┘                             └───────────────┴──► Left
//!      V-4
//! ```
//!
//! | phase     | every proxy is told                     | then                                      |
//! |-----------|-----------------------------------------|-------------------------------------------|
//! | Preparing | target, migrating from source, *locked* | when all have agreed: Migrating           |
//! | Releasing | what it had before Preparing            | when all have agreed: Pending, or Dropped |
//! | Migrating | target, migrating from source           | when all have agreed: Moving              |
//! | Moving    |                                         | the source's keys are moved: Verifying    |
//! | Verifying |                                         | the source is looked at again             |
//! | Finishing | target                                  | when all have agreed: Done, or Dropped    |
//!
//! A move that is cancelled turns: source and target change places and the batch is prepared again,
//! so that what was moved comes back by the same way (V-11). A batch that has not begun is dropped,
//! one that is being prepared is released, and one that is finishing is let finish. A turned batch
//! that cannot be prepared is released to the form that it had before it turned.
//!
//! Pure: the driver does what [`BatchMove::step`] says, and tells what came of it. It keeps the
//! phase on disk before it acts on it. Every step may be done again, so after a crash it goes on
//! from the phase that was kept.
//!
//! Invariants:
//! V-20 no proxy is told to serve the slots while another may still serve them from elsewhere: the
//!      unlocked form follows when all have agreed to the locked one.
//! V-21 no key is moved before every proxy has agreed to the unlocked form.
//! V-22 the target alone serves the slots only after the source was seen without their keys.

use std::fmt;

use thiserror::Error;

/// How far a batch of slots has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MovePhase {
    /// Nothing has happened.
    Pending,
    /// Proxies lock the slots.
    Preparing,
    /// Not all of them could: they get back what they had.
    Releasing,
    /// Proxies let requests go on, each of which has its keys moved first.
    Migrating,
    /// Keys are moved.
    Moving,
    /// The source is looked at again.
    Verifying,
    /// Proxies forget the source.
    Finishing,
    /// The slots are on the target.
    Done,
    /// The slots stay migrating: keys were left on the source on purpose.
    Left,
    /// The slots are where they were before.
    Dropped,
}

impl MovePhase {
    /// Every phase.
    pub const ALL: [Self; 10] = [
        Self::Pending,
        Self::Preparing,
        Self::Releasing,
        Self::Migrating,
        Self::Moving,
        Self::Verifying,
        Self::Finishing,
        Self::Done,
        Self::Left,
        Self::Dropped,
    ];

    /// The phase in one word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Preparing => "preparing",
            Self::Releasing => "releasing",
            Self::Migrating => "migrating",
            Self::Moving => "moving",
            Self::Verifying => "verifying",
            Self::Finishing => "finishing",
            Self::Done => "done",
            Self::Left => "left",
            Self::Dropped => "dropped",
        }
    }

    /// The phase of this name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|phase| phase.name() == name)
    }

    /// True when nothing is left to do.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Done | Self::Left | Self::Dropped)
    }
}

impl fmt::Display for MovePhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a proxy is told about the slots of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MoveForm {
    /// What it had before the move.
    Before,
    /// The target, migrating from the source; requests wait.
    Locked,
    /// The target, migrating from the source.
    Migrating,
    /// As [`MoveForm::Migrating`] was before the batch turned.
    Unturned,
    /// The target.
    Target,
}

/// What the driver has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MoveStep {
    /// To wait for its turn.
    Wait,
    /// To tell all proxies, and to say whether all of them agreed.
    Tell(MoveForm),
    /// To move all keys of the slots.
    MoveKeys,
    /// To look whether the source has keys of the slots.
    LookAtSource,
    /// Nothing any more.
    Nothing,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MoveEvent {
    /// It is the turn of the batch.
    Begun,
    /// Every proxy has agreed to what it was told.
    AllAgreed,
    /// A proxy has not, or may not have.
    NotAllAgreed,
    /// Every key that was found on the source was moved.
    KeysMoved,
    /// The source still has keys of the slots.
    KeysFound,
    /// The source has no key of the slots.
    SourceEmpty,
    /// The source has keys of the slots, all of which are to stay there for now.
    OnlySkippedFound,
    /// The move is to be undone.
    Cancelled,
}

/// An event that cannot be in this phase: a defect of the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("`{event:?}` cannot be while slots are `{phase}`")]
pub struct IllegalMove {
    /// The phase.
    pub phase: MovePhase,
    /// The event.
    pub event: MoveEvent,
}

/// Where a batch of slots stands in its move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchMove {
    /// How far it has come.
    pub phase: MovePhase,
    /// The batch is on its way back: source and target have changed places.
    pub is_turned: bool,
    /// The slots are to end where they were before.
    pub is_cancelled: bool,
}

impl Default for BatchMove {
    fn default() -> Self {
        Self { phase: MovePhase::Pending, is_turned: false, is_cancelled: false }
    }
}

impl BatchMove {
    /// What is to be done now.
    #[must_use]
    pub const fn step(&self) -> MoveStep {
        match self.phase {
            MovePhase::Pending => MoveStep::Wait,
            MovePhase::Preparing => MoveStep::Tell(MoveForm::Locked),
            MovePhase::Releasing if self.is_turned => MoveStep::Tell(MoveForm::Unturned),
            MovePhase::Releasing => MoveStep::Tell(MoveForm::Before),
            // INVARIANT V-20: this phase is entered from `Preparing` by V-2 alone.
            MovePhase::Migrating => MoveStep::Tell(MoveForm::Migrating),
            // INVARIANT V-21: this phase is entered from `Migrating` and `Verifying` alone.
            MovePhase::Moving => MoveStep::MoveKeys,
            MovePhase::Verifying => MoveStep::LookAtSource,
            // INVARIANT V-22: this phase is entered from `Verifying` by V-8 alone. Back where it
            // was, the batch gets what the proxies had, replicas among it.
            MovePhase::Finishing if self.is_turned => MoveStep::Tell(MoveForm::Before),
            MovePhase::Finishing => MoveStep::Tell(MoveForm::Target),
            MovePhase::Done | MovePhase::Left | MovePhase::Dropped => MoveStep::Nothing,
        }
    }

    /// True when the driver may stop here for a while: no proxy holds requests back for it.
    #[must_use]
    pub const fn may_rest(&self) -> bool {
        matches!(self.phase, MovePhase::Pending | MovePhase::Moving | MovePhase::Verifying)
            || self.phase.is_final()
    }

    /// Takes note of what has happened.
    ///
    /// # Errors
    /// The event cannot be in this phase; nothing changes then.
    pub fn apply(&mut self, event: MoveEvent) -> Result<(), IllegalMove> {
        use MoveEvent as E;
        use MovePhase as P;
        if event == E::Cancelled {
            self.cancel();
            return Ok(());
        }
        self.phase = match (self.phase, event) {
            (P::Pending, E::Begun) => P::Preparing,
            (P::Preparing, E::AllAgreed) => P::Migrating,
            (P::Preparing, E::NotAllAgreed) => P::Releasing,
            (P::Releasing, E::AllAgreed) if self.is_cancelled && !self.is_turned => P::Dropped,
            (P::Releasing, E::AllAgreed) => P::Pending,
            (P::Migrating, E::AllAgreed) => P::Moving,
            (P::Moving, E::KeysMoved) => P::Verifying,
            (P::Verifying, E::KeysFound) => P::Moving,
            (P::Verifying, E::SourceEmpty) => P::Finishing,
            (P::Verifying, E::OnlySkippedFound) => P::Left,
            (P::Finishing, E::AllAgreed) if self.is_turned => P::Dropped,
            (P::Finishing, E::AllAgreed) => P::Done,
            // Told again until all agree.
            (P::Releasing | P::Migrating | P::Finishing, E::NotAllAgreed) => self.phase,
            (phase, event) => return Err(IllegalMove { phase, event }),
        };
        Ok(())
    }

    fn cancel(&mut self) {
        if self.is_cancelled || self.phase.is_final() || self.phase == MovePhase::Finishing {
            return;
        }
        self.is_cancelled = true;
        match self.phase {
            MovePhase::Pending => self.phase = MovePhase::Dropped,
            // No proxy was told to go on, so no key has moved.
            MovePhase::Preparing => self.phase = MovePhase::Releasing,
            MovePhase::Migrating | MovePhase::Moving | MovePhase::Verifying => {
                self.is_turned = true;
                self.phase = MovePhase::Preparing;
            }
            MovePhase::Releasing
            | MovePhase::Finishing
            | MovePhase::Done
            | MovePhase::Left
            | MovePhase::Dropped => {}
        }
    }
}

#[cfg(test)]
mod tests;
