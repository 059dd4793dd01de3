//! A member and a product in memory, on a clock that stands still while somebody works.
//!
//! The test is the dashboard: it writes nodes and looks at answers and at the slot table. There is
//! no worker, so a fill is done as soon as it is asked for.

mod lifecycle;
mod obeying;
mod world;
