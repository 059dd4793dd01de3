//! Nothing: the simulation is a test, `tests/simulation`, and `README.md` says what it is.
//!
//! A crate of its own, so that only its tests turn on the feature `sim` of the actors.
