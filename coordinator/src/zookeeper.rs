//! ZooKeeper, through the crate `zookeeper-client` (why that one: ADR 4).
//!
//! The library keeps the connection: it reconnects within the session, registers watches and sends
//! the credentials again. On top of it are time limits, which it has none of, and the clock that
//! ends a session in time (see [`crate::session`]); the library says "expired" only 7/5 of the
//! timeout after the last contact, or when a server says so.
//!
//! Nodes get the access lists that Codis gives them: all rights for directories, all but children
//! for files, for everybody or, with credentials, for those who have the same.
//!
//! One change is one plain request of those that servers have known since 3.4. Several are one
//! transaction, in which nodes are created by a request that came with 3.5.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use tokio::time::Instant;
use tokio::time::timeout;
use zookeeper_client as zk;

use crate::Access;
use crate::Answer;
use crate::Change;
use crate::Coordinator;
use crate::CoordinatorError;
use crate::Lifetime;
use crate::Node;
use crate::NodePath;
use crate::SessionEvents;
use crate::SessionState;
use crate::Stat;
use crate::Timeouts;
use crate::Version;
use crate::Watch;
use crate::session::OwnedTask;
use crate::session::Session;

/// A session with ZooKeeper.
#[derive(Debug)]
pub struct ZooKeeper {
    connection: Arc<Connection>,
    _upkeep: OwnedTask,
}

#[derive(Debug)]
struct Connection {
    /// The library's client; dropping the last clone of it ends the session on the server.
    client: Mutex<Option<zk::Client>>,
    session: Session,
    /// Where it is, for texts.
    at: String,
    /// Do nodes belong to those with our credentials only?
    has_credentials: bool,
}

impl ZooKeeper {
    /// Connects to the servers `host:port,host:port`, to which a path may be added below which
    /// everything is. Credentials are `user:password` for ZooKeeper's digest scheme. Needs a tokio
    /// runtime.
    ///
    /// The session's timeout is what the server makes of the one that is asked for.
    ///
    /// # Errors
    ///
    /// None of the servers can be reached in time.
    pub async fn connect(
        addrs: &str,
        credentials: Option<&str>,
        timeouts: Timeouts,
    ) -> Result<Self, CoordinatorError> {
        let unreachable =
            |cause: String| CoordinatorError::Unreachable { at: addrs.to_owned(), cause };
        let mut connector = zk::Client::connector()
            .with_session_timeout(timeouts.session)
            .with_fail_eagerly()
            // Asks for what every server knows; a newer `create` only answers with more.
            .with_server_version(3, 4, 0);
        if let Some(credentials) = credentials {
            connector = connector.with_auth("digest", credentials.as_bytes());
        }
        let sent = Instant::now();
        let client = timeout(timeouts.connect, connector.connect(addrs))
            .await
            .map_err(|_| unreachable(format!("no session after {:?}", timeouts.connect)))?
            .map_err(|error| unreachable(error.to_string()))?;
        let session = client.session_timeout();
        let connection = Arc::new(Connection {
            session: Session::new(Timeouts { session, ..timeouts }, sent),
            client: Mutex::new(Some(client)),
            at: addrs.to_owned(),
            has_credentials: credentials.is_some(),
        });
        // Connecting may have taken long; the clock should count from now.
        let root = NodePath::root();
        connection.session.call("look for", &root, connection.beat()).await?;
        let upkeep = OwnedTask::spawn(Arc::clone(&connection).keep());
        Ok(Self { connection, _upkeep: upkeep })
    }
}

impl Drop for ZooKeeper {
    fn drop(&mut self) {
        self.connection.session.end(SessionState::Closed);
        self.connection.take();
    }
}

impl Connection {
    fn client(&self) -> Result<zk::Client, CoordinatorError> {
        let client = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        client.clone().ok_or(CoordinatorError::SessionOver)
    }

    fn take(&self) -> Option<zk::Client> {
        self.client.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Keeps the session until it is over, then lets go of it.
    async fn keep(self: Arc<Self>) {
        tokio::join!(self.session.keep(|| self.beat()), self.pass_states());
        // Over by our clock while the library still hopes: it must not come back.
        self.take();
    }

    /// The leader itself answers this one, which counts the time of sessions. Whatever else is read
    /// is answered by the server that we are connected to, which may be cut off from the leader.
    async fn beat(&self) -> Result<(), CoordinatorError> {
        let root = NodePath::root();
        let beaten = self.client()?.sync("/").await;
        beaten.map_err(|error| self.fault(&error, "look for", &root))
    }

    /// Passes on what the library knows of the session.
    async fn pass_states(&self) {
        let Ok(mut states) = self.client().map(|client| client.state_watcher()) else {
            return;
        };
        let mut events = self.session.events();
        loop {
            let state = tokio::select! {
                state = states.changed() => state,
                _ = events.over() => return,
            };
            match state {
                zk::SessionState::Disconnected => self.session.lose_contact(),
                // The next beat proves it.
                zk::SessionState::SyncConnected | zk::SessionState::ConnectedReadOnly => {}
                zk::SessionState::AuthFailed => self.session.end(SessionState::Refused),
                // We have let go of it; whoever did says why.
                zk::SessionState::Closed if self.client().is_err() => return,
                zk::SessionState::Expired | zk::SessionState::Closed => {
                    self.session.end(SessionState::Expired);
                }
            }
        }
    }

    /// What an error of the library means for a call about this node.
    fn fault(&self, error: &zk::Error, action: &'static str, path: &NodePath) -> CoordinatorError {
        let path = path.clone();
        match error {
            zk::Error::NoNode => CoordinatorError::NoNode { path },
            zk::Error::NodeExists => CoordinatorError::NodeExists { path },
            zk::Error::BadVersion => CoordinatorError::StaleVersion { path },
            zk::Error::NotEmpty => CoordinatorError::NotEmpty { path },
            zk::Error::NoChildrenForEphemerals => CoordinatorError::NoChildren { path },
            zk::Error::NoAuth | zk::Error::InvalidAcl => CoordinatorError::Denied { path },
            zk::Error::AuthFailed => CoordinatorError::Refused { at: self.at.clone() },
            zk::Error::SessionExpired | zk::Error::ClientClosed => CoordinatorError::SessionOver,
            zk::Error::ConnectionLoss
            | zk::Error::Timeout
            | zk::Error::NoHosts
            | zk::Error::Throttled
            | zk::Error::NotReadOnly
            | zk::Error::SessionMoved
            | zk::Error::Custom(_)
            | zk::Error::UnexpectedError(_) => {
                CoordinatorError::Interrupted { action, path, cause: error.to_string() }
            }
            _ => CoordinatorError::Broken { cause: format!("{action} node `{path}`: {error}") },
        }
    }

    /// As [`fault`](Self::fault), for a change: errors about a parent name the parent.
    fn change_fault(&self, error: &zk::Error, change: &Change) -> CoordinatorError {
        let above = match (change, error) {
            (
                Change::Create { path, .. },
                zk::Error::NoNode | zk::Error::NoChildrenForEphemerals,
            ) => path.parent(),
            _ => None,
        };
        self.fault(error, change.action(), above.as_ref().unwrap_or(change.path()))
    }

    fn stat(&self, stat: &zk::Stat, client: &zk::Client) -> Stat {
        let is_persistent = stat.ephemeral_owner == 0;
        Stat {
            version: Version(stat.version.into()),
            created: stat.czxid,
            lifetime: if is_persistent { Lifetime::Persistent } else { Lifetime::Session },
            is_ours: stat.ephemeral_owner == client.session_id().0,
        }
    }

    async fn read(&self, path: &NodePath) -> Result<Option<Node>, CoordinatorError> {
        let client = self.client()?;
        match client.get_data(path.as_str()).await {
            Ok((data, stat)) => Ok(Some(Node { data, stat: self.stat(&stat, &client) })),
            Err(zk::Error::NoNode) => Ok(None),
            Err(error) => Err(self.fault(&error, "read", path)),
        }
    }

    async fn list(&self, path: &NodePath) -> Result<Option<Vec<String>>, CoordinatorError> {
        match self.client()?.list_children(path.as_str()).await {
            Ok(children) => Ok(Some(sorted(children))),
            Err(zk::Error::NoNode) => Ok(None),
            Err(error) => Err(self.fault(&error, "list", path)),
        }
    }

    async fn watch(&self, path: &NodePath) -> Result<(Option<Node>, Watch), CoordinatorError> {
        let client = self.client()?;
        loop {
            match client.get_and_watch_data(path.as_str()).await {
                Ok((data, stat, watcher)) => {
                    let node = Node { data, stat: self.stat(&stat, &client) };
                    return Ok((Some(node), self.fires(watcher)));
                }
                Err(zk::Error::NoNode) => {}
                Err(error) => return Err(self.fault(&error, "watch", path)),
            }
            if let Some(watch) = self.watch_absence(&client, path).await? {
                return Ok((None, watch));
            }
        }
    }

    async fn watch_children(
        &self,
        path: &NodePath,
    ) -> Result<(Option<Vec<String>>, Watch), CoordinatorError> {
        let client = self.client()?;
        loop {
            match client.list_and_watch_children(path.as_str()).await {
                Ok((children, watcher)) => {
                    return Ok((Some(sorted(children)), self.fires(watcher)));
                }
                Err(zk::Error::NoNode) => {}
                Err(error) => return Err(self.fault(&error, "watch the children of", path)),
            }
            if let Some(watch) = self.watch_absence(&client, path).await? {
                return Ok((None, watch));
            }
        }
    }

    /// A watch for the creation of a node; `None` when it has just been created.
    async fn watch_absence(
        &self,
        client: &zk::Client,
        path: &NodePath,
    ) -> Result<Option<Watch>, CoordinatorError> {
        match client.check_and_watch_stat(path.as_str()).await {
            Ok((None, watcher)) => Ok(Some(self.fires(watcher))),
            Ok((Some(_), _)) => Ok(None),
            Err(error) => Err(self.fault(&error, "watch", path)),
        }
    }

    fn fires(&self, watcher: zk::OneshotWatcher) -> Watch {
        let fired = async move {
            let event = watcher.changed().await;
            if event.event_type == zk::EventType::Session {
                // The end of the session, which the watch hears of from its session.
                std::future::pending::<()>().await;
            }
        };
        Watch::new(fired, self.session.events())
    }

    async fn multi(&self, changes: &[Change]) -> Result<Vec<NodePath>, CoordinatorError> {
        let client = self.client()?;
        if let [change] = changes {
            let done = self.change(&client, change).await?;
            return done.map(|path| vec![path]).map_err(|error| self.change_fault(&error, change));
        }
        let Some(first) = changes.first() else {
            return Ok(Vec::new());
        };
        let mut writer = client.new_multi_writer();
        for change in changes {
            self.add(&mut writer, change).map_err(|error| self.change_fault(&error, change))?;
        }
        let results = writer.commit().await.map_err(|error| match error {
            zk::MultiWriteError::OperationFailed { index, source } => {
                self.change_fault(&source, changes.get(index).unwrap_or(first))
            }
            zk::MultiWriteError::RequestFailed { source } => self.change_fault(&source, first),
        })?;
        let paths = results.into_iter().zip(changes).map(|(result, change)| match result {
            zk::MultiWriteResult::Create { path, .. } => NodePath::new(path),
            _ => Ok(change.path().clone()),
        });
        paths.collect()
    }

    /// Makes one change by itself. The inner error is the library's.
    async fn change(
        &self,
        client: &zk::Client,
        change: &Change,
    ) -> Result<Result<NodePath, zk::Error>, CoordinatorError> {
        let path = change.path().clone();
        let done = match change {
            Change::Create { data, lifetime, access, .. } => {
                let acls = self.acls(*access);
                let options = mode(*lifetime, false).with_acls(zk::Acls::new(&acls));
                client.create(path.as_str(), data, &options).await.map(|_| path)
            }
            Change::CreateSequential { parent, prefix, data, lifetime, access } => {
                let acls = self.acls(*access);
                let options = mode(*lifetime, true).with_acls(zk::Acls::new(&acls));
                let stem = parent.prefix() + prefix;
                match client.create(&stem, data, &options).await {
                    Ok((_, number)) => Ok(NodePath::new(format!("{stem}{number}"))?),
                    Err(error) => Err(error),
                }
            }
            Change::Set { data, version, .. } => {
                client.set_data(path.as_str(), data, version.map(number)).await.map(|_| path)
            }
            Change::Delete { version, .. } => {
                client.delete(path.as_str(), version.map(number)).await.map(|()| path)
            }
            Change::Check { version, .. } => match client.check_stat(path.as_str()).await {
                Ok(Some(stat)) if stat.version == number(*version) => Ok(path),
                Ok(Some(_)) => Err(zk::Error::BadVersion),
                Ok(None) => Err(zk::Error::NoNode),
                Err(error) => Err(error),
            },
        };
        Ok(done)
    }

    /// Adds a change to a transaction.
    fn add(&self, writer: &mut zk::MultiWriter<'_>, change: &Change) -> Result<(), zk::Error> {
        match change {
            Change::Create { path, data, lifetime, access } => {
                let acls = self.acls(*access);
                let options = mode(*lifetime, false).with_acls(zk::Acls::new(&acls));
                writer.add_create(path.as_str(), data, &options)
            }
            Change::CreateSequential { parent, prefix, data, lifetime, access } => {
                let acls = self.acls(*access);
                let options = mode(*lifetime, true).with_acls(zk::Acls::new(&acls));
                writer.add_create(&(parent.prefix() + prefix), data, &options)
            }
            Change::Set { path, data, version } => {
                writer.add_set_data(path.as_str(), data, version.map(number))
            }
            Change::Delete { path, version } => {
                writer.add_delete(path.as_str(), version.map(number))
            }
            Change::Check { path, version } => {
                writer.add_check_version(path.as_str(), number(*version))
            }
        }
    }

    fn acls(&self, access: Access) -> [zk::Acl; 1] {
        let who = if self.has_credentials { zk::AuthId::authed() } else { zk::AuthId::anyone() };
        let what = match access {
            Access::Directory => zk::Permission::ALL,
            Access::File => zk::Permission::READ | zk::Permission::WRITE | zk::Permission::ADMIN,
        };
        [zk::Acl::new(what, who)]
    }
}

fn mode(lifetime: Lifetime, is_sequential: bool) -> zk::CreateMode {
    match (lifetime, is_sequential) {
        (Lifetime::Persistent, false) => zk::CreateMode::Persistent,
        (Lifetime::Persistent, true) => zk::CreateMode::PersistentSequential,
        (Lifetime::Session, false) => zk::CreateMode::Ephemeral,
        (Lifetime::Session, true) => zk::CreateMode::EphemeralSequential,
    }
}

/// A version as the protocol has it. One that does not fit is of no node.
fn number(version: Version) -> i32 {
    i32::try_from(version.0).unwrap_or(i32::MAX)
}

fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort_unstable();
    names
}

impl Coordinator for ZooKeeper {
    fn read<'a>(&'a self, path: &'a NodePath) -> Answer<'a, Option<Node>> {
        Box::pin(self.connection.session.call("read", path, self.connection.read(path)))
    }

    fn list<'a>(&'a self, path: &'a NodePath) -> Answer<'a, Option<Vec<String>>> {
        Box::pin(self.connection.session.call("list", path, self.connection.list(path)))
    }

    fn watch<'a>(&'a self, path: &'a NodePath) -> Answer<'a, (Option<Node>, Watch)> {
        Box::pin(self.connection.session.call("watch", path, self.connection.watch(path)))
    }

    fn watch_children<'a>(
        &'a self,
        path: &'a NodePath,
    ) -> Answer<'a, (Option<Vec<String>>, Watch)> {
        let watch = self.connection.watch_children(path);
        Box::pin(self.connection.session.call("watch the children of", path, watch))
    }

    fn multi<'a>(&'a self, changes: &'a [Change]) -> Answer<'a, Vec<NodePath>> {
        Box::pin(async move {
            let Some(first) = changes.first() else {
                return Ok(Vec::new());
            };
            changes.iter().try_for_each(Change::check)?;
            let multi = self.connection.multi(changes);
            self.connection.session.call(first.action(), first.path(), multi).await
        })
    }

    fn session(&self) -> SessionEvents {
        self.connection.session.events()
    }

    fn close(&self) -> Answer<'_, ()> {
        Box::pin(async move {
            let Some(client) = self.connection.take() else {
                return Ok(());
            };
            self.connection.session.begin_close();
            let mut states = client.state_watcher();
            let close = async move {
                drop(client);
                while !states.peek_state().is_terminated() {
                    states.changed().await;
                }
                Ok(())
            };
            let closed = self.connection.session.call("close", &NodePath::root(), close).await;
            self.connection.session.end(SessionState::Closed);
            closed
        })
    }
}
