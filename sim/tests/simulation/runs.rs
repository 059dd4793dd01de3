//! The runs: many seeds, one seed twice, and broken rules.

use crate::driver::{self, Broken, Report};

/// Seeds of a usual run, over all tests that share them.
const SEEDS: u64 = 200;

/// Tests that share the seeds.
const SHARES: u64 = 8;

/// Seeds within which a broken rule must show.
const SEEDS_TO_NOTICE: usize = 40;

/// Runs the seeds with this remainder: all that are asked for by `KEYWAY_SEED` (one) or
/// `KEYWAY_SEEDS` (a number of them).
fn run_seeds(remainder: u64) {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seeds = match number("KEYWAY_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("KEYWAY_SEEDS").unwrap_or(SEEDS),
    };
    for seed in seeds.filter(|seed| seed % SHARES == remainder) {
        let report = driver::run(seed, None);
        println!("seed {seed} ({:016x}): {}", report.hash, report.counts);
        report.expect_clean();
    }
}

impl Report {
    fn expect_clean(&self) {
        assert!(
            self.violations.is_empty(),
            "seed {seed} breaks rules; replay it with `KEYWAY_SEED={seed} just sim`, and all events \
             with KEYWAY_TRACE=1\n  {}\nthe last events:\n  {}",
            self.violations.join("\n  "),
            self.last_events.join("\n  "),
            seed = self.seed,
        );
    }
}

/// Tests that share the seeds, so that they run beside each other.
macro_rules! share_seeds {
    ($($name:ident: $remainder:literal,)*) => {
        $(#[test]
        fn $name() {
            run_seeds($remainder);
        })*
    };
}

share_seeds! {
    every_rule_holds_when_nothing_goes_wrong_0: 0,
    every_rule_holds_through_faults_1: 1,
    every_rule_holds_through_faults_2: 2,
    every_rule_holds_through_faults_3: 3,
    every_rule_holds_when_nothing_goes_wrong_4: 4,
    every_rule_holds_through_faults_5: 5,
    every_rule_holds_through_faults_6: 6,
    every_rule_holds_through_faults_7: 7,
}

#[test]
fn a_seed_that_runs_twice_is_the_same_run_to_the_last_event() {
    for seed in 0..4 {
        let hashes = [0; 2].map(|_| driver::run(seed, None).hash);
        assert_eq!(hashes[0], hashes[1], "seed {seed}");
    }
    assert_ne!(driver::run(1, None).hash, driver::run(2, None).hash);
}

#[test]
fn keys_that_move_before_all_proxies_agree_are_noticed() {
    // Without faults, so that nothing else can be the cause.
    expect_noticed(Broken::Agreement, (0..).step_by(4));
}

#[test]
fn a_time_out_that_is_taken_for_an_answer_is_noticed() {
    expect_noticed(Broken::Unknown, 1..);
}

/// Some seed shows that a rule is broken; unbroken, it shows nothing.
fn expect_noticed(broken: Broken, seeds: impl Iterator<Item = u64>) {
    let is_noticed = |seed: &u64| {
        let report = driver::run(*seed, Some(broken));
        report.violations.iter().any(|violation| violation.starts_with("history"))
    };
    let seed = seeds.take(SEEDS_TO_NOTICE).find(is_noticed);
    println!("{broken:?} is noticed with seed {seed:?}");
    let seed = seed.unwrap_or_else(|| panic!("{broken:?} is not noticed"));
    driver::run(seed, None).expect_clean();
}
