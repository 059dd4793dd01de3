//! A session with ZooKeeper for tests: it writes what a dashboard writes, and sees what a proxy did.
//!
//! It is made of the client library alone and not of the crate that the proxy uses: a black-box
//! test must not look at nodes through the code that it judges. Calls block; the session lives on
//! a runtime of its own, and goes on for two minutes without contact.
//!
//! A call that fails for the sake of the connection is made again until its deadline, so that it
//! may find its own work done; all other errors fail the test, unless the call's name begins with
//! `try_`.

mod many;

use std::fmt;
use std::future::Future;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use zookeeper_client as zk;

use crate::wait::{Deadline, wait_until};

/// As long as the servers allow: no test outlives it.
const SESSION: Duration = Duration::from_secs(120);

/// How long a server may be silent before another connection is tried.
const SILENCE: Duration = Duration::from_secs(3);

/// How long a call may take, elections and restarts of servers included.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long the end of a session may take.
const GOODBYE_PATIENCE: Duration = Duration::from_secs(1);

/// Who may do what with a node; everyone, unless it says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everything: permissions 31.
    Directory,
    /// Read, write and administer, but have no nodes below: permissions 19.
    File,
    /// The same, for those with the credentials of the session that creates it.
    Private,
}

/// How long a node stays, and what its name is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// Until somebody deletes it.
    Persistent,
    /// The same, and the server ends the name with a number of ten digits.
    Sequential,
    /// As long as the session that created it.
    Session,
}

/// A node as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// What it contains; nodes here contain text.
    pub data: String,
    /// What the server knows of it.
    pub stat: Stat,
}

/// What the server knows of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// The session that has it; `None` when it stays.
    pub owner: Option<i64>,
    /// The number of the change that created it: another one after it was deleted and created.
    pub czxid: i64,
    /// How often its data has changed.
    pub version: i32,
    /// The number of the change that created or deleted the last node below it.
    pub pzxid: i64,
}

impl Stat {
    fn new(stat: &zk::Stat) -> Self {
        let owner = (stat.ephemeral_owner != 0).then_some(stat.ephemeral_owner);
        Self { owner, czxid: stat.czxid, version: stat.version, pzxid: stat.pzxid }
    }
}

/// See the module.
pub struct ZooKeeperClient {
    // Dropped before the runtime that tells the server of it.
    client: zk::Client,
    runtime: ClosingRuntime,
}

/// A runtime that, when it is dropped, lets the session that was dropped before it say goodbye:
/// without that the server would keep it for minutes.
struct ClosingRuntime {
    runtime: Runtime,
    state: zk::StateWatcher,
}

impl Drop for ClosingRuntime {
    fn drop(&mut self) {
        let mut state = self.state.clone();
        let closed = async move {
            while !state.state().is_terminated() {
                state.changed().await;
            }
        };
        // A server that is not there cannot be told.
        let timed = async { tokio::time::timeout(GOODBYE_PATIENCE, closed).await };
        let _ = self.runtime.block_on(timed);
    }
}

impl fmt::Debug for ZooKeeperClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ZooKeeperClient").field("session", &self.session()).finish()
    }
}

impl ZooKeeperClient {
    /// A session with one of these servers, separated by commas.
    ///
    /// # Panics
    /// When none answers.
    #[must_use]
    pub fn connect(addrs: &str) -> Self {
        Self::connect_as(addrs, None)
    }

    /// The same as somebody, `user:password`, who may read what belongs to them.
    ///
    /// # Panics
    /// When none answers.
    #[must_use]
    pub fn connect_as(addrs: &str, credentials: Option<&str>) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.unwrap_or_else(|error| panic!("make a runtime: {error}"));
        let client = wait_until(&format!("a session with {addrs}"), PATIENCE, || {
            let connector = zk::Client::connector()
                .with_session_timeout(SESSION)
                .with_connection_timeout(SILENCE)
                .with_fail_eagerly();
            let connector = match credentials {
                Some(credentials) => connector.with_auth("digest", credentials.as_bytes()),
                None => connector,
            };
            runtime.block_on(connector.connect(addrs))
        });
        let state = client.state_watcher();
        Self { client, runtime: ClosingRuntime { runtime, state } }
    }

    /// The number of the session, as the owner of nodes.
    #[must_use]
    pub fn session(&self) -> i64 {
        self.client.session_id().0
    }

    /// A node, or `None` when it is not there.
    ///
    /// # Panics
    /// When it cannot be read.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<Node> {
        match self.call(|| self.client.get_data(path)) {
            Ok((data, stat)) => {
                let data = String::from_utf8_lossy(&data).into_owned();
                Some(Node { data, stat: Stat::new(&stat) })
            }
            Err(zk::Error::NoNode) => None,
            Err(error) => panic!("read {path}: {error}"),
        }
    }

    /// What a node contains.
    ///
    /// # Panics
    /// When it is not there.
    #[must_use]
    pub fn data(&self, path: &str) -> String {
        self.get(path).unwrap_or_else(|| panic!("{path} is not there")).data
    }

    /// Whether a node is there.
    ///
    /// # Panics
    /// When the server does not tell.
    #[must_use]
    pub fn exists(&self, path: &str) -> bool {
        self.stat(path).is_some()
    }

    /// What the server knows of a node; `None` when it is not there.
    ///
    /// # Panics
    /// When the server does not tell.
    #[must_use]
    pub fn stat(&self, path: &str) -> Option<Stat> {
        let stat = self.call(|| self.client.check_stat(path));
        stat.unwrap_or_else(|error| panic!("look for {path}: {error}")).as_ref().map(Stat::new)
    }

    /// The names of the nodes below, in order; none when the node itself is not there.
    ///
    /// # Panics
    /// When they cannot be read.
    #[must_use]
    pub fn children(&self, path: &str) -> Vec<String> {
        match self.call(|| self.client.list_children(path)) {
            Ok(mut names) => {
                names.sort_unstable();
                names
            }
            Err(zk::Error::NoNode) => Vec::new(),
            Err(error) => panic!("list {path}: {error}"),
        }
    }

    /// The access list of a node as one text, such as `19 world:anyone`.
    ///
    /// # Panics
    /// When the node is not there.
    #[must_use]
    pub fn access(&self, path: &str) -> String {
        let acls = self.call(|| self.client.get_acl(path));
        let (acls, _) = acls.unwrap_or_else(|error| panic!("access list of {path}: {error}"));
        let entry = |acl: &zk::Acl| {
            let rights = [
                (zk::Permission::READ, 1),
                (zk::Permission::WRITE, 2),
                (zk::Permission::CREATE, 4),
                (zk::Permission::DELETE, 8),
                (zk::Permission::ADMIN, 16),
            ];
            let granted = rights.iter().filter(|(right, _)| acl.permission().has(*right));
            let sum: u32 = granted.map(|(_, value)| value).sum();
            format!("{sum} {}:{}", acl.scheme(), acl.id())
        };
        acls.iter().map(entry).collect::<Vec<_>>().join(", ")
    }

    /// Creates a node and returns its path, which ends with a number where the server gives one.
    ///
    /// # Errors
    /// What the server says: the node is there already, the one above is not.
    ///
    /// # Panics
    /// When the server does not answer.
    pub fn try_create(
        &self,
        path: &str,
        data: &str,
        lifetime: Lifetime,
        access: Access,
    ) -> Result<String, zk::Error> {
        let acls = [acl_of(access)];
        let mode = match lifetime {
            Lifetime::Persistent => zk::CreateMode::Persistent,
            Lifetime::Sequential => zk::CreateMode::PersistentSequential,
            Lifetime::Session => zk::CreateMode::Ephemeral,
        };
        let options = mode.with_acls(zk::Acls::new(&acls));
        let (_, sequence) = self.call(|| self.client.create(path, data.as_bytes(), &options))?;
        match lifetime {
            Lifetime::Sequential => Ok(format!("{path}{sequence}")),
            Lifetime::Persistent | Lifetime::Session => Ok(path.to_owned()),
        }
    }

    /// Creates a node and returns its path, which ends with a number where the server gives one.
    ///
    /// # Panics
    /// When that fails.
    pub fn create(&self, path: &str, data: &str, lifetime: Lifetime, access: Access) -> String {
        self.try_create(path, data, lifetime, access)
            .unwrap_or_else(|error| panic!("create {path}: {error}"))
    }

    /// Creates an empty directory and those above it that are not there.
    ///
    /// # Panics
    /// When that fails.
    pub fn create_directory(&self, path: &str) {
        let ends = path.char_indices().skip(1).filter(|(_, symbol)| *symbol == '/');
        let above = ends.filter_map(|(end, _)| path.get(..end));
        for directory in above.chain([path]) {
            match self.try_create(directory, "", Lifetime::Persistent, Access::Directory) {
                Ok(_) | Err(zk::Error::NodeExists) => {}
                Err(error) => panic!("create {directory}: {error}"),
            }
        }
    }

    /// Gives a node other data, whatever its version.
    ///
    /// # Errors
    /// What the server says: the node is not there.
    ///
    /// # Panics
    /// When the server does not answer.
    pub fn try_set(&self, path: &str, data: &str) -> Result<(), zk::Error> {
        self.call(|| self.client.set_data(path, data.as_bytes(), None)).map(drop)
    }

    /// Gives a node other data, whatever its version.
    ///
    /// # Panics
    /// When it is not there.
    pub fn set(&self, path: &str, data: &str) {
        self.try_set(path, data).unwrap_or_else(|error| panic!("write {path}: {error}"));
    }

    /// Gives a node this data, and creates it where it is not there: a file that stays.
    ///
    /// # Panics
    /// When that fails.
    pub fn put(&self, path: &str, data: &str) {
        match self.try_set(path, data) {
            Err(zk::Error::NoNode) => {
                self.create(path, data, Lifetime::Persistent, Access::File);
            }
            outcome => outcome.unwrap_or_else(|error| panic!("write {path}: {error}")),
        }
    }

    /// Deletes a node; it does not matter whether it is there.
    ///
    /// # Panics
    /// When it cannot be deleted.
    pub fn delete(&self, path: &str) {
        match self.call(|| self.client.delete(path, None)) {
            Ok(()) | Err(zk::Error::NoNode) => {}
            Err(error) => panic!("delete {path}: {error}"),
        }
    }

    /// Deletes a node and those right below it, also those that appear meanwhile.
    ///
    /// # Panics
    /// When they cannot be deleted.
    pub fn delete_directory(&self, path: &str) {
        wait_until(&format!("{path} is deleted"), PATIENCE, || {
            for name in self.children(path) {
                self.delete(&format!("{path}/{name}"));
            }
            match self.call(|| self.client.delete(path, None)) {
                Ok(()) | Err(zk::Error::NoNode) => Ok(()),
                Err(error) => Err(error),
            }
        });
    }

    /// Takes everyone the right to write below a node, or to create anything there.
    ///
    /// # Panics
    /// When ZooKeeper refuses for another reason than that there is no such node.
    pub fn close(&self, path: &str) {
        let rights = zk::Permission::READ | zk::Permission::DELETE | zk::Permission::ADMIN;
        let acls = [zk::Acl::new(rights, zk::AuthId::anyone())];
        match self.call(|| self.client.set_acl(path, &acls, None)) {
            Ok(_) | Err(zk::Error::NoNode) => {}
            Err(error) => panic!("close {path}: {error}"),
        }
    }

    /// Waits until the nodes below are as wanted.
    ///
    /// # Errors
    /// What they are at the deadline.
    ///
    /// # Panics
    /// When they cannot be read.
    pub fn wait_children(
        &self,
        path: &str,
        deadline: Duration,
        is_wanted: impl Fn(&[String]) -> bool,
    ) -> Result<Vec<String>, Vec<String>> {
        let deadline = Deadline::after(deadline);
        loop {
            let read = self.call(|| self.client.list_and_watch_children(path));
            let (mut names, watcher) = read.unwrap_or_else(|error| panic!("list {path}: {error}"));
            names.sort_unstable();
            if is_wanted(&names) {
                return Ok(names);
            }
            let Some(left) = deadline.remaining() else {
                return Err(names);
            };
            let changed = async { tokio::time::timeout(left, watcher.changed()).await };
            // At the deadline they are read once more.
            let _ = self.runtime.runtime.block_on(changed);
        }
    }

    /// Waits until a node is there and returns it.
    ///
    /// # Panics
    /// When it is not at the deadline.
    #[must_use]
    pub fn wait_node(&self, path: &str, deadline: Duration) -> Node {
        wait_until(&format!("{path} is there"), deadline, || self.get(path).ok_or("nothing"))
    }

    /// Waits until a node is gone.
    ///
    /// # Panics
    /// When it is there at the deadline.
    pub fn wait_gone(&self, path: &str, deadline: Duration) {
        wait_until(&format!("{path} is gone"), deadline, || self.get(path).map_or(Ok(()), Err));
    }

    /// Waits until the data of a node is as wanted, and returns what `wanted` makes of it.
    ///
    /// # Panics
    /// When it is not at the deadline.
    pub fn wait_data<T>(
        &self,
        path: &str,
        what: &str,
        deadline: Duration,
        mut wanted: impl FnMut(&str) -> Option<T>,
    ) -> T {
        wait_until(&format!("{path}: {what}"), deadline, || {
            let node = self.get(path);
            let seen = node.as_ref().and_then(|node| wanted(&node.data));
            seen.ok_or_else(|| node.map(|node| node.data))
        })
    }

    /// Makes a call until it does not fail for the sake of the connection.
    fn call<T, F>(&self, call: impl Fn() -> F) -> Result<T, zk::Error>
    where
        F: Future<Output = Result<T, zk::Error>>,
    {
        let deadline = Deadline::after(PATIENCE);
        loop {
            match self.timed(async { call().await }) {
                Err(error) if is_of_connection(&error) && deadline.remaining().is_some() => {}
                outcome => return outcome,
            }
        }
    }

    /// Waits for what is done on the runtime, with patience.
    fn timed<T>(&self, work: impl Future<Output = T>) -> T {
        let timed = async { tokio::time::timeout(PATIENCE, work).await };
        self.runtime
            .runtime
            .block_on(timed)
            .unwrap_or_else(|_| panic!("ZooKeeper did not answer within {PATIENCE:?}"))
    }
}

fn acl_of(access: Access) -> zk::Acl {
    let file = zk::Permission::READ | zk::Permission::WRITE | zk::Permission::ADMIN;
    match access {
        Access::Directory => zk::Acl::new(zk::Permission::ALL, zk::AuthId::anyone()),
        Access::File => zk::Acl::new(file, zk::AuthId::anyone()),
        Access::Private => zk::Acl::new(file, zk::AuthId::authed()),
    }
}

/// Whether a call failed because the server was not there; `Custom` is what the system says.
fn is_of_connection(error: &zk::Error) -> bool {
    matches!(error, zk::Error::ConnectionLoss | zk::Error::Custom(_))
}
