//! A simulated server: connections, one thread that executes, and what may go wrong with both.
//!
//! ```text
//!  proxy ─ pipe ─► reader ─ delay ─► queue of the connection ┐  cycle   ┌─► executor ─► store
//!  proxy ◄─ pipe ─ writer ◄─ delay ─ replies ◄───────────────┼──────────┴─► replies
//!  other server's copies of keys ─────────► queue of its link ┘
//! ```
//!
//! As a real server does, it works in cycles: it takes what has come, connection by connection, that
//! first which first had something (so the kernel tells it), and looks again when that is done. So
//! what waited in the sockets of a frozen server, also of connections that are closed by now, is
//! executed before what comes later.

mod commands;
mod migrate;
mod talk;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::{Rc, Weak};

use routing::BackendAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf, duplex, split};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;

pub(crate) use talk::Talk;

use crate::store::{Place, Store, Value};
use crate::wire::{Reply, take_request};
use crate::world::{World, pause};

/// The bytes that a pipe holds in each direction.
const PIPE_BYTES: usize = 64 * 1024;

/// Which commands for migration a server knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Redis and Valkey: MIGRATE.
    Stock,
    /// A codis-server: the SLOTSMGRT family as well.
    Codis,
}

/// What became of a copy of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Restored {
    InPlace,
    /// The target has the key already, and was not to replace it.
    Busy,
}

/// What a server has to do.
enum Work {
    Request {
        conn: u64,
        request: Vec<String>,
    },
    /// A copy of a key that another server sends. The sender is told when it is in place.
    Restore {
        place: Place,
        value: Value,
        is_replaced: bool,
        done: oneshot::Sender<Restored>,
    },
}

/// What has come on a connection, and when the first of it came.
#[derive(Default)]
struct Queue {
    since: u64,
    work: VecDeque<Work>,
}

impl Queue {
    fn push(&mut self, work: Work, world: &World) {
        if self.work.is_empty() {
            self.since = world.event(format_args!("server: something has come"));
        }
        self.work.push_back(work);
    }
}

struct Conn {
    peer: String,
    database: u16,
    unread: Vec<u8>,
    work: Queue,
    replies: Vec<u8>,
    has_replies: Rc<Notify>,
    tasks: Vec<JoinHandle<()>>,
    /// The peer has closed its side.
    is_closing: bool,
}

/// What becomes of requests under way when a connection is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// They never arrive.
    BeforeExecution,
    /// They are executed; the replies get lost.
    AfterExecution,
}

#[derive(Default)]
struct State {
    store: Store,
    conns: BTreeMap<u64, Conn>,
    last_conn: u64,
    /// Copies of keys from other servers, by their index.
    links: BTreeMap<usize, Queue>,
    cycle: VecDeque<Work>,
    /// Keys that are being moved in the background.
    moving: BTreeSet<Place>,
    /// What will happen to the next copy that is sent.
    next_cut: Option<Cut>,
}

/// See the module.
pub(crate) struct Server {
    pub(crate) index: usize,
    pub(crate) addr: BackendAddr,
    kind: Kind,
    world: Rc<World>,
    network: Weak<Network>,
    state: RefCell<State>,
    is_frozen: Cell<bool>,
    is_slow: Cell<bool>,
    is_unreachable: Cell<bool>,
    woken: Notify,
}

/// All servers.
pub(crate) struct Network {
    pub(crate) servers: Vec<Rc<Server>>,
}

impl Network {
    /// Starts so many servers.
    pub(crate) fn start(world: &Rc<World>, servers: usize, kind: Kind) -> Rc<Self> {
        Rc::new_cyclic(|network| Self {
            servers: (0..servers)
                .map(|index| Server::start(index, kind, world, network.clone()))
                .collect(),
        })
    }

    pub(crate) fn server(&self, addr: &str) -> Option<&Rc<Server>> {
        self.servers.iter().find(|server| server.addr.as_str() == addr)
    }
}

impl Server {
    fn start(index: usize, kind: Kind, world: &Rc<World>, network: Weak<Network>) -> Rc<Self> {
        let server = Rc::new(Self {
            index,
            addr: format!("10.0.0.{}:6379", index + 1).parse().unwrap(),
            kind,
            world: Rc::clone(world),
            network,
            state: RefCell::default(),
            is_frozen: Cell::default(),
            is_slow: Cell::default(),
            is_unreachable: Cell::default(),
            woken: Notify::new(),
        });
        world.spawn(Rc::clone(&server).run());
        server
    }

    /// Connects, as whoever it is. The answer is dropped when the server cannot be reached.
    pub(crate) fn connect(self: &Rc<Self>, peer: String, answer: oneshot::Sender<DuplexStream>) {
        let server = Rc::clone(self);
        self.world.spawn(async move {
            server.world.delay().await;
            if !server.is_unreachable.get() {
                let (near, far) = duplex(PIPE_BYTES);
                server.accept(peer, near);
                // Whoever asked may have given up; then the connection ends at once.
                let _ = answer.send(far);
            }
        });
    }

    fn accept(self: &Rc<Self>, peer: String, io: DuplexStream) {
        let mut state = self.state.borrow_mut();
        state.last_conn += 1;
        let conn = state.last_conn;
        self.world.event(format_args!("server {} has conn {conn} of {peer}", self.index));
        let (reading, writing) = split(io);
        let has_replies = Rc::new(Notify::new());
        let tasks = vec![
            self.world.spawn(Rc::clone(self).read(conn, reading)),
            self.world.spawn(Rc::clone(self).write(conn, writing, Rc::clone(&has_replies))),
        ];
        state.conns.insert(
            conn,
            Conn {
                peer,
                database: 0,
                unread: Vec::new(),
                work: Queue::default(),
                replies: Vec::new(),
                has_replies,
                tasks,
                is_closing: false,
            },
        );
    }

    async fn read(self: Rc<Self>, conn: u64, mut io: ReadHalf<DuplexStream>) {
        loop {
            let mut buffer = vec![0; *self.world.random.choose(&[9, 100, 4096])];
            let count = io.read(&mut buffer).await.unwrap_or(0);
            self.world.delay().await;
            let mut state = self.state.borrow_mut();
            let Some(entry) = state.conns.get_mut(&conn) else {
                return;
            };
            entry.is_closing = count == 0;
            entry.unread.extend_from_slice(&buffer[..count]);
            while let Some(request) = take_request(&mut entry.unread) {
                entry.work.push(Work::Request { conn, request }, &self.world);
            }
            self.woken.notify_one();
            if count == 0 {
                return;
            }
        }
    }

    async fn write(
        self: Rc<Self>,
        conn: u64,
        mut io: WriteHalf<DuplexStream>,
        has_replies: Rc<Notify>,
    ) {
        loop {
            let replies = match self.state.borrow_mut().conns.get_mut(&conn) {
                Some(entry) => std::mem::take(&mut entry.replies),
                None => return,
            };
            if replies.is_empty() {
                has_replies.notified().await;
                continue;
            }
            self.world.delay().await;
            if io.write_all(&replies).await.is_err() {
                return;
            }
        }
    }

    async fn run(self: Rc<Self>) {
        loop {
            let Some(work) = self.next_work() else {
                self.woken.notified().await;
                continue;
            };
            let ms = match self.is_slow.get() {
                true => self.world.random.below(30),
                false => u64::from(self.world.random.percent(5)),
            };
            if ms > 0 {
                pause(ms).await;
            }
            while self.is_frozen.get() {
                self.woken.notified().await;
            }
            match work {
                Work::Restore { place, value, is_replaced, done } => {
                    let is_busy = !is_replaced && self.look(|store| store.get(&place).is_some());
                    let restored = if is_busy { Restored::Busy } else { Restored::InPlace };
                    self.world.event(format_args!(
                        "server {}: a copy of {place:?} is {restored:?}",
                        self.index
                    ));
                    if restored == Restored::InPlace {
                        self.look(|store| store.put(place, value));
                    }
                    // The sender may have given up; the copy is there all the same.
                    let _ = done.send(restored);
                }
                Work::Request { conn, request } => {
                    if let Some(reply) = self.execute(conn, &request).await {
                        self.reply(conn, &request, &reply);
                    }
                }
            }
        }
    }

    fn next_work(&self) -> Option<Work> {
        if self.is_frozen.get() {
            return None;
        }
        let mut state = self.state.borrow_mut();
        if state.cycle.is_empty() {
            self.begin_cycle(&mut state);
        }
        state.cycle.pop_front()
    }

    /// Takes what has come, connection by connection, that first which first had something.
    fn begin_cycle(&self, state: &mut State) {
        // All that a closed connection brought has been executed by now.
        for conn in
            state.conns.extract_if(.., |_, conn| conn.is_closing && conn.work.work.is_empty())
        {
            self.world.event(format_args!("server {} lost conn {}", self.index, conn.0));
            for task in conn.1.tasks {
                task.abort();
            }
        }
        let conns = state.conns.values_mut().map(|conn| std::mem::take(&mut conn.work));
        let links = state.links.values_mut().map(std::mem::take);
        let mut queues: Vec<_> = conns.chain(links).collect();
        queues.sort_by_key(|queue| queue.since);
        state.cycle.extend(queues.into_iter().flat_map(|queue| queue.work));
    }

    fn reply(&self, conn: u64, request: &[String], reply: &Reply) {
        let request = request.join(" ");
        self.world.event(format_args!("server {} conn {conn}: {request} -> {reply:?}", self.index));
        if let Some(entry) = self.state.borrow_mut().conns.get_mut(&conn) {
            reply.encode(&mut entry.replies);
            entry.has_replies.notify_one();
        }
    }

    pub(crate) fn become_frozen(&self, is_frozen: bool) {
        self.world.event(format_args!("server {} frozen: {is_frozen}", self.index));
        self.is_frozen.set(is_frozen);
        self.woken.notify_one();
    }

    pub(crate) fn become_slow(&self, is_slow: bool) {
        self.world.event(format_args!("server {} slow: {is_slow}", self.index));
        self.is_slow.set(is_slow);
    }

    /// Nobody can connect; with `true`, the connections that there are end too.
    pub(crate) fn become_unreachable(&self, is_unreachable: bool) {
        self.world.event(format_args!("server {} unreachable: {is_unreachable}", self.index));
        self.is_unreachable.set(is_unreachable);
        let conns: Vec<_> = self.state.borrow().conns.keys().copied().collect();
        for conn in conns.into_iter().filter(|_| is_unreachable) {
            self.cut(conn, Cut::AfterExecution);
        }
    }

    /// Cuts a random connection.
    pub(crate) fn cut_some(&self, cut: Cut) {
        let conns: Vec<_> = self.state.borrow().conns.keys().copied().collect();
        if !conns.is_empty() {
            self.cut(*self.world.random.choose(&conns), cut);
        }
    }

    /// Cuts the next copy of a key that this server sends to another.
    pub(crate) fn cut_next_copy(&self, cut: Cut) {
        self.state.borrow_mut().next_cut = Some(cut);
    }

    fn cut(&self, conn: u64, cut: Cut) {
        let mut state = self.state.borrow_mut();
        let Some(entry) = state.conns.get_mut(&conn) else {
            return;
        };
        self.world.event(format_args!(
            "server {} conn {conn} of {} is cut: {cut:?}",
            self.index, entry.peer
        ));
        // The pipe ends with its tasks.
        for task in entry.tasks.drain(..) {
            task.abort();
        }
        entry.is_closing = true;
        if cut == Cut::BeforeExecution {
            entry.work = Queue::default();
        }
        self.woken.notify_one();
    }

    /// Whether keys are being moved in the background.
    pub(crate) fn is_moving(&self) -> bool {
        !self.state.borrow().moving.is_empty()
    }

    /// Looks at the data, as no client could.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&mut Store) -> T) -> T {
        look(&mut self.state.borrow_mut().store)
    }
}

#[cfg(test)]
mod tests;
