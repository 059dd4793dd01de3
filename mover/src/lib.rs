//! Moves whole slots from server to server, while proxies go on serving them.
//!
//! | file            | what it owns                                                        |
//! |-----------------|---------------------------------------------------------------------|
//! | `actor.rs`      | the MoverActor: orders and questions                                |
//! | `options.rs`    | an order, checked                                                   |
//! | `engine.rs`     | carries moves out: batches side by side, phases on disk             |
//! | `steps.rs`      | the steps of a batch; `forms.rs` what proxies are told              |
//! | `prepare.rs`    | what must be true before anything is locked                         |
//! | `bulk.rs`       | moves keys by SCAN and MIGRATE; `batch_size.rs` how many at once    |
//! | `codis.rs`      | moves keys between Codis servers                                    |
//! | `look.rs`       | counts keys, and sees whether a source is rid of them; `scan.rs`    |
//! | `compare.rs`    | whether keys are on the target what they were                       |
//! | `work.rs`       | a batch between its two servers                                     |
//! | `pace.rs`       | limits; `backoff.rs` pauses after failures                          |
//! | `job.rs`        | a move as it is kept; `journal.rs` its file; `state_file.rs` files  |
//! | `moves.rs`      | all moves of a proxy                                                |
//! | `report.rs`     | what is told of them                                                |
//! | `server.rs`     | a connection to a server                                            |
//! | `control.rs`    | how proxies are reached: a trait, as this crate knows no HTTP       |
//!
//! The order of the steps, and why no write is lost, is in [`routing::slot_move`]. Everything runs
//! on one thread and waits for nothing without a limit.

mod actor;
mod backoff;
mod batch_size;
mod bulk;
mod codis;
mod compare;
mod control;
mod engine;
mod error;
mod forms;
mod job;
mod journal;
mod look;
mod moves;
mod options;
mod pace;
mod prepare;
mod report;
mod scan;
mod server;
pub mod state_file;
mod steps;
mod work;

pub use actor::{HaltMoves, MoverActor, QueryMoves, StartMove, SteerMove, WAITING_MAX, Wish};
pub use control::{Asked, ControlError, Fleet, MoverState, ProxyControl};
pub use error::MoverError;
pub use journal::FILE as JOURNAL_FILE;
pub use moves::Surroundings;
pub use options::{
    CONCURRENCY_MAX, Comparison, MethodChoice, MoveOptions, MoveRequest, PROXIES_MAX,
    SLOTS_AT_ONCE_MAX, SlotSet,
};
pub use report::{
    BatchReport, BigKeyReport, ComparisonReport, DifferenceReport, MoveReport, MoverReport,
    Progress,
};
pub use server::{Login, LoginOf};
pub use state_file::{StateDir, StateError};
