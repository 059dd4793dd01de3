//! A real etcd: the common rules, and what only it has.

use std::path::Path;
use std::time::Duration;

use coordinator::Access;
use coordinator::Coordinator;
use coordinator::CoordinatorError;
use coordinator::Etcd;
use coordinator::Lifetime;
use coordinator::SessionState;
use coordinator::Timeouts;
use tempfile::TempDir;

use super::CALM;
use super::World;
use super::nodes;
use super::path;
use super::server::Server;
use super::server::free_ports;
use super::server::until_ok;
use super::sessions;
use super::soon;
use super::worlds::folder;

struct EtcdWorld {
    server: Server,
    ports: [u16; 2],
    root: TempDir,
}

impl EtcdWorld {
    async fn start() -> Self {
        let root = folder();
        let ports = free_ports();
        let world = Self { server: Self::server(root.path(), ports), ports, root };
        world.wait().await;
        world
    }

    fn server(root: &Path, [client, peer]: [u16; 2]) -> Server {
        let (client, peer) =
            (format!("http://127.0.0.1:{client}"), format!("http://127.0.0.1:{peer}"));
        let options = [
            ("--data-dir", root.display().to_string()),
            ("--listen-client-urls", client.clone()),
            ("--advertise-client-urls", client),
            ("--listen-peer-urls", peer.clone()),
            ("--initial-advertise-peer-urls", peer.clone()),
            ("--initial-cluster", format!("default={peer}")),
            // Leases can be as short as one and a half of these.
            ("--heartbeat-interval", "50".to_owned()),
            ("--election-timeout", "500".to_owned()),
        ];
        let args: Vec<_> =
            options.into_iter().flat_map(|(name, value)| [name.to_owned(), value]).collect();
        Server::start("etcd", &args, "etcd-server")
    }

    /// Waits until it answers.
    async fn wait(&self) {
        let quick = Timeouts { connect: Duration::from_secs(2), ..CALM };
        let addrs = self.addrs();
        until_ok("etcd starts", async || Etcd::connect(&addrs, None, quick).await).await;
    }

    /// Kills it and starts it again on what it has stored.
    async fn restart(self) -> Self {
        let Self { server, ports, root } = self;
        drop(server);
        let world = Self { server: Self::server(root.path(), ports), ports, root };
        world.wait().await;
        world
    }

    fn addrs(&self) -> String {
        let [port, _] = self.ports;
        format!("127.0.0.1:{port}")
    }
}

impl World for EtcdWorld {
    async fn connect(&self, timeouts: Timeouts) -> Box<dyn Coordinator> {
        Box::new(Etcd::connect(&self.addrs(), None, timeouts).await.unwrap())
    }

    fn freeze(&self) {
        self.server.freeze();
    }

    fn thaw(&self) {
        self.server.thaw();
    }
}

#[tokio::test]
async fn etcd_keeps_the_rules_of_nodes() {
    nodes::check(&EtcdWorld::start().await).await;
}

#[tokio::test]
async fn etcd_keeps_the_rules_of_sessions() {
    sessions::check(&EtcdWorld::start().await).await;
}

#[tokio::test]
async fn etcd_sessions_and_watches_outlive_a_restart_of_the_server() {
    let world = EtcdWorld::start().await;
    let long = Timeouts { session: Duration::from_secs(20), ..CALM };
    let client = world.connect(long).await;
    let (owned, watched) = (path("/owned"), path("/watched"));
    client.create(&owned, "1", Lifetime::Session, Access::File).await.unwrap();
    let (_, watch) = client.watch(&watched).await.unwrap();
    let world = world.restart().await;
    let other = world.connect(CALM).await;
    other.create(&watched, "", Lifetime::Persistent, Access::File).await.unwrap();
    soon("the watch fires", watch.changed()).await.unwrap();
    let read = until_ok("the session goes on", async || client.read(&owned).await).await;
    assert!(read.unwrap().stat.is_ours);
}

#[tokio::test]
async fn etcd_that_is_not_there_is_reported_in_time() {
    let [port] = free_ports();
    let addrs = format!("127.0.0.1:{port}");
    let hasty = Timeouts { connect: Duration::from_secs(2), ..CALM };
    let error = Etcd::connect(&addrs, None, hasty).await.unwrap_err();
    assert!(matches!(error, CoordinatorError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains(&addrs), "{error}");
}

/// Goal: the right user gets in, others are told that they are refused. Method: etcd's own
/// administration through the library.
#[tokio::test]
async fn etcd_takes_those_with_the_right_password() {
    let world = EtcdWorld::start().await;
    let mut admin = etcd_client::Client::connect([world.addrs()], None).await.unwrap();
    admin.user_add("root", "s3cret", None).await.unwrap();
    admin.user_grant_role("root", "root").await.unwrap();
    admin.auth_enable().await.unwrap();

    let hasty = Timeouts { connect: Duration::from_secs(5), ..CALM };
    let right = Etcd::connect(&world.addrs(), Some("root:s3cret"), hasty).await.unwrap();
    let client: &dyn Coordinator = &right;
    let node = path("/private");
    client.create(&node, "1", Lifetime::Session, Access::File).await.unwrap();
    assert_eq!(client.read(&node).await.unwrap().unwrap().data, b"1");
    for credentials in ["root:wrong", "nobody:s3cret", "root"] {
        let error = Etcd::connect(&world.addrs(), Some(credentials), hasty).await.unwrap_err();
        assert!(matches!(error, CoordinatorError::Refused { .. }), "{credentials}: {error}");
    }
    // etcd grants leases to everybody, and then nothing else.
    let nobody = Etcd::connect(&world.addrs(), None, hasty).await.unwrap();
    let error = nobody.read(&node).await.unwrap_err();
    assert!(matches!(error, CoordinatorError::Refused { .. }), "{error}");
    assert_eq!(nobody.session().over().await, SessionState::Refused);
}
