//! Slots that move to another group, one after the other.
//!
//! ```text
//!             Codis 1.9.2, Reborn        Codis 1.9.8             Codis 2.0
//!   pre_      slot_premigrate,           slot_changed, then      slot_premigrate
//!   migrate   the slot stays online      slot_premigrate         (failed: online, no action)
//!   migrate   slot_migrate               slot_migrate            slot_migrate
//!   bulk      MIGRATE until nothing is left; stock servers lack SLOTSMGRTTAGSLOT
//!   online    slot_changed               slot_changed            slot_changed
//! ```

use std::net::SocketAddr;

use routing::{SlotId, slot_of};

use super::forms::SlotForm;
use super::{Failure, Flavour, OldDashboard};
use crate::slot_mover::sweep;

impl OldDashboard {
    /// Moves a slot to another group.
    ///
    /// # Errors
    /// An action fails; the slot stays where that left it.
    ///
    /// # Panics
    /// When ZooKeeper or a server refuses.
    pub fn move_slot(&self, slot: SlotId, target: i32) -> Result<(), Failure> {
        self.prepare_move(slot)?;
        self.begin_move(slot, target)?;
        self.move_keys(slot);
        self.end_move(slot)
    }

    /// The first step: no proxy writes to the source any more, as far as the flavour sees to it.
    ///
    /// # Errors
    /// An action fails. The slot stays locked with Codis 1.9.8 and is online again with 2.0.
    ///
    /// # Panics
    /// When ZooKeeper refuses.
    pub fn prepare_move(&self, slot: SlotId) -> Result<(), Failure> {
        let form = self.slot(slot.index());
        let prepared = SlotForm { status: "pre_migrate".to_owned(), ..form.clone() };
        match self.flavour {
            // The action's own target says online, too.
            Flavour::Codis192 | Flavour::Reborn => {
                self.confirmed("slot_premigrate", &form.json())?;
            }
            Flavour::Codis198 => {
                self.write_slot(&prepared);
                self.confirmed("slot_changed", &prepared.json())?;
                self.confirmed("slot_premigrate", &prepared.json())?;
            }
            Flavour::Codis20 if form.status == "migrate" => {}
            Flavour::Codis20 => {
                self.write_slot(&prepared);
                let told = self.confirmed("slot_premigrate", &prepared.json());
                if let Err(failure) = told {
                    self.write_slot(&form);
                    return Err(failure);
                }
            }
        }
        Ok(())
    }

    /// The second step: each key moves when it is asked for.
    ///
    /// # Errors
    /// The action fails; the slot is written.
    ///
    /// # Panics
    /// When ZooKeeper refuses.
    pub fn begin_move(&self, slot: SlotId, target: i32) -> Result<(), Failure> {
        let form = self.slot(slot.index());
        let source = if form.status == "migrate" { form.source } else { form.group_id };
        let form = SlotForm::migrate(slot.index(), source, target);
        self.write_slot(&form);
        self.confirmed("slot_migrate", &form.json()).map(drop)
    }

    /// The bulk part: all keys that the source still has.
    ///
    /// # Panics
    /// When a server refuses for a long time, or one of the groups has no primary.
    pub fn move_keys(&self, slot: SlotId) {
        let form = self.slot(slot.index());
        sweep(self.primary(form.source), self.primary(form.group_id), &[slot]);
    }

    /// The last step.
    ///
    /// # Errors
    /// The action fails; the slot is written.
    ///
    /// # Panics
    /// When ZooKeeper refuses.
    pub fn end_move(&self, slot: SlotId) -> Result<(), Failure> {
        let form = SlotForm::online(slot.index(), self.slot(slot.index()).group_id);
        self.write_slot(&form);
        self.confirmed("slot_changed", &form.json()).map(drop)
    }

    /// The address of a group's primary.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn primary(&self, group: i32) -> SocketAddr {
        let servers = self.servers(group);
        let primary = servers.iter().find(|server| server.kind == "master");
        let addr = primary.and_then(|server| server.addr.parse().ok());
        addr.unwrap_or_else(|| panic!("group {group} has no primary: {servers:?}"))
    }
}

/// A key of a slot; all with the same slot share a tag.
#[must_use]
pub fn key_of(slot: SlotId, name: &str) -> String {
    let tag = (0_u32..).find(|tag| slot_of(tag.to_string().as_bytes()) == slot);
    format!("{{{}}}{name}", tag.unwrap_or_default())
}
