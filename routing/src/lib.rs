//! Where keys live: slots, backends and the table that joins them.
//!
//! * [`slot`]: the 1024 slots of the key space and the hash that puts a key into one.
//! * [`addr`]: the address of a backend.
//! * [`slot_move`]: the steps in which slots are moved.
//! * [`table`]: which backends serve each slot, with an epoch that only grows.
//!
//! Pure: no io, no clock, no actix. The router owns a [`table::SlotTable`] per worker; whoever
//! changes the topology builds [`table::SlotAssignment`]s and hands them to the routers.

pub mod addr;
mod error;
pub mod slot;
pub mod slot_move;
pub mod table;

pub use addr::BackendAddr;
pub use error::RoutingError;
pub use slot::{SLOTS, SlotId, hash_tag, slot_of};
pub use table::{SlotAssignment, SlotSource, SlotTable};
