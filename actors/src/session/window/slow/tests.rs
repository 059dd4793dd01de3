use command::CommandTable;
use resp::request::{RequestFramer, RequestLimits};

use super::super::*;
use super::*;

fn get(key: &str) -> Vec<u8> {
    let mut frame = Vec::new();
    resp::encode::request(&mut frame, &[b"GET", key.as_bytes()]);
    frame
}

/// Enters `GET key` at a time.
fn enter(window: &mut ReplyWindow, table: &CommandTable, key: &str, entered_us: u32) -> Ticket {
    let frame = get(key);
    let mut spans = Vec::new();
    RequestFramer::new(RequestLimits::default()).next(&frame, &mut spans).unwrap();
    let args = Args::new(&frame, &spans);
    let len = u32::try_from(frame.len()).unwrap();
    let ticket = window.enter(len, false, Tag { entered_us, ..Tag::default() });
    window.keep(&frame, &args, table.plan(&args).command.unwrap());
    ticket
}

fn settle(window: &mut ReplyWindow, ticket: Ticket, read_us: u32) {
    window.stamp(Stamps { written_us: 0, read_us, backend: None });
    let mut out = OutBuffer::default();
    window.settle(ticket, 0, Piece::Whole, &Bytes::from_static(b"+OK\r\n"), 0..5, &mut out);
}

fn slow(window: &mut ReplyWindow) -> Vec<(u32, Vec<u8>)> {
    let mut slow = Vec::new();
    window.take_slow(|left, kept| slow.push((left.stamps.read_us, kept.to_vec())));
    slow
}

fn window(slow_us: u32) -> (ReplyWindow, CommandTable) {
    let limits = WindowLimits { requests_max: 100_000, bytes_max: 1 << 30 };
    let mut window = ReplyWindow::new(limits);
    window.watch_slow(slow_us);
    (window, CommandTable::load().unwrap())
}

#[test]
fn only_slow_requests_are_told_in_the_order_of_entry() {
    let (mut window, table) = window(100);
    let first = enter(&mut window, &table, "a", 0);
    let second = enter(&mut window, &table, "bb", 50);
    let third = enter(&mut window, &table, "ccc", 60);
    settle(&mut window, third, 70);
    settle(&mut window, second, 80);
    assert!(!window.has_slow());
    settle(&mut window, first, 150);
    // The third was read early and left late, which is not yet too late.
    assert_eq!(slow(&mut window), [(150, get("a")), (80, get("bb"))]);
    assert!(!window.has_slow());
    // What has left is dropped when more comes.
    let _fourth = enter(&mut window, &table, "d", 160);
    assert_eq!(window.kept.bytes, get("d"));
}

/// The frames of one read are kept together; between them may be requests that are not kept.
#[test]
fn promised_frames_are_told_apart() {
    let (mut window, _) = window(0);
    let mut tickets = Vec::new();
    for key in ["a", "", "bb"] {
        tickets.push(window.enter(1, false, Tag::default()));
        if !key.is_empty() {
            window.promise_frame(&get(key));
        }
    }
    window.keep_frames(&[get("a"), get("bb")].concat());
    let first = tickets.remove(0);
    for ticket in tickets {
        settle(&mut window, ticket, 5);
    }
    settle(&mut window, first, 9);
    assert_eq!(slow(&mut window), [(9, get("a")), (5, get("bb"))]);
}

#[test]
fn the_times_of_a_fanned_out_request_are_those_of_its_last_part() {
    let (mut window, table) = window(0);
    let ticket = enter(&mut window, &table, "k", 0);
    let mut frame = Vec::new();
    resp::encode::request(&mut frame, &[b"DEL", b"a", b"b"]);
    let mut spans = Vec::new();
    RequestFramer::new(RequestLimits::default()).next(&frame, &mut spans).unwrap();
    let command::Plan::FanOut(keys) = table.plan(&Args::new(&frame, &spans)).plan else {
        panic!("two slots");
    };
    let mut destinations = 0..2;
    let (_, merge) = keys.split(&frame, |_, _| destinations.next().unwrap(), &mut Vec::new());
    window.plan_merge(ticket, merge);
    let mut out = OutBuffer::default();
    let one = Bytes::from_static(b":1\r\n");
    for (part, read_us) in [(1, 30), (0, 40)] {
        window.stamp(Stamps { written_us: 0, read_us, backend: None });
        window.settle(ticket, part, Piece::Whole, &one, 0..4, &mut out);
    }
    assert_eq!(slow(&mut window), [(40, get("k"))]);
}

#[test]
fn a_log_that_is_off_keeps_nothing() {
    let (mut window, table) = window(u32::MAX);
    let ticket = enter(&mut window, &table, "a", 0);
    assert_eq!(window.kept.bytes.capacity(), 0);
    settle(&mut window, ticket, u32::MAX);
    assert!(!window.has_slow());
}

/// Goal: a window that is never empty keeps no more than it needs. Method: a hundred requests are
/// always in flight, while many pass.
#[test]
fn what_has_left_does_not_pile_up() {
    let (mut window, table) = window(1000);
    let mut tickets = VecDeque::new();
    for number in 0..100_000_u32 {
        tickets.push_back(enter(&mut window, &table, &number.to_string(), number));
        if tickets.len() > 100 {
            settle(&mut window, tickets.pop_front().unwrap(), number);
        }
    }
    assert!(window.kept.bytes.capacity() <= 4 * GONE_BYTES_MIN, "{}", window.kept.bytes.capacity());
    assert!(!window.has_slow());
    settle(&mut window, tickets.pop_front().unwrap(), 200_000);
    assert_eq!(slow(&mut window), [(200_000, get("99900"))]);
}
