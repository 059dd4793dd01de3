//! Tests of the guards and of interruption, with `cat` and `sleep` as stand-ins for servers.

use super::*;

/// Long enough for any of the programs here, short enough to notice a hang.
const LIMIT: Duration = Duration::from_secs(20);

fn sleeper() -> Command {
    let mut command = Command::new("sleep");
    command.arg("60");
    command
}

fn is_alive(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

#[test]
fn a_dropped_process_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let processes = Processes::default();
    let process = processes.spawn("sleep", &mut sleeper(), &dir.path().join("log")).unwrap();
    let pid = process.pid();
    process.check_running().unwrap();
    assert!(is_alive(pid));
    drop(process);
    assert!(!is_alive(pid));
}

#[test]
fn an_interrupt_ends_what_runs_and_refuses_what_comes() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let processes = Processes::default();
    let interrupting = processes.clone();
    let server = processes.spawn("sleep", &mut sleeper(), &log).unwrap();
    let thread = thread::spawn(move || interrupting.interrupt());
    let error = processes.run("sleep", &mut sleeper(), &dir.path().join("log2"), LIMIT);
    assert_eq!(error.unwrap_err().to_string(), "interrupted");
    thread.join().unwrap();
    assert!(processes.spawn("sleep", &mut sleeper(), &log).is_err());
    assert!(processes.pause(LIMIT).is_err());
    drop(server);
}

#[test]
fn a_program_that_does_not_finish_is_killed_at_its_limit() {
    let dir = tempfile::tempdir().unwrap();
    let processes = Processes::default();
    let limit = Duration::from_millis(10);
    let error = processes.run("sleep", &mut sleeper(), &dir.path().join("log"), limit);
    assert_eq!(error.unwrap_err().to_string(), "`sleep` was not finished after 0 s");
    assert!(processes.state().children.is_empty());
}

#[test]
fn output_is_returned_and_failure_quotes_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let processes = Processes::default();
    let mut good = Command::new("sh");
    good.args(["-c", "echo fine"]);
    assert_eq!(processes.run("sh", &mut good, &log, LIMIT).unwrap(), "fine\n");
    let mut bad = Command::new("sh");
    bad.args(["-c", "echo broken >&2; exit 3"]);
    let error = processes.run("sh", &mut bad, &log, LIMIT).unwrap_err();
    assert_eq!(error.to_string(), "`sh` failed (exit status: 3)\n  broken");
}

#[test]
fn only_the_last_lines_of_a_log_are_quoted() {
    assert_eq!(quote(""), "");
    assert_eq!(quote("1\n2\n\n3\n4\n5\n6\n"), "\n  2\n  3\n  4\n  5\n  6");
}
