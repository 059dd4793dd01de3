//! RESP bytes to values and back: incremental framing, strict limits, encoders.
