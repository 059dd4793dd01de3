//! The product, its dashboard, and the member.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use actix_rt::System;
use command::CommandTable;
use config::{Config, Topology};
use coordinator::codis1::{
    Action, Event, Family, Group, MigrateStatus, Paths, Proxy, ProxyState, Server, ServerType,
    Slot, SlotState, SlotStatus, Stored as _,
};
use coordinator::{Access, Coordinator, Lifetime, Memory, MemoryStore, NodePath};
use routing::{SlotAssignment, SlotId, SlotTable};
use tokio::time::{Instant, interval};

use super::super::*;
use crate::topology::QuerySlots;
use crate::worker::Settings;

pub(super) const SESSION_TIMEOUT: Duration = Duration::from_secs(30);

/// The clock stands still while anybody works, so this is no time that a test takes.
const PATIENCE: Duration = Duration::from_secs(200);

const TIMEOUTS: Timeouts = Timeouts {
    connect: Duration::from_secs(5),
    call: Duration::from_secs(5),
    session: SESSION_TIMEOUT,
};

/// A product with one member, whose id is `p1` and whose address is `vm:1`.
pub(super) struct World {
    pub(super) store: MemoryStore,
    pub(super) dashboard: Arc<dyn Coordinator>,
    pub(super) paths: Paths,
    pub(super) topology: Addr<TopologyActor>,
    pub(super) shared: Arc<Shared>,
    pub(super) member: Addr<MembershipActor>,
    pub(super) failure: Rc<RefCell<Option<String>>>,
    /// The number of the next action.
    next: Cell<u64>,
}

/// Runs a test on a clock that stands still.
pub(super) fn run(topology: Topology, test: impl AsyncFnOnce(World)) {
    System::new().block_on(async {
        tokio::time::pause();
        let world = World::new(topology, async |_, _| {}).await;
        test(world).await;
    });
}

/// The same with a product that something has happened to before the member comes.
pub(super) fn run_after(
    before: impl AsyncFnOnce(&Arc<dyn Coordinator>, &Paths),
    test: impl AsyncFnOnce(World),
) {
    System::new().block_on(async {
        tokio::time::pause();
        test(World::new(Topology::Codis1, before).await).await;
    });
}

impl World {
    async fn new(
        topology: Topology,
        before: impl AsyncFnOnce(&Arc<dyn Coordinator>, &Paths),
    ) -> Self {
        let store = MemoryStore::new();
        // The dashboard's session outlives whatever happens to the store.
        let timeouts = Timeouts { session: Duration::from_secs(100_000), ..TIMEOUTS };
        let dashboard: Arc<dyn Coordinator> = Arc::new(store.connect(timeouts));
        let family = if topology == Topology::Reborn { Family::Reborn } else { Family::Codis };
        let paths = Paths::new(family, "test").unwrap();
        for path in
            [paths.slots(), paths.actions(), paths.responses(), paths.group(1), paths.group(2)]
        {
            dashboard.create_directory(&path).await.unwrap();
        }
        let config = Config {
            topology,
            product_name: "test".to_owned(),
            proxy_id: "p1".to_owned(),
            coordinator_addr: "memory".to_owned(),
            coordinator_session_timeout: SESSION_TIMEOUT,
            ..Config::default()
        };
        let shared = Arc::new(Shared::new(
            settings(config),
            CommandTable::load().unwrap(),
            1,
            "127.0.0.1:1".parse().unwrap(),
        ));
        let log = Logger::root(slog::Discard, slog::o!());
        let limit = Duration::from_secs(40);
        let slots = TopologyActor::new(SlotTable::offline(), limit, log.clone()).start();
        let failure = Rc::new(RefCell::new(None));
        let around = Surroundings {
            shared: Arc::clone(&shared),
            topology: slots.clone(),
            connect: connect(store.clone()),
            addr: "vm:1".to_owned(),
            debug_var_addr: "vm:2".to_owned(),
            is_own_host: true,
            start_at: {
                let starts = Cell::new(0);
                Rc::new(move || format!("start {}", starts.replace(starts.get() + 1)))
            },
            fail: {
                let failure = Rc::clone(&failure);
                Rc::new(move |text| *failure.borrow_mut() = Some(text))
            },
            log,
        };
        before(&dashboard, &paths).await;
        let member = MembershipActor::new(around).unwrap().start();
        let next = Cell::new(100);
        let world =
            Self { store, dashboard, paths, topology: slots, shared, member, failure, next };
        world.set_server(1, "a:1", ServerType::Primary).await;
        world.set_server(2, "b:1", ServerType::Primary).await;
        for slot in SlotId::all() {
            world.set_slot(slot.number(), SlotStatus::Online, 1, -1).await;
        }
        world
    }

    /// Waits until something is so.
    pub(super) async fn until(&self, what: &str, mut is_so: impl AsyncFnMut() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        let mut looks = interval(Duration::from_millis(20));
        while !is_so().await {
            assert!(Instant::now() < deadline, "never: {what}; {:?}", self.report().await);
            looks.tick().await;
        }
    }

    /// Lets time pass in which something must not happen.
    pub(super) async fn pass(&self, time: Duration) {
        let until = Instant::now() + time;
        let mut looks = interval(Duration::from_millis(20));
        while Instant::now() < until {
            looks.tick().await;
        }
    }

    pub(super) async fn report(&self) -> CoordinatorReport {
        self.member.send(QueryCoordinator).await.unwrap()
    }

    pub(super) async fn slot(&self, slot: u16) -> SlotAssignment {
        let table = self.topology.send(QuerySlots).await.unwrap();
        table.assignment(SlotId::new(slot).unwrap()).clone()
    }

    pub(super) async fn primary(&self, slot: u16) -> String {
        self.slot(slot).await.primary.map(|addr| addr.to_string()).unwrap_or_default()
    }

    pub(super) async fn put(&self, path: &NodePath, data: Vec<u8>) {
        if self.dashboard.read(path).await.unwrap().is_some() {
            self.dashboard.set(path, data, None).await.unwrap();
        } else {
            let life = Lifetime::Persistent;
            self.dashboard.create(path, data, life, Access::File).await.unwrap();
        }
    }

    pub(super) async fn set_server(&self, group: u32, addr: &str, kind: ServerType) {
        let server = Server { kind, group_id: group.cast_signed(), addr: addr.to_owned() };
        self.put(&self.paths.server(group, addr).unwrap(), server.encode()).await;
    }

    pub(super) async fn set_slot(&self, slot: u16, status: SlotStatus, group: i32, from: i32) {
        let id = SlotId::new(slot).unwrap();
        self.put(&self.paths.slot(id), slot_node(slot, status, group, from).encode()).await;
    }

    pub(super) async fn own(&self) -> Option<Proxy> {
        let path = self.paths.proxy("p1").unwrap();
        let node = self.dashboard.read(&path).await.unwrap()?;
        Some(Proxy::decode(&path, &node.data).unwrap())
    }

    pub(super) async fn has_fence(&self) -> bool {
        self.dashboard.read(&self.paths.fence("vm:1").unwrap()).await.unwrap().is_some()
    }

    /// Waits for the registration and writes a state into the node.
    pub(super) async fn set_state(&self, state: ProxyState) {
        self.until("registered", async || self.own().await.is_some()).await;
        let proxy = Proxy { state, ..self.own().await.unwrap() };
        self.put(&self.paths.proxy("p1").unwrap(), proxy.encode()).await;
    }

    /// Puts the member online and waits until it is.
    pub(super) async fn go_online(&self) {
        self.until("fence", async || self.has_fence().await).await;
        self.set_state(ProxyState::Online).await;
        self.until_is(MembershipState::Online).await;
    }

    pub(super) async fn until_is(&self, state: MembershipState) {
        self.until(state.word(), async || self.report().await.membership == state).await;
    }

    /// Publishes an action as a dashboard does and returns its name.
    pub(super) async fn publish(&self, event: Event, receivers: Vec<String>) -> String {
        // They go up in steps of two.
        let name = format!("{:010}", self.next.replace(self.next.get() + 2));
        self.publish_as(&name, event, receivers).await;
        name
    }

    pub(super) async fn publish_as(&self, name: &str, event: Event, receivers: Vec<String>) {
        let response = self.paths.response(name).unwrap();
        self.dashboard.create_directory(&response).await.unwrap();
        let action = Action { event, desc: String::new(), ts: "1".to_owned(), receivers };
        self.put(&self.paths.action(name).unwrap(), action.encode()).await;
    }

    /// What a dashboard names this member by.
    pub(super) async fn me(&self) -> Vec<String> {
        vec![String::from_utf8(self.own().await.unwrap().encode()).unwrap()]
    }

    pub(super) async fn is_answered(&self, action: &str) -> bool {
        let path = self.paths.answer(action, "p1").unwrap();
        self.dashboard.read(&path).await.unwrap().is_some()
    }

    /// Publishes an action for the member and waits for its answer.
    pub(super) async fn order(&self, event: Event) {
        let action = self.publish(event, self.me().await).await;
        self.until("answer", async || self.is_answered(&action).await).await;
    }
}

pub(super) fn slot_node(slot: u16, status: SlotStatus, group_id: i32, from: i32) -> Slot {
    let migrate_status = MigrateStatus { from, to: group_id };
    let state = SlotState { status, migrate_status, last_op_ts: "0".to_owned() };
    Slot { product_name: "test".to_owned(), id: i32::from(slot), group_id, state }
}

pub(super) fn group(id: i32) -> Group {
    Group { id, ..Group::default() }
}

/// Sessions of the store, as long as it answers.
fn connect(store: MemoryStore) -> Connect {
    Rc::new(move || {
        let store = store.clone();
        Box::pin(async move {
            let session: Memory = store.connect(TIMEOUTS);
            // A store that is frozen gives nobody a session.
            session.read(&NodePath::root()).await?;
            Ok(Arc::new(session) as Arc<dyn Coordinator>)
        })
    })
}

fn settings(config: Config) -> Settings {
    Settings {
        session_credentials: Default::default(),
        product_credentials: Default::default(),
        backend_credentials: Vec::new(),
        database_initial: 0,
        redis_version: "7.0.0".to_owned(),
        is_primary_only: true,
        config,
    }
}
