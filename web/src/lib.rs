//! The admin HTTP server of the proxy.
