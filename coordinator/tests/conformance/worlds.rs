//! The worlds without a server: memory and a directory.

use std::fs::File;
use std::sync::Mutex;

use coordinator::Coordinator;
use coordinator::Directory;
use coordinator::MemoryStore;
use coordinator::Timeouts;
use tempfile::TempDir;

use super::World;

/// A folder for what a coordinator stores. Where there is a disk in memory, no test has to wait for
/// a real one.
pub(super) fn folder() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

#[derive(Default)]
pub(super) struct MemoryWorld(MemoryStore);

impl World for MemoryWorld {
    async fn connect(&self, timeouts: Timeouts) -> Box<dyn Coordinator> {
        Box::new(self.0.connect(timeouts))
    }

    fn freeze(&self) {
        self.0.freeze();
    }

    fn thaw(&self) {
        self.0.thaw();
    }
}

/// A directory is frozen when somebody sits on its lock.
pub(super) struct DirectoryWorld {
    root: TempDir,
    lock: Mutex<Option<File>>,
}

impl DirectoryWorld {
    pub(super) fn new() -> Self {
        Self { root: folder(), lock: Mutex::new(None) }
    }
}

impl World for DirectoryWorld {
    async fn connect(&self, timeouts: Timeouts) -> Box<dyn Coordinator> {
        Box::new(Directory::open(self.root.path(), timeouts).await.unwrap())
    }

    fn freeze(&self) {
        let lock = File::options().write(true).open(self.root.path().join("keyway.lock")).unwrap();
        lock.lock().unwrap();
        *self.lock.lock().unwrap() = Some(lock);
    }

    fn thaw(&self) {
        self.lock.lock().unwrap().take();
    }
}
