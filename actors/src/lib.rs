//! The actors of the data path and their supervision.
