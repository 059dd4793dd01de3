# The verbs of the repository, the same for people and for continuous integration.

# List the verbs.
default:
    @just --list --unsorted

# Format the code.
fmt:
    cargo fmt --all

# Check the rules of the repository and the lints.
lint:
    cargo xtask tidy && cargo clippy --workspace --all-targets --locked -- -D warnings

# Run the unit and property tests.
test *args:
    cargo nextest run --workspace --exclude integration {{args}}

# Run the integration tests against a fresh build.
it *args:
    cargo build --package keyway && cargo nextest run --package integration {{args}}

# Run the simulations with so many seeds; KEYWAY_SEED=7 runs one again, KEYWAY_TRACE=1 tells all.
sim seeds="1000":
    KEYWAY_SEEDS={{seeds}} cargo test --package sim --package actors --test simulation --test fill_simulation -- --nocapture every_rule fills_keep

# Run each fuzz target for some seconds.
fuzz-smoke seconds="10":
    fuzz/smoke {{seconds}}

# Compare with nutcracker, haproxy and direct Redis; see bench/README.md.
bench *args:
    cargo build --release --package keyway --package bench && target/release/bench {{args}}

# Build the documents, with warnings as errors.
doc:
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items --locked

# Check the licences, sources and known faults of the dependencies.
deny:
    cargo deny check

# Run everything that continuous integration runs.
ci:
    .ci/run
