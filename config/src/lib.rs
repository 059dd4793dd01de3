//! Typed configuration: defaults, validation, the commented default file.
