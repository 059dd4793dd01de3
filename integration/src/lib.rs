//! Fixtures of the black-box tests: real servers and the built binary.
