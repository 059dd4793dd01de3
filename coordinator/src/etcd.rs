//! etcd, version 3, through the crate `etcd-client`.
//!
//! etcd has a flat map of keys where this crate has a tree of nodes:
//!
//! | here               | in etcd                                                              |
//! |--------------------|----------------------------------------------------------------------|
//! | a node             | a key: its path                                                      |
//! | its version        | the key's version, less one                                          |
//! | a session          | a lease, kept alive by beats                                         |
//! | a session's node   | a key that is bound to the lease                                     |
//! | sequential numbers | a counter beside the tree: `sequence:` and the path of the parent    |
//! | a change           | read, try it on a copy, and write if nothing has changed ([`commit`])|
//! | a watch            | a stream of events from the revision after the one that was read     |
//!
//! The root is always there, without a key. One call of `multi` becomes one transaction, for which
//! etcd has a limit (128 operations unless configured otherwise; a change takes up to three).

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use etcd_client::Client;
use etcd_client::ConnectOptions;
use etcd_client::Error;
use etcd_client::GetOptions;
use etcd_client::KeyValue;
use etcd_client::Txn;
use etcd_client::TxnOp;
use etcd_client::TxnOpResponse;
use tokio::time::Instant;
use tokio::time::timeout;

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

mod commit;
mod events;

/// A session with etcd.
#[derive(Debug)]
pub struct Etcd {
    connection: Arc<Connection>,
    _upkeep: OwnedTask,
}

struct Connection {
    client: Client,
    /// The lease that is the session.
    lease: i64,
    session: Session,
    /// Where it is, for texts.
    at: String,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("lease", &self.lease).finish_non_exhaustive()
    }
}

impl Etcd {
    /// Connects to the servers `host:port,host:port`. Credentials are `user:password`. Needs a
    /// tokio runtime.
    ///
    /// The session's timeout is rounded up to whole seconds, and to what the server has as its
    /// minimum.
    ///
    /// # Errors
    ///
    /// None of the servers answers in time, or they refuse the credentials.
    pub async fn connect(
        addrs: &str,
        credentials: Option<&str>,
        timeouts: Timeouts,
    ) -> Result<Self, CoordinatorError> {
        let unreachable =
            |cause: String| CoordinatorError::Unreachable { at: addrs.to_owned(), cause };
        let endpoints: Vec<_> = addrs.split(',').map(str::trim).collect();
        // A server that hangs, or a cable that is cut, is noticed within a session's timeout.
        let alive = timeouts.session / 3;
        let mut options = ConnectOptions::new()
            .with_connect_timeout(timeouts.connect)
            .with_keep_alive(alive, alive)
            .with_keep_alive_while_idle(true)
            .with_require_leader(true);
        if let Some(credentials) = credentials {
            let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
            options = options.with_user(user, password).with_auto_token_refresh(true);
        }
        let connect = async {
            let mut client = Client::connect(endpoints, Some(options)).await?;
            let sent = Instant::now();
            let lease = client.lease_grant(seconds(timeouts.session), None).await?;
            Ok::<_, Error>((client, lease, sent))
        };
        let (client, lease, sent) = timeout(timeouts.connect, connect)
            .await
            .map_err(|_| unreachable(format!("no session after {:?}", timeouts.connect)))?
            .map_err(|error| match refusal(&error) {
                true => CoordinatorError::Refused { at: addrs.to_owned() },
                false => unreachable(error.to_string()),
            })?;
        let session = Duration::from_secs(u64::try_from(lease.ttl()).unwrap_or_default());
        let connection = Arc::new(Connection {
            client,
            lease: lease.id(),
            session: Session::new(Timeouts { session, ..timeouts }, sent),
            at: addrs.to_owned(),
        });
        let kept = Arc::clone(&connection);
        let upkeep = OwnedTask::spawn(async move { kept.session.keep(|| kept.beat()).await });
        Ok(Self { connection, _upkeep: upkeep })
    }
}

/// The lease's time to live for a timeout.
fn seconds(timeout: Duration) -> i64 {
    let whole = timeout.as_millis().div_ceil(1000).max(1);
    i64::try_from(whole).unwrap_or(i64::MAX)
}

fn refusal(error: &Error) -> bool {
    let text = error.to_string();
    // Wrong ones; none where some are needed.
    text.contains("authentication failed") || text.contains("user name is empty")
}

impl Drop for Etcd {
    fn drop(&mut self) {
        let is_over = self.connection.session.events().state().is_over();
        self.connection.session.end(SessionState::Closed);
        // In the background, as long as there is a runtime; otherwise the lease runs out.
        if let (false, Ok(runtime)) = (is_over, tokio::runtime::Handle::try_current()) {
            let (mut client, lease) = (self.connection.client.clone(), self.connection.lease);
            runtime.spawn(async move {
                let _ = timeout(Duration::from_secs(5), client.lease_revoke(lease)).await;
            });
        }
    }
}

/// Asks for all keys that begin with a prefix, without their values.
fn keys() -> GetOptions {
    GetOptions::new().with_prefix().with_keys_only()
}

impl Connection {
    async fn beat(&self) -> Result<(), CoordinatorError> {
        let root = NodePath::root();
        let beaten = self.client.clone().lease_keep_alive(self.lease).await;
        beaten.map(|_| ()).map_err(|error| match error {
            Error::LeaseKeepAliveError(_) => CoordinatorError::SessionOver,
            error => self.fault(&error, "look for", &root),
        })
    }

    /// What an error of the library means for a call about this node.
    fn fault(&self, error: &Error, action: &'static str, path: &NodePath) -> CoordinatorError {
        let (path, cause) = (path.clone(), error.to_string());
        if cause.contains("lease not found") {
            CoordinatorError::SessionOver
        } else if cause.contains("permission denied") {
            CoordinatorError::Denied { path }
        } else if refusal(error) || cause.contains("invalid auth token") {
            CoordinatorError::Refused { at: self.at.clone() }
        } else if cause.contains("too many operations") {
            CoordinatorError::Broken { cause: "too many changes for one transaction".to_owned() }
        } else {
            CoordinatorError::Interrupted { action, path, cause }
        }
    }

    fn node(&self, kv: &KeyValue) -> Node {
        let is_bound = kv.lease() != 0;
        let stat = Stat {
            version: Version(kv.version() - 1),
            created: kv.create_revision(),
            lifetime: if is_bound { Lifetime::Session } else { Lifetime::Persistent },
            is_ours: kv.lease() == self.lease,
        };
        Node { data: kv.value().to_vec(), stat }
    }

    /// Reads some ranges of keys as they are at one revision, which comes first.
    async fn ranges(
        &self,
        ranges: Vec<(String, Option<GetOptions>)>,
        action: &'static str,
        path: &NodePath,
    ) -> Result<(i64, Vec<Vec<KeyValue>>), CoordinatorError> {
        let gets: Vec<_> =
            ranges.into_iter().map(|(key, options)| TxnOp::get(key, options)).collect();
        let answer = self.client.clone().txn(Txn::new().and_then(gets)).await;
        let answer = answer.map_err(|error| self.fault(&error, action, path))?;
        let revision = answer.header().map_or(0, |header| header.revision());
        let found = answer.op_responses().into_iter().map(|response| match response {
            TxnOpResponse::Get(mut got) => got.take_kvs(),
            _ => Vec::new(),
        });
        Ok((revision, found.collect()))
    }

    async fn read(&self, path: &NodePath) -> Result<(i64, Option<Node>), CoordinatorError> {
        let (revision, found) =
            self.ranges(vec![(path.as_str().to_owned(), None)], "read", path).await?;
        let node = found.first().and_then(|kvs| kvs.first()).map(|kv| self.node(kv));
        let root = || Node {
            data: Vec::new(),
            stat: Stat {
                version: Version(0),
                created: 0,
                lifetime: Lifetime::Persistent,
                is_ours: false,
            },
        };
        Ok((revision, node.or_else(|| (*path == NodePath::root()).then(root))))
    }

    async fn list(&self, path: &NodePath) -> Result<(i64, Option<Vec<String>>), CoordinatorError> {
        let node = (path.as_str().to_owned(), Some(GetOptions::new().with_keys_only()));
        let ranges = vec![node, (path.prefix(), Some(keys()))];
        let (revision, found) = self.ranges(ranges, "list", path).await?;
        let [node, below] = found.as_slice() else {
            return Err(CoordinatorError::Broken { cause: "etcd left out an answer".to_owned() });
        };
        if node.is_empty() && *path != NodePath::root() {
            return Ok((revision, None));
        }
        let names = below.iter().filter_map(|kv| path.child_name(kv.key_str().ok()?));
        Ok((revision, Some(names.map(str::to_owned).collect())))
    }

    fn call<'a, T: Send + 'a>(
        &'a self,
        action: &'static str,
        path: &'a NodePath,
        call: impl Future<Output = Result<T, CoordinatorError>> + Send + 'a,
    ) -> Answer<'a, T> {
        Box::pin(self.session.call(action, path, call))
    }
}

impl Coordinator for Etcd {
    fn read<'a>(&'a self, path: &'a NodePath) -> Answer<'a, Option<Node>> {
        let read = async move { Ok(self.connection.read(path).await?.1) };
        self.connection.call("read", path, read)
    }

    fn list<'a>(&'a self, path: &'a NodePath) -> Answer<'a, Option<Vec<String>>> {
        let list = async move { Ok(self.connection.list(path).await?.1) };
        self.connection.call("list", path, list)
    }

    fn watch<'a>(&'a self, path: &'a NodePath) -> Answer<'a, (Option<Node>, Watch)> {
        let watch = async move {
            let (revision, node) = self.connection.read(path).await?;
            let fired = events::data(self.connection.client.clone(), path.clone(), revision);
            Ok((node, Watch::new(fired, self.session())))
        };
        self.connection.call("watch", path, watch)
    }

    fn watch_children<'a>(
        &'a self,
        path: &'a NodePath,
    ) -> Answer<'a, (Option<Vec<String>>, Watch)> {
        let watch = async move {
            let (revision, names) = self.connection.list(path).await?;
            let fired = events::children(self.connection.client.clone(), path.clone(), revision);
            Ok((names, Watch::new(fired, self.session())))
        };
        self.connection.call("watch the children of", path, watch)
    }

    fn multi<'a>(&'a self, changes: &'a [Change]) -> Answer<'a, Vec<NodePath>> {
        Box::pin(async move {
            let Some(first) = changes.first() else {
                return Ok(Vec::new());
            };
            changes.iter().try_for_each(Change::check)?;
            let commit = self.connection.commit(changes);
            self.connection.call(first.action(), first.path(), commit).await
        })
    }

    fn session(&self) -> SessionEvents {
        self.connection.session.events()
    }

    fn close(&self) -> Answer<'_, ()> {
        Box::pin(async move {
            let connection = &self.connection;
            if connection.session.events().state().is_over() {
                return Ok(());
            }
            connection.session.begin_close();
            let root = NodePath::root();
            let revoke = async {
                let revoked = connection.client.clone().lease_revoke(connection.lease).await;
                revoked.map(|_| ()).map_err(|error| connection.fault(&error, "close", &root))
            };
            let closed = connection.session.call("close", &root, revoke).await;
            connection.session.end(SessionState::Closed);
            closed
        })
    }
}
