use super::*;

fn record() -> ClientRecord {
    let addr = "127.0.0.1:1".parse().unwrap();
    ClientRecord::new(7, addr, addr, 0)
}

fn limits() -> Config {
    Config {
        session_recv_timeout: Duration::from_secs(100),
        session_partial_timeout: Duration::from_secs(10),
        session_send_timeout: Duration::from_secs(5),
        backend_recv_timeout: Duration::from_secs(3),
        backend_connect_timeout: Duration::from_secs(1),
        ..Config::default()
    }
}

fn check(record: &ClientRecord, now_s: u64, expected: Option<CloseReason>) {
    assert_eq!(record.overdue(now_s * 1000, &limits()), expected, "after {now_s} s");
}

#[test]
fn an_idle_client_is_closed_after_the_idle_limit() {
    let record = record();
    check(&record, 100, None);
    check(&record, 101, Some(CloseReason::Idle));
}

#[test]
fn a_half_request_is_closed_sooner_than_an_idle_client() {
    let record = record();
    record.is_partial.set(true);
    check(&record, 10, None);
    check(&record, 11, Some(CloseReason::PartialRequest));
    record.read_ms.set(11_000);
    check(&record, 20, None);
}

#[test]
fn a_client_that_waits_for_replies_is_not_idle() {
    let record = record();
    record.in_flight.set(1);
    record.is_partial.set(true);
    record.progress_ms.set(200_000);
    check(&record, 205, None);
    check(&record, 210, Some(CloseReason::NoReply));
}

#[test]
fn a_client_that_takes_no_replies_is_closed() {
    let record = record();
    record.unsent_bytes.set(1);
    check(&record, 5, None);
    check(&record, 6, Some(CloseReason::SlowReader));
    record.write_ms.set(6_000);
    check(&record, 11, None);
}

#[test]
fn a_limit_of_zero_is_none() {
    let config = Config {
        session_recv_timeout: Duration::ZERO,
        session_send_timeout: Duration::ZERO,
        backend_recv_timeout: Duration::ZERO,
        ..limits()
    };
    let record = record();
    assert_eq!(record.overdue(u64::MAX, &config), None);
    record.unsent_bytes.set(1);
    record.in_flight.set(1);
    assert_eq!(record.overdue(u64::MAX, &config), None);
}

#[test]
fn the_line_names_the_client_as_redis_does() {
    let record = record();
    *record.name.borrow_mut() = "worker-1".into();
    let line = record.line(2500, &CommandTable::load().unwrap());
    assert!(line.starts_with("id=7 addr=127.0.0.1:1 laddr=127.0.0.1:1 fd=-1 name=worker-1 age=2 "));
    assert!(line.contains(" cmd=NULL user=default "));
}
