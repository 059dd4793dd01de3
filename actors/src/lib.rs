//! The actors: the cast of the play, and the messages that they exchange.
//!
//! ```text
//! main arbiter:  ListenerActor ── NewClient ──► SupervisorActor (one per worker)
//!                SentinelActor ── SwitchPrimaries ──► TopologyActor ── fills ──► the routers
//!                JodisActor ── the proxy's node ──► a coordinator
//!                StatsActor ◄── QueryClients, QueryOverview ── sessions, the admin server
//! each worker:   SessionActor ── RouteBatch ──► RouterActor ── ForwardBatch ──► BackendConnActor
//!                     ▲                                                               │
//!                     └──────────────── ReplyBatch, RepliesFailed ◄───────────────────┘
//! ```
//!
//! Every message on the data path is a batch, and none leaves its worker's thread. In reading
//! order, a request passes [`listener`] (its connection), [`session`], [`router`],
//! [`backend_conn`] and [`session`] again. [`supervisor`] starts what a worker needs, keeps its
//! clock and enforces the time limits of clients; [`stats`] answers questions about the whole
//! proxy; [`probe`] looks at a backend once, at start.
//!
//! Bounds: a session enters requests only while its window has room (`session::window`), so the
//! number of messages under way is at most the sum of all windows; the mailboxes need no bound of
//! their own. Everything that waits has a deadline, kept by the ticks of [`supervisor`] and
//! [`backend_conn`].

pub mod backend_conn;
mod chance;
pub mod client_error;
pub mod coordination;
mod io;
pub mod jodis;
pub mod latency;
pub mod listener;
pub mod membership;
pub mod migrator;
mod pace;
pub mod probe;
pub mod router;
pub mod sentinel;
pub mod session;
#[cfg(feature = "sim")]
pub mod sim;
pub mod slow_log;
pub mod stats;
pub mod supervisor;
pub mod topology;
pub mod worker;
