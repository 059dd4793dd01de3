//! A real ZooKeeper: the common rules, and what only it has.

use std::path::Path;
use std::time::Duration;

use coordinator::Access;
use coordinator::Coordinator;
use coordinator::CoordinatorError;
use coordinator::Lifetime;
use coordinator::Timeouts;
use coordinator::ZooKeeper;
use tempfile::TempDir;
use zookeeper_client as zk;

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

/// Where distributions put the libraries; colon-separated globs, as java has them.
const CLASS_PATH: &str = "/usr/share/java/*:/usr/share/zookeeper/lib/*";

struct ZooKeeperWorld {
    server: Server,
    port: u16,
    root: TempDir,
}

impl ZooKeeperWorld {
    async fn start() -> Self {
        let root = folder();
        let [port] = free_ports();
        let world = Self { server: Self::server(root.path(), port), port, root };
        world.wait().await;
        world
    }

    fn server(root: &Path, port: u16) -> Server {
        let class_path = std::env::var("ZOOKEEPER_CLASS_PATH");
        let class_path = class_path.unwrap_or_else(|_| CLASS_PATH.to_owned());
        let config = root.join("zoo.cfg");
        let text = format!(
            "tickTime=500\nminSessionTimeout=1000\nmaxSessionTimeout=20000\nmaxClientCnxns=0\n\
             dataDir={}\nclientPort={port}\nclientPortAddress=127.0.0.1\nadmin.enableServer=false\n",
            root.display()
        );
        std::fs::write(&config, text).unwrap();
        let args = [
            "-Xmx128m".to_owned(),
            // A test needs no optimised code, and the machine has other things to do.
            "-XX:TieredStopAtLevel=1".to_owned(),
            "-cp".to_owned(),
            class_path,
            "org.apache.zookeeper.server.ZooKeeperServerMain".to_owned(),
            config.display().to_string(),
        ];
        Server::start("java", &args, "zookeeper default-jre-headless")
    }

    /// Waits until it answers.
    async fn wait(&self) {
        let quick = Timeouts { connect: Duration::from_secs(2), ..CALM };
        let addrs = self.addrs();
        until_ok("ZooKeeper starts", async || ZooKeeper::connect(&addrs, None, quick).await).await;
    }

    /// Kills it and starts it again on what it has stored.
    async fn restart(self) -> Self {
        let Self { server, port, root } = self;
        drop(server);
        let world = Self { server: Self::server(root.path(), port), port, root };
        world.wait().await;
        world
    }

    fn addrs(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    async fn connect_as(&self, credentials: Option<&str>) -> Box<dyn Coordinator> {
        Box::new(ZooKeeper::connect(&self.addrs(), credentials, CALM).await.unwrap())
    }

    /// The access list of a node: permissions, scheme, identity.
    async fn acl(&self, path: &str, user: Option<&str>) -> (zk::Permission, String, String) {
        let auth = user.unwrap_or("nobody:nothing").as_bytes();
        let connector = zk::Client::connector().with_auth("digest", auth);
        let client = connector.connect(&self.addrs()).await.unwrap();
        let (acls, _) = client.get_acl(path).await.unwrap();
        let [acl] = acls.as_slice() else { panic!("{acls:?}") };
        (acl.permission(), acl.scheme().to_owned(), acl.id().to_owned())
    }
}

impl World for ZooKeeperWorld {
    async fn connect(&self, timeouts: Timeouts) -> Box<dyn Coordinator> {
        Box::new(ZooKeeper::connect(&self.addrs(), None, timeouts).await.unwrap())
    }

    fn freeze(&self) {
        self.server.freeze();
    }

    fn thaw(&self) {
        self.server.thaw();
    }
}

#[tokio::test]
async fn zookeeper_keeps_the_rules_of_nodes() {
    nodes::check(&ZooKeeperWorld::start().await).await;
}

#[tokio::test]
async fn zookeeper_keeps_the_rules_of_sessions() {
    sessions::check(&ZooKeeperWorld::start().await).await;
}

#[tokio::test]
async fn zookeeper_sessions_and_watches_outlive_a_restart_of_the_server() {
    let world = ZooKeeperWorld::start().await;
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

/// Goal: other programs may use what we create, exactly as far as Codis lets them. Method: the
/// library's own client reads the access lists.
#[tokio::test]
async fn zookeeper_nodes_get_the_access_lists_that_codis_gives_them() {
    let world = ZooKeeperWorld::start().await;
    let anyone = ("world".to_owned(), "anyone".to_owned());
    // The digest scheme's form: the name, and base64 of SHA-1 of the credentials.
    let alice = ("digest".to_owned(), "alice:uLxpHc/uhT86OXPoSjJTp1M8CJY=".to_owned());
    let cases = [(None, "/open", anyone), (Some("alice:s3cret"), "/alice", alice)];
    for (credentials, top, (scheme, id)) in cases {
        let client = world.connect_as(credentials).await;
        let directory = path(top);
        let file = directory.child("file").unwrap();
        client.create_directory(&directory).await.unwrap();
        client.create(&file, "1", Lifetime::Session, Access::File).await.unwrap();
        let file_rights = zk::Permission::READ | zk::Permission::WRITE | zk::Permission::ADMIN;
        for (node, rights) in [(&directory, zk::Permission::ALL), (&file, file_rights)] {
            let expected = (rights, scheme.clone(), id.clone());
            assert_eq!(world.acl(node.as_str(), credentials).await, expected, "{node}");
        }
    }
}

#[tokio::test]
async fn zookeeper_nodes_of_a_user_are_closed_to_others() {
    let world = ZooKeeperWorld::start().await;
    let alice = world.connect_as(Some("alice:s3cret")).await;
    let node = path("/private");
    alice.create(&node, "1", Lifetime::Persistent, Access::File).await.unwrap();
    for credentials in [None, Some("alice:wrong"), Some("bob:s3cret")] {
        let other = world.connect_as(credentials).await;
        let denied = Err(CoordinatorError::Denied { path: node.clone() });
        assert_eq!(other.read(&node).await, denied);
    }
    let again = world.connect_as(Some("alice:s3cret")).await;
    assert_eq!(again.read(&node).await.unwrap().unwrap().data, b"1");
}

#[tokio::test]
async fn zookeeper_that_is_not_there_is_reported_in_time() {
    let [port] = free_ports();
    let addrs = format!("127.0.0.1:{port}");
    let hasty = Timeouts { connect: Duration::from_secs(2), ..CALM };
    let error = ZooKeeper::connect(&addrs, None, hasty).await.unwrap_err();
    assert!(matches!(error, CoordinatorError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains(&addrs), "{error}");
}
