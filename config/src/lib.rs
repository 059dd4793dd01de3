//! Typed configuration: defaults, sources, validation, and its own documentation.
//!
//! [`Loader`] makes a [`Config`] from a file, the environment and flags; whoever holds a `Config`
//! holds checked values and needs no second check. `settings.rs` is the one table of settings:
//! fields, defaults, [`default_file`] and [`reference()`] come from it.
//!
//! Beside it stand the two ways to say which redis servers there are: [`BackendUrl`] for the
//! command line and [`fill_slots`] for a slot table of Codis.
//!
//! Pure: texts come in, values and errors go out; reading files is the caller's work. Imports no
//! other crate of the project.

mod addr;
mod backend_url;
mod choices;
mod coordinated;
mod earlier;
mod error;
pub mod fill_slots;
mod ini;
mod loader;
mod reports;
mod secret;
mod settings;
mod show;
mod units;
mod validate;
mod value;

pub use addr::{AddrError, check_connectable};
pub use backend_url::{BackendUrl, BackendUrlError};
pub use choices::{
    Compat, CoordinatorName, LogFormat, LogLevel, MigrationMethod, ProtoType, Topology,
};
pub use error::{ConfigError, Origin, Problem};
pub use fill_slots::{FillSlotsError, SlotForm};
pub use loader::{Loaded, Loader};
pub use secret::Secret;
pub use settings::{ByteCount, Config, Count, FilePath, Integer, Period, Switch, Text};
pub use show::{default_file, reference};
pub use units::{duration_text, parse_size, size_text};
