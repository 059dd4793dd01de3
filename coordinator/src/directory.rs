//! A coordinator in a local directory: the default where there is no other.
//!
//! ```text
//!   keyway.tree        every node, as JSON; replaced as a whole by a rename
//!   keyway.lock        locked by whoever reads (shared) or changes (alone) the tree
//!   keyway.sessions/N  locked by the process of session N for as long as that lives
//! ```
//!
//! A change is on the disk before it is answered, and either whole or not there after a crash.
//! Locks are the kernel's: those of a dead process are free at once, nothing has to be cleaned up
//! by hand. A session ends with its process, and the next who looks deletes what belonged to it.
//!
//! All processes of one machine may share a directory. They notice each other's changes within
//! [`LOOK_PERIOD`]. The directory has to be on a file system with locks, so not on an old NFS. Only
//! put a backup in place of `keyway.tree` while no process uses the directory: an older tree than
//! the one they know is not believed.

use std::fs;
use std::fs::File;
use std::fs::TryLockError;
use std::io;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::MissedTickBehavior;
use tokio::time::interval;
use tokio::time::sleep;
use tokio::time::timeout;

use crate::Answer;
use crate::Change;
use crate::Coordinator;
use crate::CoordinatorError;
use crate::Node;
use crate::NodePath;
use crate::SessionEvents;
use crate::Timeouts;
use crate::Watch;
use crate::local::Local;
use crate::local::Store;
use crate::session::OwnedTask;
use crate::tree::SessionId;
use crate::tree::Tree;

/// How often a session looks for changes of other processes.
const LOOK_PERIOD: Duration = Duration::from_millis(50);

/// How long to wait for a lock before trying again. Changes take a millisecond or a few.
const LOCK_PAUSE: Duration = Duration::from_millis(2);

const TREE: &str = "keyway.tree";
const TREE_NEW: &str = "keyway.tree.new";
const LOCK: &str = "keyway.lock";
const SESSIONS: &str = "keyway.sessions";

/// The form of the tree file that this version writes, and the only one it reads.
const FORMAT: u32 = 1;

/// The tree file.
#[derive(Serialize, Deserialize)]
struct TreeFile<T> {
    format: u32,
    tree: T,
}

/// A session with a directory.
#[derive(Debug)]
pub struct Directory {
    local: Local<DirectorySession>,
    _looks: OwnedTask,
}

impl Directory {
    /// Opens a directory, which is created when it does not exist. Needs a tokio runtime.
    ///
    /// # Errors
    ///
    /// The directory cannot be used, or somebody holds its lock for too long.
    pub async fn open(root: &Path, timeouts: Timeouts) -> Result<Self, CoordinatorError> {
        let unreachable = |cause: String| {
            let at = root.display().to_string();
            CoordinatorError::Unreachable { at, cause }
        };
        let begin = DirectorySession::begin(root.to_owned());
        let session = timeout(timeouts.connect, begin)
            .await
            .map_err(|_| unreachable(format!("its lock is not free after {:?}", timeouts.connect)))?
            .map_err(|error| unreachable(error.to_string()))?;
        let files = Arc::clone(&session.files);
        let local = Local::new(session, timeouts);
        Ok(Self { local, _looks: OwnedTask::spawn(files.look_around()) })
    }
}

/// The files and what was last seen in them.
#[derive(Debug)]
struct Files {
    root: PathBuf,
    id: SessionId,
    /// The lock that says that the session lives.
    life: Mutex<Option<File>>,
    seen: Mutex<Seen>,
    revision: watch::Sender<i64>,
}

#[derive(Debug, Default)]
struct Seen {
    tree: Arc<Tree>,
    /// The file that it is from. Open, so that no other file can get its number.
    file: Option<File>,
}

/// What a piece of work with the tree found.
enum Attempt<T> {
    Done(T),
    /// Somebody else has the lock.
    Busy,
}

#[derive(Clone, Copy)]
enum LockMode {
    Shared,
    Alone,
}

/// One session, as its store.
#[derive(Debug)]
struct DirectorySession {
    files: Arc<Files>,
}

impl DirectorySession {
    async fn begin(root: PathBuf) -> io::Result<Self> {
        let (id, life) = loop {
            let root = root.clone();
            match run(move || new_session(&root)).await? {
                Attempt::Done(session) => break session,
                Attempt::Busy => sleep(LOCK_PAUSE).await,
            }
        };
        let files = Arc::new(Files {
            root,
            id,
            life: Mutex::new(Some(life)),
            seen: Mutex::default(),
            revision: watch::Sender::new(0),
        });
        files.with(LockMode::Shared, |_| Ok(())).await?;
        Ok(Self { files })
    }

    /// Works with the tree under the lock, as a session that lives.
    async fn with<T: Send + 'static>(
        &self,
        mode: LockMode,
        work: impl Fn(&Files) -> io::Result<T> + Clone + Send + 'static,
    ) -> Result<T, CoordinatorError> {
        if lock(&self.files.life).is_none() {
            return Err(CoordinatorError::SessionOver);
        }
        let done = self.files.with(mode, work).await;
        done.map_err(|error| CoordinatorError::Broken {
            cause: format!("directory `{}`: {error}", self.files.root.display()),
        })
    }
}

/// Takes a number that no session has, and locks its file.
fn new_session(root: &Path) -> io::Result<Attempt<(SessionId, File)>> {
    let sessions = root.join(SESSIONS);
    fs::create_dir_all(&sessions)?;
    let Some(_lock) = try_lock(&root.join(LOCK), LockMode::Alone)? else {
        return Ok(Attempt::Busy);
    };
    let taken: Vec<SessionId> = fs::read_dir(&sessions)?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    // A dead session's nodes may still be there without its file.
    let owners = load(root)?.map(|(tree, _)| tree.owners()).unwrap_or_default();
    let last = taken.iter().chain(&owners).max().copied().unwrap_or(0);
    // Files of dead sessions that own nothing; the last one stays, so that no number comes twice.
    for id in taken.iter().filter(|id| **id != last && !owners.contains(id)) {
        let path = sessions.join(id.to_string());
        if try_lock(&path, LockMode::Shared)?.is_some() {
            remove_if_there(&path)?;
        }
    }
    let id = last + 1;
    let path = sessions.join(id.to_string());
    match try_lock(&path, LockMode::Alone)? {
        Some(life) => Ok(Attempt::Done((id, life))),
        None => Ok(Attempt::Busy),
    }
}

/// Runs what may block on a disk on a thread for that.
async fn run<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    spawn_blocking(work).await.map_err(io::Error::other)?
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is in there is replaced as a whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The locked file, unless somebody else has the lock.
fn try_lock(path: &Path, mode: LockMode) -> io::Result<Option<File>> {
    let file = File::options().read(true).write(true).create(true).truncate(false).open(path)?;
    let locked = match mode {
        LockMode::Shared => file.try_lock_shared(),
        LockMode::Alone => file.try_lock(),
    };
    match locked {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Reads the tree; `None` when there is none yet.
fn load(root: &Path) -> io::Result<Option<(Tree, File)>> {
    let mut file = match File::open(root.join(TREE)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let text = io::read_to_string(&mut file)?;
    let parsed: TreeFile<Tree> = serde_json::from_str(&text)?;
    if parsed.format != FORMAT {
        let cause = format!("`{TREE}` has format {}, this version reads {FORMAT}", parsed.format);
        return Err(io::Error::new(io::ErrorKind::InvalidData, cause));
    }
    Ok(Some((parsed.tree, file)))
}

impl Files {
    /// Works with the tree under the lock, as soon as that is free.
    async fn with<T: Send + 'static>(
        self: &Arc<Self>,
        mode: LockMode,
        work: impl Fn(&Self) -> io::Result<T> + Clone + Send + 'static,
    ) -> io::Result<T> {
        loop {
            let (files, work) = (Arc::clone(self), work.clone());
            let attempt = run(move || {
                let Some(_lock) = try_lock(&files.root.join(LOCK), mode)? else {
                    return Ok(Attempt::Busy);
                };
                files.refresh()?;
                work(&files).map(Attempt::Done)
            });
            match attempt.await? {
                Attempt::Done(done) => return Ok(done),
                Attempt::Busy => sleep(LOCK_PAUSE).await,
            }
        }
    }

    /// Reads the tree again when the file is not the one that was last read.
    fn refresh(&self) -> io::Result<()> {
        let number = match fs::metadata(self.root.join(TREE)) {
            Ok(metadata) => Some(metadata.ino()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let seen_number = {
            let seen = lock(&self.seen);
            seen.file.as_ref().and_then(|file| file.metadata().ok()).map(|metadata| metadata.ino())
        };
        if number == seen_number {
            return Ok(());
        }
        if let Some((tree, file)) = load(&self.root)? {
            self.see(tree, file);
        }
        Ok(())
    }

    /// Takes note of a tree, unless a newer one is known.
    fn see(&self, tree: Tree, file: File) {
        let mut seen = lock(&self.seen);
        if tree.revision() >= seen.tree.revision() {
            let revision = tree.revision();
            *seen = Seen { tree: Arc::new(tree), file: Some(file) };
            self.revision.send_replace(revision);
        }
    }

    fn seen(&self) -> Arc<Tree> {
        Arc::clone(&lock(&self.seen).tree)
    }

    /// Replaces the tree. The caller has the lock alone.
    fn store(&self, tree: Tree) -> io::Result<()> {
        let new = self.root.join(TREE_NEW);
        let mut file =
            File::options().read(true).write(true).create(true).truncate(true).open(&new)?;
        file.write_all(&serde_json::to_vec(&TreeFile { format: FORMAT, tree: &tree })?)?;
        file.sync_all()?;
        fs::rename(&new, self.root.join(TREE))?;
        // The rename is on the disk when the directory is.
        File::open(&self.root)?.sync_all()?;
        self.see(tree, file);
        Ok(())
    }

    /// Deletes what belonged to sessions whose processes are gone. The caller has the lock alone.
    fn bury(&self, dead: &[SessionId]) -> io::Result<()> {
        let mut tree = Tree::clone(&self.seen());
        let mut is_changed = false;
        for id in dead {
            is_changed |= tree.end_session(*id);
            remove_if_there(&self.session_file(*id))?;
        }
        if is_changed { self.store(tree) } else { Ok(()) }
    }

    /// The sessions that own nodes and do not live.
    fn dead(&self) -> io::Result<Vec<SessionId>> {
        let mut dead = Vec::new();
        for id in self.seen().owners() {
            if id == self.id && lock(&self.life).is_some() {
                continue;
            }
            let path = self.session_file(id);
            // Without its file there is no process with a lock on it either.
            if !path.exists() || try_lock(&path, LockMode::Shared)?.is_some() {
                dead.push(id);
            }
        }
        Ok(dead)
    }

    fn session_file(&self, id: SessionId) -> PathBuf {
        self.root.join(SESSIONS).join(id.to_string())
    }

    /// Looks for what other processes do, for ever.
    async fn look_around(self: Arc<Self>) {
        let mut ticks = interval(LOOK_PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let files = Arc::clone(&self);
            let looked = run(move || {
                // A rename is atomic, so looking needs no lock.
                files.refresh()?;
                files.dead()
            });
            // What cannot be read now is read with the next tick; the beats notice that it cannot.
            if let Ok(dead) = looked.await
                && !dead.is_empty()
            {
                // Asked again under the lock: somebody else may have been faster.
                let bury = |files: &Self| files.bury(&files.dead()?);
                let _ = self.with(LockMode::Alone, bury).await;
            }
        }
    }
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

impl Store for DirectorySession {
    fn session_id(&self) -> SessionId {
        self.files.id
    }

    fn view(&self) -> Answer<'_, Arc<Tree>> {
        Box::pin(self.with(LockMode::Shared, |files| Ok(files.seen())))
    }

    fn seen(&self) -> Arc<Tree> {
        self.files.seen()
    }

    fn revisions(&self) -> watch::Receiver<i64> {
        self.files.revision.subscribe()
    }

    fn apply<'a>(&'a self, changes: &'a [Change]) -> Answer<'a, Vec<NodePath>> {
        let changes: Arc<[Change]> = changes.into();
        Box::pin(async move {
            let work = move |files: &Files| {
                let mut tree = Tree::clone(&files.seen());
                let applied = tree.apply(&changes, files.id);
                if applied.is_ok() {
                    files.store(tree)?;
                }
                Ok(applied)
            };
            self.with(LockMode::Alone, work).await?
        })
    }

    fn beat(&self) -> Answer<'_, ()> {
        Box::pin(self.with(LockMode::Shared, |_| Ok(())))
    }

    fn end(&self) -> Answer<'_, ()> {
        Box::pin(self.with(LockMode::Alone, |files| files.bury(&[files.id])))
    }

    fn abandon(&self) {
        // The lock goes with the file, and whoever looks next sees that the session is dead.
        lock(&self.files.life).take();
    }
}

impl Coordinator for Directory {
    fn read<'a>(&'a self, path: &'a NodePath) -> Answer<'a, Option<Node>> {
        self.local.read(path)
    }

    fn list<'a>(&'a self, path: &'a NodePath) -> Answer<'a, Option<Vec<String>>> {
        self.local.list(path)
    }

    fn watch<'a>(&'a self, path: &'a NodePath) -> Answer<'a, (Option<Node>, Watch)> {
        self.local.watch(path)
    }

    fn watch_children<'a>(
        &'a self,
        path: &'a NodePath,
    ) -> Answer<'a, (Option<Vec<String>>, Watch)> {
        self.local.watch_children(path)
    }

    fn multi<'a>(&'a self, changes: &'a [Change]) -> Answer<'a, Vec<NodePath>> {
        self.local.multi(changes)
    }

    fn session(&self) -> SessionEvents {
        self.local.session()
    }

    fn close(&self) -> Answer<'_, ()> {
        self.local.close()
    }
}

#[cfg(test)]
mod tests;
