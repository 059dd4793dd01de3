//! The moves of a proxy on disk: one file, `moves.json`, in its `state_dir`.
//!
//! A phase is here before it is acted on, so whoever reads this after a crash knows of everything
//! that may have been done. The format has a number; another one is refused, not guessed.
//!
//! Bounds: the moves that run or wait, and [`ENDED_MAX`] that have ended.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::job::Job;
use crate::state_file::{self, StateError};

/// The name of the file.
pub const FILE: &str = "moves.json";

/// Moves that have ended and are still told of.
pub(crate) const ENDED_MAX: usize = 16;

/// The form of the file that this version writes.
const FORMAT: u32 = 1;

/// Everything that is kept.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    pub(crate) next_id: u64,
    pub(crate) jobs: Vec<Job>,
}

#[derive(Serialize)]
struct Written<'a> {
    format: u32,
    next_id: u64,
    moves: &'a [Job],
}

#[derive(Deserialize)]
struct Head {
    format: u32,
}

#[derive(Deserialize)]
struct Read {
    next_id: u64,
    moves: Vec<Job>,
}

/// The text of the file.
pub(crate) fn text(next_id: u64, jobs: &[Job]) -> Result<Vec<u8>, String> {
    let written = Written { format: FORMAT, next_id, moves: jobs };
    serde_json::to_vec_pretty(&written).map_err(|error| error.to_string())
}

/// Reads the file; nothing is kept yet when there is none.
pub(crate) fn read(path: &Path) -> Result<Kept, StateError> {
    let Some(bytes) = state_file::read(path)? else {
        return Ok(Kept { next_id: 1, jobs: Vec::new() });
    };
    let damaged = |text: String| StateError::Damaged { path: PathBuf::from(path), text };
    let head: Head = serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
    if head.format != FORMAT {
        let text = format!("its format is {}, this version knows {FORMAT}", head.format);
        return Err(damaged(text));
    }
    let read: Read = serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
    Ok(Kept { next_id: read.next_id, jobs: read.moves })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use routing::slot_move::MovePhase;

    use super::*;
    use crate::job::{Batch, Counts};
    use crate::options::MoveRequest;

    fn job() -> Job {
        let request: MoveRequest =
            serde_json::from_str(r#"{"slots": "0-9", "to": "h:1", "proxies": ["p:1"]}"#).unwrap();
        let mut batch = Batch::new(request.slots.clone(), "h:2".parse().unwrap(), 2);
        batch.phase = MovePhase::Moving;
        batch.before.insert("p:1".to_owned(), vec![config::SlotForm::default()]);
        Job {
            id: 7,
            request,
            target: "h:1".parse().unwrap(),
            target_group: 1,
            created_at: 1,
            ended_at: None,
            is_paused: true,
            is_cancelled: false,
            batches: vec![batch],
            counts: Counts { keys_moved: 5, ..Counts::default() },
            big_keys: Vec::new(),
            differences: Vec::new(),
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE);
        assert_eq!(read(&path).unwrap().next_id, 1);
        state_file::replace(&path, &text(8, &[job()]).unwrap()).unwrap();
        let kept = read(&path).unwrap();
        assert_eq!((kept.next_id, kept.jobs.len()), (8, 1));
        assert_eq!(format!("{:?}", kept.jobs[0]), format!("{:?}", job()));
    }

    #[test]
    fn a_damaged_file_is_told_with_its_name_and_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE);
        let whole = text(8, &[job()]).unwrap();
        let half = &whole[..whole.len() / 2];
        for bytes in [&b""[..], b"{}", half, br#"{"format": 2}"#] {
            fs::write(&path, bytes).unwrap();
            let error = read(&path).unwrap_err().to_string();
            assert!(error.contains("moves.json` is damaged: "), "{error}");
            assert!(error.contains("move it away"), "{error}");
        }
    }
}
