use std::net::SocketAddr;

use super::*;
use crate::slow_log::{Parts, Slow, SlowLog};

/// A log of two slow requests: one in a backend, one in the queue.
fn events() -> Events {
    let mut log = SlowLog::new(10_000, 10);
    let parts = [
        Parts { queue_us: 0, backend_us: 12_000, write_us: 0 },
        Parts { queue_us: 50_000, backend_us: 5000, write_us: 0 },
    ];
    for (id, parts) in (0..).zip(parts) {
        let peer = SocketAddr::from(([127, 0, 0, 1], 7));
        log.add(id, 100 + id, &Slow { parts, kept: b"", peer, client_name: "", backend: None });
    }
    log.events().clone()
}

fn text(encode: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    encode(&mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn the_latest_sample_of_each_event_is_told() {
    assert_eq!(
        text(|out| encode_latest(&events(), out)),
        "*3\r\n*4\r\n$7\r\ncommand\r\n:101\r\n:55\r\n:55\r\n\
         *4\r\n$5\r\nqueue\r\n:101\r\n:50\r\n:50\r\n\
         *4\r\n$7\r\nbackend\r\n:100\r\n:12\r\n:12\r\n"
    );
    assert_eq!(text(|out| encode_latest(&Events::default(), out)), "*0\r\n");
}

#[test]
fn the_history_of_an_event_is_its_samples() {
    let history = |event| text(|out| encode_history(&events(), event, out));
    assert_eq!(history(Some(Event::Command)), "*2\r\n*2\r\n:100\r\n:12\r\n*2\r\n:101\r\n:55\r\n");
    assert_eq!(history(Some(Event::Write)), "*0\r\n");
    assert_eq!(history(None), "*0\r\n");
}

#[test]
fn histograms_are_maps_in_resp3_and_flat_in_resp2() {
    let histogram = Histogram::default();
    histogram.record(3, 2);
    histogram.record(100, 1);
    let commands = [("get", histogram.snapshot())];
    let encoded = |protocol| text(|out| encode_histograms(&commands, protocol, out));
    let rest = "$5\r\ncalls\r\n:3\r\n$14\r\nhistogram_usec\r\n";
    assert_eq!(
        encoded(Protocol::Resp2),
        format!("*2\r\n$3\r\nget\r\n*4\r\n{rest}*4\r\n:3\r\n:2\r\n:111\r\n:3\r\n")
    );
    assert_eq!(
        encoded(Protocol::Resp3),
        format!("%1\r\n$3\r\nget\r\n%2\r\n{rest}%2\r\n:3\r\n:2\r\n:111\r\n:3\r\n")
    );
}

#[test]
fn the_advice_names_what_was_slow() {
    let told = advice(&events(), 10_000);
    assert!(told.contains("queue: slow in 1 seconds, 50 ms on average, 50 ms at worst."), "{told}");
    assert!(told.contains("backend: ") && !told.contains("write: "), "{told}");
    assert!(advice(&Events::default(), 10_000).contains("No request"));
    assert!(advice(&Events::default(), -1).contains("Nothing is watched"));
    assert_eq!(text(|out| encode_text("a", Protocol::Resp2, out)), "$1\r\na\r\n");
    assert_eq!(text(|out| encode_text("a", Protocol::Resp3, out)), "=5\r\ntxt:a\r\n");
}
