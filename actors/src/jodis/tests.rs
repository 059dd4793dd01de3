use std::cell::{Cell, RefCell};
use std::future::Future;

use coordinator::codis3::Stored as _;
use coordinator::{Access, Change, Coordinator, Lifetime, Memory, MemoryStore, Node};
use tokio::task::{LocalSet, spawn_local};
use tokio::time::{Instant, timeout};

use super::*;
use crate::coordination::{Connecting, Contact, MembershipState};
use crate::worker::Lifecycle;

const TIMEOUTS: Timeouts = Timeouts {
    connect: Duration::from_secs(1),
    call: Duration::from_secs(1),
    session: Duration::from_secs(10),
};

/// Longer than anything that happens at once, shorter than any session.
const SOON: Duration = Duration::from_secs(1);

const LONG: Duration = Duration::from_secs(600);

/// A proxy that registers with a server in memory.
struct Stage {
    store: MemoryStore,
    /// Another session with the same server: what others see.
    other: Memory,
    lifecycle: Arc<Lifecycle>,
    registration: Rc<Registration>,
    told: Jodis,
    path: NodePath,
    connects: Rc<Cell<usize>>,
    is_down: Rc<Cell<bool>>,
    session: Rc<RefCell<Option<Arc<Memory>>>>,
}

fn told(addr: &str) -> Jodis {
    Jodis {
        addr: addr.to_owned(),
        admin: "10.0.0.1:11080".to_owned(),
        start: format!("2026-11-20 07:39:58 +0000 UTC at {addr}"),
        state: "online".to_owned(),
        token: "5ce0".to_owned(),
    }
}

impl Stage {
    fn new(store: &MemoryStore, addr: &str) -> Self {
        Self::of(Kind::ZooKeeper, store, addr)
    }

    fn of(kind: Kind, store: &MemoryStore, addr: &str) -> Self {
        let (connects, is_down) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(false)));
        let session: Rc<RefCell<Option<Arc<Memory>>>> = Rc::default();
        let (counted, down, last) = (connects.clone(), is_down.clone(), session.clone());
        let server = store.clone();
        let connect = move || -> Connecting {
            counted.set(counted.get() + 1);
            let began = if down.get() {
                let (at, cause) = ("h:2181".to_owned(), "connection refused".to_owned());
                Err(CoordinatorError::Unreachable { at, cause })
            } else {
                let memory = Arc::new(server.connect(TIMEOUTS));
                last.replace(Some(memory.clone()));
                Ok(memory as Arc<dyn Coordinator>)
            };
            Box::pin(std::future::ready(began))
        };
        let lifecycle = Arc::new(Lifecycle::default());
        let around = Around {
            kind,
            addrs: "h:2181".to_owned(),
            connect: Rc::new(connect),
            lifecycle: lifecycle.clone(),
            chance: Chance::new(7),
            log: Logger::root(slog::Discard, slog::o!()),
        };
        let told = told(addr);
        let path = Paths::new("demo").unwrap().jodis("5ce0", false).unwrap();
        let registration = Rc::new(Registration::new(path.clone(), &told, around));
        let other = store.connect(TIMEOUTS);
        let store = store.clone();
        Self { store, other, lifecycle, registration, told, path, connects, is_down, session }
    }

    fn run(&self) {
        let registration = self.registration.clone();
        spawn_local(async move { registration.run().await });
    }

    fn run_online(&self) {
        self.lifecycle.go_online();
        self.run();
    }

    fn other(&self) -> &dyn Coordinator {
        &self.other
    }

    /// Waits until the node is as wanted; returns it.
    async fn node(
        &self,
        within: Duration,
        is_right: impl Fn(Option<&Node>) -> bool,
    ) -> Option<Node> {
        let wait = async {
            loop {
                let (node, watch) = self.other.watch(&self.path).await.unwrap();
                if is_right(node.as_ref()) {
                    return node;
                }
                watch.changed().await.unwrap();
            }
        };
        timeout(within, wait).await.expect("the node is as wanted in time")
    }

    /// Waits until the node is this proxy's.
    async fn registered(&self, within: Duration) -> Node {
        let data = self.told.encode();
        let node = self.node(within, |node| node.is_some_and(|node| node.data == data)).await;
        self.state(MembershipState::Online).await;
        node.unwrap()
    }

    /// Waits until the registration knows of it.
    async fn state(&self, wanted: MembershipState) {
        let wait = async {
            while self.registration.report().membership != wanted {
                tokio::task::yield_now().await;
            }
        };
        timeout(LONG, wait).await.unwrap();
    }

    /// Nothing happens to the node for a long time.
    async fn stays(&self) {
        let (_, watch) = self.other.watch(&self.path).await.unwrap();
        assert!(timeout(LONG, watch.changed()).await.is_err(), "the node has changed");
    }

    async fn put(&self, session: &dyn Coordinator, data: &str, lifetime: Lifetime) {
        session.create_directory(&self.path.parent().unwrap()).await.unwrap();
        session.create(&self.path, data, lifetime, Access::File).await.unwrap();
    }

    fn alarms(&self) -> Vec<String> {
        self.registration.report().alarms.into_iter().map(|alarm| alarm.text).collect()
    }
}

async fn on_stage<F: Future<Output = ()>>(scene: impl FnOnce(Stage) -> F) {
    let stage = Stage::new(&MemoryStore::new(), "10.0.0.1:19000");
    LocalSet::new().run_until(scene(stage)).await;
}

#[tokio::test(start_paused = true)]
async fn a_proxy_is_told_to_clients_from_its_start_on() {
    on_stage(async |stage| {
        stage.run();
        stage.stays().await;
        let report = stage.registration.report();
        assert_eq!(report.membership, MembershipState::Waiting);
        assert_eq!((report.contact, report.node), (Contact::Connected, None));
        stage.lifecycle.go_online();
        let node = stage.registered(SOON).await;
        assert_eq!((node.stat.version.0, node.stat.lifetime), (0, Lifetime::Session));
        let above = stage.other().read(&stage.path.parent().unwrap()).await.unwrap().unwrap();
        assert_eq!((above.data.len(), above.stat.lifetime), (0, Lifetime::Persistent));
        let report = stage.registration.report();
        assert_eq!(report.node.as_deref(), Some("/jodis/demo/proxy-5ce0"));
        assert_eq!((report.sessions, report.alarm_count), (1, 0));
        stage.stays().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_a_predecessor_left_is_replaced_at_once() {
    on_stage(async |stage| {
        let predecessor = stage.store.connect(Timeouts { session: LONG, ..TIMEOUTS });
        stage.put(&predecessor, "{}", Lifetime::Session).await;
        stage.run_online();
        stage.registered(SOON).await;
        assert_eq!(stage.alarms(), [""; 0]);
    })
    .await;
}

/// As above where deleting and creating are two steps.
#[tokio::test(start_paused = true)]
async fn what_a_predecessor_left_is_replaced_in_two_steps_as_well() {
    let store = MemoryStore::new();
    let scene = async {
        let stage = Stage::of(Kind::Etcd, &store, "10.0.0.1:19000");
        let predecessor = store.connect(Timeouts { session: LONG, ..TIMEOUTS });
        stage.put(&predecessor, "{}", Lifetime::Session).await;
        stage.run_online();
        stage.registered(SOON).await;
        stage.stays().await;
    };
    LocalSet::new().run_until(scene).await;
}

#[tokio::test(start_paused = true)]
async fn a_node_that_somebody_deletes_or_changes_is_put_right_at_once() {
    on_stage(async |stage| {
        stage.run_online();
        stage.registered(SOON).await;
        stage.other().delete(&stage.path, None).await.unwrap();
        stage.registered(SOON).await;
        stage.stays().await;
        stage.other().set(&stage.path, "nonsense", None).await.unwrap();
        stage.registered(SOON).await;
        stage.stays().await;
        // Somebody puts one of their own there, which belongs to nobody.
        let delete = Change::Delete { path: stage.path.clone(), version: None };
        let create = Change::Create {
            path: stage.path.clone(),
            data: b"mine".to_vec(),
            lifetime: Lifetime::Persistent,
            access: Access::File,
        };
        stage.other.multi(&[delete, create]).await.unwrap();
        let node = stage.registered(SOON).await;
        assert_eq!(node.stat.lifetime, Lifetime::Session);
        assert_eq!((stage.connects.get(), stage.alarms()), (1, Vec::new()));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn somebody_who_deletes_the_node_again_and_again_slows_it_down() {
    on_stage(async |stage| {
        stage.run_online();
        let started = Instant::now();
        let mut times = 0;
        while started.elapsed() < Duration::from_secs(60) {
            stage.registered(LONG).await;
            stage.other().delete(&stage.path, None).await.unwrap();
            times += 1;
        }
        assert!((12..=40).contains(&times), "{times} times");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_session_is_followed_by_another_at_once() {
    on_stage(async |stage| {
        stage.run_online();
        let first = stage.registered(SOON).await;
        stage.stays().await;
        let session = stage.session.borrow().clone().unwrap();
        stage.store.expire(&session);
        drop(session);
        let second = stage.registered(TIMEOUTS.session).await;
        assert!(second.stat.created > first.stat.created);
        assert_eq!(stage.registration.report().sessions, 2);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_coordinator_that_is_away_is_looked_for_every_few_seconds_and_told_of() {
    on_stage(async |stage| {
        stage.is_down.set(true);
        stage.run_online();
        stage.stays().await;
        let report = stage.registration.report();
        assert_eq!(report.membership, MembershipState::Unregistered);
        assert_eq!(report.contact, Contact::Connecting);
        assert!(stage.alarms()[0].contains("`h:2181`: connection refused"), "{report:?}");
        let tries = stage.connects.get();
        assert!((120..=250).contains(&tries), "{tries} tries in ten minutes");
        stage.is_down.set(false);
        stage.registered(Duration::from_secs(5)).await;
        assert_eq!(stage.alarms(), [""; 0]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_coordinator_that_does_not_answer_is_told_of_after_a_while() {
    on_stage(async |stage| {
        stage.store.freeze();
        stage.run_online();
        let pass = async |seconds| {
            let never = std::future::pending::<()>();
            let _ = timeout(Duration::from_secs(seconds), never).await;
        };
        pass(3).await;
        assert_eq!(stage.alarms(), [""; 0]);
        pass(6).await;
        assert!(stage.alarms()[0].starts_with("no answer from the"), "{:?}", stage.alarms());
        stage.store.thaw();
        stage.registered(TIMEOUTS.session).await;
        assert_eq!(stage.alarms(), [""; 0]);
    })
    .await;
}

/// Goal: two living proxies with one token do not fight. Method: the second one takes the node, and
/// then nothing happens until it ends.
#[tokio::test(start_paused = true)]
async fn of_two_proxies_with_one_token_the_last_one_is_told_until_it_ends() {
    on_stage(async |first| {
        first.run_online();
        first.registered(SOON).await;
        let second = Stage::new(&first.store, "10.0.0.2:19000");
        second.run_online();
        second.registered(SOON).await;
        first.state(MembershipState::Unregistered).await;
        second.stays().await;
        assert_eq!(second.alarms(), [""; 0]);
        let alarms = first.alarms();
        assert!(alarms[0].starts_with("another proxy, at `10.0.0.2:19000`, is"), "{alarms:?}");
        assert_eq!(first.registration.report().node, None);
        second.registration.leave().await;
        first.registered(SOON).await;
        assert_eq!(first.alarms(), [""; 0]);
        // Even a session that ends does not start a fight.
        first.stays().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_proxy_that_leaves_is_not_told_any_more() {
    on_stage(async |stage| {
        stage.run_online();
        stage.registered(SOON).await;
        stage.registration.leave().await;
        assert!(stage.other.read(&stage.path).await.unwrap().is_none());
        assert_eq!(stage.registration.report().membership, MembershipState::Leaving);
        stage.stays().await;
        stage.registration.leave().await;
        assert_eq!(stage.connects.get(), 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_coordinator_that_hangs_does_not_hold_up_the_end() {
    on_stage(async |stage| {
        stage.run_online();
        stage.registered(SOON).await;
        stage.store.freeze();
        let began = Instant::now();
        stage.registration.leave().await;
        assert!(began.elapsed() <= Duration::from_secs(2), "{:?}", began.elapsed());
        stage.store.thaw();
        // It forgets the proxy when the time of the session is over.
        stage.node(TIMEOUTS.session * 2, |node| node.is_none()).await;
        stage.stays().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_proxy_that_has_not_started_leaves_without_a_trace() {
    on_stage(async |stage| {
        stage.run();
        stage.registration.leave().await;
        stage.lifecycle.go_online();
        stage.stays().await;
        assert!(stage.other.list(&NodePath::root()).await.unwrap().unwrap().is_empty());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_address_that_clients_cannot_use_is_an_alarm() {
    let stage = Stage::new(&MemoryStore::new(), "[2001:db8::1]:19000");
    assert!(stage.alarms()[0].contains("`[2001:db8::1]:19000`"), "{:?}", stage.alarms());
}

#[test]
fn the_path_is_that_of_codis() {
    let check = |config: &Config, expected: Option<&str>| {
        let path = node_path(config, "5ce0").unwrap();
        assert_eq!(path.as_ref().map(NodePath::as_str), expected);
    };
    let product_name = "demo".to_owned();
    let mut config = Config { product_name, jodis_name: "zk".to_owned(), ..Config::default() };
    check(&config, None);
    config.jodis_addr = "h:2181".to_owned();
    check(&config, Some("/jodis/demo/proxy-5ce0"));
    config.jodis_compatible = true;
    check(&config, Some("/zk/codis/db_demo/proxy/5ce0"));
    config.topology = Topology::Codis2;
    check(&config, None);
    assert_eq!(kind_of("zookeeper").unwrap(), Kind::ZooKeeper);
    assert_eq!(kind_of("etcd").unwrap(), Kind::Etcd);
    assert!(kind_of("filesystem").is_err());
}
