use proptest::prelude::*;
use routing::SlotId;

use super::*;
use crate::session::window::{ReplyWindow, Tag, WindowLimits};

fn parked(session: usize, order: u32, is_fan_out: bool, len: usize) -> Parked<(usize, u32)> {
    let mut window = ReplyWindow::new(WindowLimits { requests_max: 1, bytes_max: 1 });
    let mut request = RouteRequest {
        ticket: window.enter(0, false, Tag::default()),
        start: 0,
        len: 0,
        slot: SlotId::default(),
        access: command::Access::Write,
        fan_out: None,
    };
    if is_fan_out {
        let mut frame = Vec::new();
        resp::encode::request(&mut frame, &[b"MGET", b"a", b"b"]);
        let mut spans = Vec::new();
        let mut framer = resp::request::RequestFramer::new(Default::default());
        framer.next(&frame, &mut spans).unwrap();
        let table = command::CommandTable::load().unwrap();
        match table.plan(&command::Args::new(&frame, &spans)).plan {
            command::Plan::FanOut(keys) => request.fan_out = Some(Box::new(keys)),
            other => panic!("{other:?}"),
        }
    }
    Parked {
        session: (session, order),
        database: 0,
        frame: Bytes::from(vec![0; len]),
        waiting: Waiting::Request(request),
        since_ms: u64::from(order),
    }
}

fn parking(requests_max: usize, bytes_max: usize) -> Parking<(usize, u32)> {
    Parking::new(ParkingLimits { requests_max, bytes_max })
}

#[test]
fn requests_beyond_the_limits_are_handed_back() {
    let mut by_count = parking(2, 1000);
    assert!(by_count.park(1, parked(1, 0, false, 1)).is_ok());
    assert!(by_count.park(1, parked(1, 1, false, 1)).is_ok());
    assert!(by_count.park(1, parked(1, 2, false, 1)).is_err());
    let mut by_bytes = parking(100, 10);
    assert!(by_bytes.park(1, parked(1, 0, false, 10)).is_ok());
    assert!(by_bytes.park(1, parked(1, 1, false, 1)).is_err());
    assert_eq!(by_bytes.take_all().len(), 1);
    assert!(by_bytes.park(1, parked(1, 2, false, 10)).is_ok());
}

#[test]
fn only_the_session_of_a_parked_fan_out_must_follow() {
    let mut parking = parking(10, 1000);
    parking.park(1, parked(1, 0, false, 1)).unwrap();
    assert!(!parking.must_follow(1));
    parking.park(2, parked(2, 0, true, 1)).unwrap();
    assert!(parking.must_follow(2) && !parking.must_follow(1));
    parking.take_all();
    assert!(!parking.must_follow(2) && parking.is_empty());
}

#[test]
fn those_whose_time_is_over_are_taken_and_nobody_follows_them() {
    let mut parking = parking(10, 1000);
    for (session, order, is_fan_out) in [(1, 1, true), (2, 2, false), (3, 3, true)] {
        parking.park(session, parked(session, order, is_fan_out, 5)).unwrap();
    }
    assert!(parking.take_before(1, |session| session.0).is_empty());
    assert!(parking.must_follow(1) && parking.must_follow(3));
    let taken = parking.take_before(3, |session| session.0);
    assert_eq!(taken.iter().map(|p| p.session.0).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(parking.size(), (1, 5));
    assert!(!parking.must_follow(1) && parking.must_follow(3));
}

proptest! {
    /// P-1: whatever was parked comes out in the order in which it went in.
    #[test]
    fn requests_leave_in_the_order_of_entry(sessions in proptest::collection::vec(0_usize..5, 0..50)) {
        let mut parking = parking(1000, 1_000_000);
        for (order, session) in sessions.iter().enumerate() {
            let order = u32::try_from(order).unwrap();
            parking.park(*session, parked(*session, order, false, order as usize)).unwrap();
        }
        let orders: Vec<u32> = parking.take_all().into_iter().map(|p| p.session.1).collect();
        let expected: Vec<u32> = (0..u32::try_from(sessions.len()).unwrap()).collect();
        prop_assert_eq!(orders, expected);
    }
}
