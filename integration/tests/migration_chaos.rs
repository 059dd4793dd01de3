//! Histories of many clients while slots move forth and back and things fail.
//!
//! Two proxies, two servers that lose nothing they have acknowledged (`appendfsync always`), eight
//! clients. Each scenario disturbs the moves in its way; at the end every acknowledged write must
//! be there, on one server only, and the history of every key must be one that a single server
//! could have made. `KEYWAY_CHAOS_SEED` repeats a run, as far as the machine lets it.

#![expect(clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]
#![expect(clippy::print_stderr, reason = "the seed and the counts belong to a failure")]

use std::collections::BTreeMap;
use std::thread;

use integration::proxy::ProxyOptions;
use integration::random::Random;
use integration::slot_mover::{Progress, SlotMover};
use integration::value::Value;
use integration::workload::{Endpoint, Report, Workload};
use integration::{KeywayProxy, RedisServer};
use routing::{SlotId, slot_of};

/// Tags of keys whose slots move, and of keys whose slots stay.
const MOVING: [&str; 4] = ["a", "b", "c", "d"];
const SETTLED: [&str; 2] = ["e", "f"];

const CLIENTS: usize = 8;

/// Moves of the slots in each scenario: an even number, so that they come back.
const MOVES: usize = 10;

/// Faults in each scenario, in different moves.
const FAULTS: usize = 5;

/// Requests between two steps of a move, at least.
const REQUESTS_BETWEEN: u64 = 40;

/// Requests that meet a server that is dead or frozen, at least.
const REQUESTS_MEANWHILE: u64 = 20;

/// Keys that no client asks for, so that the sweeps have something to do.
const FILLERS: usize = 50;

/// What the proxies may log while servers fail.
const ALARMS: [&str; 7] = [
    "\"backend is down\"",
    "\"backend connection lost\"",
    "\"key not moved",
    "\"fill",
    "\"backend does not answer",
    "\"slots",
    "\"sent an error",
];

/// Who is disturbed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    KillSource,
    KillTarget,
    FreezeSource,
    FreezeTarget,
    KillProxy,
    FreezeProxy,
    CutConnections,
}

fn options(fault: Fault) -> ProxyOptions {
    let options = KeywayProxy::options();
    if fault == Fault::None {
        return options;
    }
    let options =
        options.config("backend_recv_timeout = \"1s\"").config("migration_timeout = \"300ms\"");
    ALARMS.into_iter().fold(options, ProxyOptions::allow_log)
}

fn durable_server() -> RedisServer {
    RedisServer::options().option("appendonly", "yes").option("appendfsync", "always").start()
}

fn fill_fillers(server: &RedisServer) {
    let mut client = server.client();
    for tag in MOVING {
        for number in 0..FILLERS {
            client.command(&["SET", &format!("filler:{number}:{{{tag}}}"), "filled"]);
        }
    }
}

/// Runs a scenario.
fn run(fault: Fault) {
    let seed = std::env::var("KEYWAY_CHAOS_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| u64::from(std::process::id()));
    eprintln!("KEYWAY_CHAOS_SEED={seed}");
    let slots: Vec<SlotId> = MOVING.iter().map(|tag| slot_of(tag.as_bytes())).collect();
    let mut servers = [durable_server(), durable_server()];
    fill_fillers(&servers[0]);
    let addrs = [servers[0].addr(), servers[1].addr()];
    let mut mover = SlotMover::start(options(fault), addrs, &slots);
    let endpoints = mover.proxies.iter().map(|proxy| Endpoint::new(proxy.addr())).collect();
    let tags: Vec<&str> = MOVING.into_iter().chain(SETTLED).collect();
    let workload = Workload::new(endpoints, &tags, seed);
    let progress = Progress::default();
    let (report, ()) = workload.run_while(CLIENTS, || {
        thread::scope(|scope| {
            let faults = scope.spawn(|| disturb(fault, &mut servers, &progress, &workload));
            let mut random = Random::new(seed);
            for _ in 0..MOVES {
                move_once(fault, &mut mover, &progress, &workload, &mut random);
            }
            faults.join().expect("the servers come back");
        });
    });
    judge(fault, &workload, report, &servers);
}

/// Moves the slots once; between the steps the clients go on, and a proxy may die.
fn move_once(
    fault: Fault,
    mover: &mut SlotMover,
    progress: &Progress,
    workload: &Workload,
    random: &mut Random,
) {
    let dies_before = random.below(8);
    let turns = random.below(2) == 0;
    let mut step = 0;
    mover.move_slots(progress, |mover| {
        // While the slots are locked their clients wait, so that little goes on.
        if step != 1 {
            workload.wait_requests(REQUESTS_BETWEEN);
        }
        let index = usize::try_from(random.below(2)).expect("a small number");
        if fault == Fault::FreezeProxy && step != 1 {
            mover.proxies[index].freeze();
            workload.wait_requests(REQUESTS_MEANWHILE);
            mover.proxies[index].thaw();
        }
        if fault == Fault::KillProxy && step == dies_before {
            let addr = mover.restart_proxy(index).expect("there are two");
            workload.endpoints[index].change(addr);
        }
        // Slots that migrate go back and forth again, as when an operator changes his mind twice.
        if turns && step == 2 {
            for _ in 0..2 {
                mover.turn_round();
                workload.wait_requests(REQUESTS_BETWEEN);
            }
        }
        step += 1;
    });
}

/// Disturbs the servers while slots move.
fn disturb(fault: Fault, servers: &mut [RedisServer; 2], progress: &Progress, workload: &Workload) {
    if matches!(fault, Fault::None | Fault::KillProxy | Fault::FreezeProxy) {
        return;
    }
    for number in 0..FAULTS {
        // While slots migrate, while they are to be prepared, while they are prepared, and again.
        progress.wait_steps(number * MOVES / FAULTS * 3 + (number + 2) % 3);
        let source = progress.source();
        match fault {
            Fault::KillSource | Fault::KillTarget => {
                let is_source = fault == Fault::KillSource;
                let server = &mut servers[if is_source { source } else { 1 - source }];
                server.kill();
                workload.wait_requests(REQUESTS_MEANWHILE);
                server.restart();
            }
            Fault::FreezeSource | Fault::FreezeTarget => {
                let is_source = fault == Fault::FreezeSource;
                let server = &mut servers[if is_source { source } else { 1 - source }];
                server.freeze();
                workload.wait_requests(REQUESTS_MEANWHILE);
                server.thaw();
            }
            Fault::CutConnections => {
                for cut in 0..5 {
                    servers[(source + cut) % 2]
                        .client()
                        .text(&["CLIENT", "KILL", "TYPE", "normal"]);
                    workload.wait_requests(REQUESTS_MEANWHILE);
                }
            }
            Fault::None | Fault::KillProxy | Fault::FreezeProxy => {}
        }
    }
}

/// Checks what the clients have seen, and where the keys are.
fn judge(fault: Fault, workload: &Workload, mut report: Report, servers: &[RedisServer; 2]) {
    eprintln!("{} events, errors: {:#?}", report.history.len(), report.errors);
    if fault == Fault::None {
        assert_eq!(report.errors, BTreeMap::new(), "without a fault there is no error");
    } else if fault != Fault::FreezeProxy {
        // One that is thawed in time has not failed.
        assert!(!report.errors.is_empty(), "nobody has noticed the fault");
    }
    // The proxies may still think that a server is down.
    integration::wait_until("all is well again", integration::DEADLINE, || {
        let all_well = workload.endpoints.iter().all(|endpoint| {
            MOVING.iter().chain(&SETTLED).all(|tag| {
                (0..4).all(|_| {
                    let mut client = integration::RawClient::connect(endpoint.addr());
                    client.text(&["EXISTS", &format!("absent:{{{tag}}}")]) == ":0\r\n"
                })
            })
        });
        if all_well { Ok(()) } else { Err("errors") }
    });
    report.history.merge(workload.read_all());
    if let Err(wrong) = report.history.check() {
        panic!("{wrong}");
    }
    // All keys are on the first server, where they began: the number of moves is even.
    let mut clients = [servers[0].client(), servers[1].client()];
    for database in ["0", "1"] {
        for client in &mut clients {
            client.text(&["SELECT", database]);
        }
        assert_eq!(clients[1].text(&["DBSIZE"]), ":0\r\n", "keys were left behind");
    }
    clients[0].text(&["SELECT", "0"]);
    let Value::Array(fillers) = Value::read(&clients[0].command(&["KEYS", "filler:*"])) else {
        panic!("KEYS has no array");
    };
    assert_eq!(fillers.len(), MOVING.len() * FILLERS, "keys that nobody asked for");
}

#[test]
fn slots_go_forth_and_back_while_nothing_is_asked_for() {
    let servers = [RedisServer::start(), RedisServer::start()];
    let slots = [slot_of(b"m"), slot_of(b"n")];
    let addrs = [servers[0].addr(), servers[1].addr()];
    let mut mover = SlotMover::start(KeywayProxy::options(), addrs, &slots);
    let mut client = mover.proxies[0].client();
    for number in 0..300 {
        let key = format!("{{m}}{number}");
        assert_eq!(client.text(&["SET", &key, "value"]), "+OK\r\n");
    }
    for moves in 1..=4 {
        mover.move_slots(&Progress::default(), |_| {});
        let [here, there] = [moves % 2, 1 - moves % 2].map(|server| &servers[server]);
        assert_eq!(here.client().text(&["DBSIZE"]), ":300\r\n");
        assert_eq!(there.client().text(&["DBSIZE"]), ":0\r\n");
        for proxy in &mover.proxies {
            assert_eq!(proxy.client().text(&["GET", "{m}7"]), "$5\r\nvalue\r\n");
        }
    }
}

#[test]
fn slots_move_forth_and_back_without_an_error() {
    run(Fault::None);
}

#[test]
fn no_write_is_lost_when_the_source_dies() {
    run(Fault::KillSource);
}

#[test]
fn no_write_is_lost_when_the_target_dies() {
    run(Fault::KillTarget);
}

#[test]
fn no_write_is_lost_when_the_source_freezes() {
    run(Fault::FreezeSource);
}

#[test]
fn no_write_is_lost_when_the_target_freezes() {
    run(Fault::FreezeTarget);
}

#[test]
fn no_write_is_lost_when_a_proxy_dies() {
    run(Fault::KillProxy);
}

#[test]
fn no_write_is_lost_when_a_proxy_freezes() {
    run(Fault::FreezeProxy);
}

#[test]
fn no_write_is_lost_when_connections_to_the_servers_are_cut() {
    run(Fault::CutConnections);
}
