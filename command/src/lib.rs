//! What the proxy knows of every Redis command: table, key extraction, fan-out and merge.
