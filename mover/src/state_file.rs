//! Files that outlive the proxy: written whole or not at all.
//!
//! ```text
//! write `name.new` -> fsync -> rename to `name` -> fsync of the folder
//! ```
//! Whoever reads finds the old text or the new one, also after the machine has lost its power.
//!
//! Blocking: callers on an arbiter use a thread for it.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use thiserror::Error;

/// The file that says that a folder is in use.
const LOCK: &str = "lock";

/// More than any file of state has.
const FILE_BYTES_MAX: u64 = 256 << 20;

/// Why state could not be kept or found.
#[derive(Debug, Error)]
pub enum StateError {
    /// The system said no.
    #[error("{action} `{}`: {error}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// With which file.
        path: PathBuf,
        /// What it said.
        error: io::Error,
    },
    /// Another proxy uses the folder.
    #[error("`{}` is in use by another proxy: each needs a `state_dir` of its own", path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// The text is not what was written.
    #[error("`{}` is damaged: {text}; repair it, or move it away and check the slots", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        text: String,
    },
}

/// The folder of one proxy, in use by it alone until this is dropped.
#[derive(Debug)]
pub struct StateDir {
    path: PathBuf,
    _lock: File,
}

impl StateDir {
    /// Takes a folder, which is made if it is not there.
    ///
    /// # Errors
    /// It cannot be used, or another proxy has it.
    pub fn open(path: &Path) -> Result<Self, StateError> {
        let io = |action| move |error| StateError::Io { action, path: path.to_owned(), error };
        fs::create_dir_all(path).map_err(io("make"))?;
        let lock = File::options().create(true).truncate(false).write(true).open(path.join(LOCK));
        let lock = lock.map_err(io("take"))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(fs::TryLockError::WouldBlock) => Err(StateError::InUse { path: path.to_owned() }),
            Err(fs::TryLockError::Error(error)) => Err(io("take")(error)),
        }
    }

    /// The path of a file in the folder.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

/// Replaces a file.
///
/// # Errors
/// The system said no; the file is as it was, or new.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), StateError> {
    let fresh = path.with_extension("new");
    let io = |action| {
        let path = path.to_owned();
        move |error| StateError::Io { action, path, error }
    };
    let mut file = File::create(&fresh).map_err(io("write"))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(io("write"))?;
    fs::rename(&fresh, path).map_err(io("replace"))?;
    let folder = path.parent().unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(io("sync the folder of"))
}

/// Reads a file; none when there is none.
///
/// # Errors
/// It is there and cannot be read.
pub fn read(path: &Path) -> Result<Option<Vec<u8>>, StateError> {
    let io = |error| StateError::Io { action: "read", path: path.to_owned(), error };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io(error)),
    };
    let mut bytes = Vec::new();
    let read = file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(io)?;
    if u64::try_from(read).is_ok_and(|read| read > FILE_BYTES_MAX) {
        let text = format!("it has more than {FILE_BYTES_MAX} bytes");
        return Err(StateError::Damaged { path: path.to_owned(), text });
    }
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.json");
        assert_eq!(read(&path).unwrap(), None);
        replace(&path, b"one").unwrap();
        replace(&path, b"two").unwrap();
        assert_eq!(read(&path).unwrap(), Some(b"two".to_vec()));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_folder_belongs_to_one_proxy() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state");
        let first = StateDir::open(&path).unwrap();
        let error = StateDir::open(&path).unwrap_err();
        assert!(matches!(error, StateError::InUse { .. }), "{error}");
        drop(first);
        StateDir::open(&path).unwrap();
    }

    #[test]
    fn what_cannot_be_written_is_told_with_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("missing/a.json");
        let error = replace(&path, b"one").unwrap_err().to_string();
        assert!(error.contains("missing/a.json"), "{error}");
    }
}
