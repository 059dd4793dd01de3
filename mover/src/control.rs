//! How the mover reaches proxies. The crate knows no HTTP: whoever wires it brings that.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;

use config::SlotForm;
use thiserror::Error;

use crate::options::SlotSet;

/// What an order comes to, on the mover's thread.
pub type Asked<'a, T> = Pin<Box<dyn Future<Output = Result<T, ControlError>> + 'a>>;

/// Why a proxy has not done what it was asked, or may not have.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ControlError {
    /// It said no.
    #[error("{0}")]
    Refused(String),
    /// No answer: it may have done it, or may yet do it.
    #[error("{0}")]
    Failed(String),
}

/// What a proxy says of its own mover.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MoverState {
    /// Whether it keeps its slots on disk, so that it has them after a crash.
    pub keeps_slots: bool,
    /// The slots of its moves that have not ended.
    pub moving: SlotSet,
}

/// A proxy whose slots can be filled. Each answer comes within a limit.
pub trait ProxyControl {
    /// What the proxy is called in messages.
    fn name(&self) -> &str;

    /// Fills slots; answered when no request of the old assignments is under way and the new ones
    /// are on disk.
    fn fill(&self, slots: Vec<SlotForm>) -> Asked<'_, ()>;

    /// All slots as they are.
    fn slots(&self) -> Asked<'_, Vec<SlotForm>>;

    /// What its own mover does.
    fn mover(&self) -> Asked<'_, MoverState>;
}

/// Finds proxies.
pub trait Fleet {
    /// The proxy of this process.
    fn own(&self) -> Rc<dyn ProxyControl>;

    /// The proxy whose admin API has this address.
    fn proxy(&self, addr: &str) -> Rc<dyn ProxyControl>;
}
