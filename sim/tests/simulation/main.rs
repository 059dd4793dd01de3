//! A seeded simulation of whole proxies: the real actors, simulated servers, a simulated control
//! plane, faults. A seed decides everything, so a seed that fails is a failure that comes again.
//!
//! ```text
//!   clients ─► proxy A, proxy B: real sessions, routers, ... ─► simulated servers ◄─ bulk mover
//!      │               ▲ FillSlots                                  ▲                  ▲
//!      │               └──────────── control plane ─────────────────┼──────────────────┘
//!      ▼                                                            │
//!   history ─► checker                        faults: slow, frozen, cut, crashed, refused
//! ```
//!
//! `sim/README.md` says what is modelled, which rules are checked, and what is not modelled.

#[cfg(test)]
mod checker;
#[cfg(test)]
mod client;
#[cfg(test)]
mod control;
#[cfg(test)]
mod driver;
#[cfg(test)]
mod history;
#[cfg(test)]
mod proxy;
#[cfg(test)]
mod random;
#[cfg(test)]
mod runs;
#[cfg(test)]
mod server;
#[cfg(test)]
mod store;
#[cfg(test)]
mod wire;
#[cfg(test)]
mod world;
