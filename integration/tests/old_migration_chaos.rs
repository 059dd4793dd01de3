//! Slots move under old dashboards while something fails at every step, with clients of two proxies
//! that write: nothing is lost, and nobody reads what is old.
//!
//! Each scenario disturbs every step of several moves in its way. The histories that clients have
//! seen must be those of one server without faults; at the end the keys of the slots are on one
//! server only. `KEYWAY_CHAOS_SEED` repeats what the clients ask.

#![expect(clippy::print_stderr, reason = "the seed and the counts belong to a failure")]

use std::thread;
use std::time::Duration;

use integration::old_dashboard::{Flavour, OldDashboard};
use integration::ports::free_port;
use integration::proxy::ProxyOptions;
use integration::workload::{Endpoint, Report, Workload};
use integration::{DEADLINE, Gate, KeywayProxy, Product, ZooKeeper, wait_until};
use routing::slot_of;

/// Tags of keys whose slots move, and of one whose slot stays.
const MOVING: [&str; 2] = ["a", "b"];
const SETTLED: &str = "c";

const CLIENTS: usize = 4;

/// Requests between two steps of a move, at least.
const REQUESTS_BETWEEN: u64 = 40;

/// How long a session may take to end.
const EXPIRY_DEADLINE: Duration = Duration::from_secs(10);

/// What is disturbed.
struct Scene {
    // Dropped first: their end needs what follows.
    proxies: Vec<KeywayProxy>,
    gate: Gate,
    product: Product,
    /// Of the first proxy.
    options: ProxyOptions,
    /// The test's own eyes, while the dashboard is busy.
    eyes: OldDashboard,
}

impl Scene {
    /// Starts two proxies, of which the first reaches ZooKeeper through a gate.
    fn start(flavour: Flavour, session: &str) -> Self {
        let product = Product::start(flavour);
        let gate = Gate::before(product.zookeeper.addr());
        let eyes = OldDashboard::new(product.zookeeper.client(), flavour);
        let options = |id: &str, addr: String| {
            let options = eyes.options_with_session(id, &addr, session);
            options.allow_log("\"alarm\"").allow_log("session").allow_log("of an earlier run")
        };
        let first = options("proxy_1", gate.addr().to_string()).ports(free_port(), free_port());
        let second = options("proxy_2", product.zookeeper.addr().to_string());
        let proxies =
            vec![eyes.start_online("proxy_1", first.clone()), eyes.start_online("proxy_2", second)];
        Self { proxies, gate, product, options: first, eyes }
    }

    /// Moves the slots to the other group and back, and disturbs before each step.
    fn run(&mut self, mut disturb: impl FnMut(&mut Self, &Workload)) -> Report {
        let seed = std::env::var("KEYWAY_CHAOS_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = seed.unwrap_or_else(|| u64::from(std::process::id()));
        eprintln!("KEYWAY_CHAOS_SEED={seed}");
        let endpoints = self.proxies.iter().map(|proxy| Endpoint::new(proxy.addr())).collect();
        let tags: Vec<&str> = MOVING.into_iter().chain([SETTLED]).collect();
        let workload = Workload::new(endpoints, &tags, seed).in_one_database();
        let (mut report, ()) = workload.run_while(CLIENTS, || {
            self.move_forth_and_back(&workload, &mut disturb);
        });
        eprintln!("{} events, errors: {:?}", report.history.len(), report.errors);
        report.history.merge(workload.read_all());
        assert_eq!(report.history.check(), Ok(()));
        self.check_keys();
        report
    }

    fn move_forth_and_back(
        &mut self,
        workload: &Workload,
        disturb: &mut impl FnMut(&mut Self, &Workload),
    ) {
        for tag in MOVING {
            let slot = slot_of(tag.as_bytes());
            let home = self.eyes.slot(slot.index()).group_id;
            for target in [3 - home, home] {
                let steps: [&dyn Fn(&OldDashboard); 4] = [
                    &|dashboard| assert_eq!(dashboard.prepare_move(slot), Ok(())),
                    &|dashboard| assert_eq!(dashboard.begin_move(slot, target), Ok(())),
                    &|dashboard| dashboard.move_keys(slot),
                    &|dashboard| assert_eq!(dashboard.end_move(slot), Ok(())),
                ];
                for (number, step) in steps.into_iter().enumerate() {
                    // While the slot is locked its clients wait, so that little goes on.
                    if number != 1 {
                        workload.wait_requests(REQUESTS_BETWEEN);
                        disturb(self, workload);
                    }
                    step(&self.product.dashboard);
                }
            }
        }
    }

    /// Each key is on the server of its slot's group, and nowhere else.
    fn check_keys(&self) {
        for (server, group) in [(&self.product.one, 1), (&self.product.two, 2)] {
            for tag in MOVING {
                let is_here = self.eyes.slot(slot_of(tag.as_bytes()).index()).group_id == group;
                let reply = server.client().text(&["KEYS", &format!("*{{{tag}}}*")]);
                assert!(is_here || reply == "*0\r\n", "group {group} has keys of {tag}: {reply}");
            }
        }
    }

    fn wait_both_online(&self) {
        wait_until("both proxies are online", EXPIRY_DEADLINE, || {
            match self.eyes.online_proxies().len() {
                2 => Ok(()),
                other => Err(other),
            }
        });
    }
}

/// Restarts ZooKeeper beside what else happens.
fn restart_beside(zookeeper: &mut ZooKeeper, other: impl FnOnce()) {
    thread::scope(|scope| {
        let restarted = scope.spawn(|| zookeeper.restart());
        other();
        restarted.join().expect("it comes back");
    });
}

#[test]
fn no_write_is_lost_while_slots_move_and_zookeeper_restarts() {
    let mut scene = Scene::start(Flavour::Codis198, "20s");
    let mut step = 0;
    let report = scene.run(|scene, workload| {
        step += 1;
        // A restart takes a second; some steps have to do.
        if step % 4 == 1 {
            restart_beside(&mut scene.product.zookeeper, || {
                workload.wait_requests(REQUESTS_BETWEEN);
            });
        }
    });
    assert!(report.errors.is_empty(), "the sessions went on: {:?}", report.errors);
}

/// Goal: a slot that is on its way is the worst moment to lose the session; the dashboard waits with
/// its next step, as it must for the fence, until the proxy is back.
#[test]
fn no_write_is_lost_while_slots_move_and_sessions_end() {
    let mut scene = Scene::start(Flavour::Reborn, "1s");
    let mut step = 0;
    scene.run(|scene, workload| {
        step += 1;
        if step % 3 == 1 {
            if step % 2 == 0 {
                scene.gate.cut();
            } else {
                scene.gate.freeze();
            }
            let path = scene.eyes.proxy_path("proxy_1");
            scene.eyes.client().wait_gone(&path, EXPIRY_DEADLINE);
            let fenced = scene.eyes.check_fences();
            assert!(fenced.is_err(), "nothing may change without the proxy");
            scene.gate.pass();
            scene.wait_both_online();
            workload.wait_requests(REQUESTS_BETWEEN);
        }
    });
}

/// Goal: a proxy that comes while slots move must take them as they are; Codis 2.0 lets it.
#[test]
fn no_write_is_lost_while_slots_move_and_a_proxy_dies() {
    let mut scene = Scene::start(Flavour::Codis20, "4s");
    let mut step = 0;
    scene.run(|scene, workload| {
        step += 1;
        if step % 2 == 1 {
            let [first, second] = scene.proxies.as_mut_slice() else {
                unreachable!("there are two")
            };
            first.crash();
            // Its clients find the other one, as Jodis lets them.
            let [endpoint, _] = workload.endpoints.as_slice() else {
                unreachable!("there are two")
            };
            endpoint.change(second.addr());
            *first = scene.options.clone().start();
            scene.eyes.wait_registered("proxy_1");
            assert_eq!(scene.eyes.put_online("proxy_1"), Ok(()));
            integration::old_dashboard::proxies::wait_serves(first, DEADLINE);
            endpoint.change(first.addr());
        }
    });
}
