//! What a proxy keeps in its `state_dir`: its slots, in the form of `--fillslots`, and the journal
//! of its mover.
//!
//! Slots that are kept win over those of the command line: they are newer.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use actors::topology::SaveSlots;
use anyhow::{Context as _, Result};
use config::{Config, SlotForm, fill_slots};
use mover::{JOURNAL_FILE, StateDir, state_file};
use routing::{BackendAddr, SlotAssignment, SlotId, SlotTable};

/// The file of the slots.
const SLOTS_FILE: &str = "slots.json";

/// The folder of this proxy.
pub(crate) struct State {
    dir: StateDir,
}

impl State {
    /// Takes the folder, if there is to be one.
    pub(crate) fn open(config: &Config) -> Result<Option<Self>> {
        let dir = config.state_dir.as_deref().map(StateDir::open).transpose();
        Ok(dir.context("use `state_dir`")?.map(|dir| Self { dir }))
    }

    /// Where the slots are kept.
    pub(crate) fn slots_file(&self) -> PathBuf {
        self.dir.file(SLOTS_FILE)
    }

    /// Where the mover keeps its moves.
    pub(crate) fn journal_file(&self) -> PathBuf {
        self.dir.file(JOURNAL_FILE)
    }

    /// The slots that are kept; none when no slot was ever filled.
    pub(crate) fn slots(&self) -> Result<Option<SlotTable>> {
        let path = self.slots_file();
        let Some(bytes) = state_file::read(&path)? else { return Ok(None) };
        let help = "repair it, or move it away to start with the slots of the command line";
        let table = || -> Result<SlotTable> {
            let forms =
                fill_slots::parse(&path.display().to_string(), std::str::from_utf8(&bytes)?)?;
            let mut table = SlotTable::offline();
            table.fill(1, web::slot_changes(&forms)?)?;
            Ok(table)
        };
        table().with_context(|| format!("the slots that were kept are damaged: {help}")).map(Some)
    }

    /// What puts a table on disk.
    pub(crate) fn save_slots(&self) -> SaveSlots {
        let path = self.slots_file();
        let saved = Mutex::new(0);
        Arc::new(move |table| {
            let mut saved = saved.lock().unwrap_or_else(PoisonError::into_inner);
            // One that the disk has held up for so long that a newer one has overtaken it.
            if table.epoch() <= *saved {
                return Ok(());
            }
            let slots = table.assignments().filter(|(_, assignment)| !assignment.is_offline());
            let forms: Vec<SlotForm> =
                slots.map(|(slot, assignment)| form(slot, assignment)).collect();
            let text = serde_json::to_vec_pretty(&forms)?;
            state_file::replace(&path, &text).map_err(std::io::Error::other)?;
            *saved = table.epoch();
            Ok(())
        })
    }
}

fn form(slot: SlotId, assignment: &SlotAssignment) -> SlotForm {
    let text = |addr: Option<&BackendAddr>| addr.map(ToString::to_string).unwrap_or_default();
    let texts = |addrs: &Vec<BackendAddr>| addrs.iter().map(ToString::to_string).collect();
    let source = assignment.source.as_ref();
    SlotForm {
        id: slot.number(),
        locked: assignment.is_locked,
        backend_addr: text(assignment.primary.as_ref()),
        backend_addr_group_id: assignment.group.into(),
        migrate_from: text(source.map(|source| &source.addr)),
        migrate_from_group_id: source.map_or(0, |source| source.group.into()),
        migrate_keeps_target: source.is_some_and(|source| source.keeps_target),
        forward_method: assignment.forward_method,
        replica_groups: assignment.replica_groups.iter().map(texts).collect(),
    }
}

#[cfg(test)]
mod tests {
    use routing::SlotSource;

    use super::*;

    fn state(dir: &tempfile::TempDir) -> State {
        let config = Config { state_dir: Some(dir.path().to_owned()), ..Config::default() };
        State::open(&config).unwrap().unwrap()
    }

    #[test]
    fn slots_come_back_as_they_were() {
        let dir = tempfile::tempdir().unwrap();
        let state = state(&dir);
        assert!(state.slots().unwrap().is_none());
        let addr = |text: &str| -> BackendAddr { text.parse().unwrap() };
        let assignment = SlotAssignment {
            source: Some(SlotSource { addr: addr("h:2"), group: 2, keeps_target: true }),
            replica_groups: vec![vec![addr("h:3")], vec![addr("h:4"), addr("h:5")]],
            is_locked: true,
            forward_method: 1,
            ..SlotAssignment::primary_only(addr("h:1"), 1)
        };
        let mut table = SlotTable::offline();
        table.fill(1, [(SlotId::new(7).unwrap(), assignment)]).unwrap();
        let save = state.save_slots();
        save(&table).unwrap();
        assert_eq!(state.slots().unwrap(), Some(table));
        // An older table that comes late changes nothing.
        save(&SlotTable::offline()).unwrap();
        assert!(state.slots().unwrap() != Some(SlotTable::offline()));
    }

    #[test]
    fn damaged_slots_are_told_with_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let state = state(&dir);
        std::fs::write(state.slots_file(), "[{").unwrap();
        let error = format!("{:#}", state.slots().unwrap_err());
        assert!(error.starts_with("the slots that were kept are damaged: repair it"), "{error}");
        assert!(error.contains("slots.json:1:"), "{error}");
    }
}
