//! Random changes of slots under load, by seed: what must hold whatever happens, and in any order.
//!
//! ```text
//!   clients ─► three workers, one TopologyActor ─► four scripted backends
//!      │                    ▲                             │
//!      │       driver: one random step after another      │
//!      └─────────────► checker: the rules ◄───────────────┘
//! ```
//!
//! The rules, checked with every request that a backend gets and every reply that a client gets:
//! 1. no request of a slot is in flight under two assignments, and none under the old one when a
//!    fill is answered; a fill that is given up has changed nothing;
//! 2. every request is answered once, in the order of its client, with its own reply or an error;
//! 3. the writes of a client to a key reach backends in the order in which they were sent;
//! 4. no more requests wait than may; the surplus is told to try again and is not executed;
//! 5. no request fails while every backend is well, unless too many wait, or it names a backend that
//!    no slot needs.
//!
//! A seed decides every step; the sockets are real, so that the moment at which a step meets a
//! request may differ a little between runs. All actors share one thread to keep that small.
//!
//! A failure names its seed and step. `KEYWAY_SEED=<seed>` runs this seed alone,
//! `KEYWAY_SEEDS=<count>` so many of them.

#[cfg(test)]
mod backend;
#[cfg(test)]
mod checker;
#[cfg(test)]
mod client;
#[cfg(test)]
mod driver;
#[cfg(test)]
mod proxy;
#[cfg(test)]
mod wire;

/// Seeds of a usual run, over both tests.
const SEEDS: u64 = 40;

/// Runs the seeds with this remainder, so that two tests can share the work.
fn run_seeds(remainder: u64) {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seeds = match number("KEYWAY_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("KEYWAY_SEEDS").unwrap_or(SEEDS),
    };
    for seed in seeds.filter(|seed| seed % 2 == remainder) {
        driver::run(seed);
    }
}

#[test]
fn fills_keep_every_rule_with_even_seeds() {
    run_seeds(0);
}

#[test]
fn fills_keep_every_rule_with_odd_seeds() {
    run_seeds(1);
}

#[test]
fn a_read_that_a_replica_hands_back_goes_on_only_with_all_its_slots() {
    driver::hand_back_while_a_slot_moves();
}
