//! Child processes end when they are told to, and with their fixture at the latest.

use rustix::process::test_kill_process;

use super::*;
use crate::wait::DEADLINE;

fn sleeper() -> Process {
    Process::spawn("sleeper", Command::new("sleep").arg("1000")).expect("start sleep")
}

#[test]
fn a_dropped_process_is_gone_even_if_it_was_frozen() {
    let mut process = sleeper();
    let pid = Pid::from_child(&process.child);
    process.signal(Signal::STOP);
    drop(process);
    assert!(test_kill_process(pid).is_err(), "the process still exists");
}

#[test]
fn a_killed_process_reports_its_signal() {
    let mut process = sleeper();
    assert_eq!(process.exit_status(), None);
    process.kill();
    let status = process.wait_exit(DEADLINE);
    assert!(!status.success(), "{status}");
    process.kill();
}

#[test]
#[should_panic(expected = "sleeper has ended already")]
fn a_signal_to_an_ended_process_fails_the_test() {
    let mut process = sleeper();
    process.kill();
    process.signal(Signal::TERM);
}
