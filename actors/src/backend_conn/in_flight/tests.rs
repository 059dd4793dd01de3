use proptest::prelude::*;

use super::*;
use crate::session::window::{ReplyWindow, Tag, WindowLimits};

fn request(len: u32) -> ForwardRequest {
    let mut window = ReplyWindow::new(WindowLimits { requests_max: 1, bytes_max: 1 });
    ForwardRequest {
        ticket: window.enter(0, false, Tag::default()),
        part: 0,
        is_in_parts: false,
        is_for_backend: false,
        slot: routing::SlotId::default(),
        start: 0,
        len,
    }
}

proptest! {
    /// Goal: B-1 and B-2. A connection takes runs, writes some bytes, gets some replies and is
    /// lost; a shadow list of (end of the request in the stream, its run) says what was written.
    #[test]
    fn a_loss_fails_what_was_written_and_keeps_the_rest(
        lens in proptest::collection::vec(proptest::collection::vec(1_u32..50, 1..6), 1..20),
        written_share in 0.0_f64..=1.0,
        answered_share in 0.0_f64..=1.0,
    ) {
        let mut in_flight = InFlight::default();
        let mut requests = Vec::new();
        let mut end = 0_usize;
        for (session, run) in lens.iter().enumerate() {
            for len in run {
                end += *len as usize;
                requests.push((session, end, *len as usize));
            }
            let run = run.iter().map(|len| request(*len)).collect();
            in_flight.push(Run::new(Some(session), run, 0));
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss,
            reason = "a share of a small number")]
        let (written, answered) = {
            let written = (end as f64 * written_share) as usize;
            let whole = requests.iter().filter(|(_, end, _)| *end <= written).count();
            (written, (whole as f64 * answered_share) as usize)
        };
        for _ in 0..answered {
            prop_assert!(in_flight.front().is_some());
            in_flight.answer_front();
        }
        prop_assert_eq!(in_flight.len(), requests.len() - answered);

        let (failed, dropped) = in_flight.fail_written(end - written);
        let failed: Vec<_> = failed
            .iter()
            .flat_map(|run| run.unanswered().iter().map(|r| (run.reply_to.unwrap(), r.len as usize)))
            .collect();
        let expected: Vec<_> = requests
            .iter()
            .skip(answered)
            .filter(|(_, end, len)| end - len < written)
            .map(|(session, _, len)| (*session, *len))
            .collect();
        prop_assert_eq!(failed, expected);

        let kept: usize = requests.iter().filter(|(_, end, len)| end - len >= written).map(|r| r.2).sum();
        prop_assert_eq!(end - written - dropped, kept, "B-2");
        let rest = in_flight.fail_all();
        prop_assert_eq!(rest.iter().flat_map(|run| run.unanswered()).map(|r| r.len as usize).sum::<usize>(), kept);
        prop_assert!(in_flight.is_empty());
    }
}

#[test]
fn a_run_comes_out_with_its_last_reply() {
    let mut in_flight = InFlight::default();
    in_flight.push(Run::new(Some('a'), vec![request(3), request(4)], 7_500));
    in_flight.push(Run::new(Some('b'), vec![request(5)], 8_000));
    assert_eq!(in_flight.oldest_ms(), Some(7));
    assert!(in_flight.answer_front().is_none());
    assert_eq!(in_flight.answer_front().map(|run| run.reply_to), Some(Some('a')));
    assert_eq!(in_flight.oldest_ms(), Some(8));
    assert_eq!(in_flight.answer_front().map(|run| run.reply_to), Some(Some('b')));
    assert!(in_flight.answer_front().is_none() && in_flight.is_empty());
}

#[test]
fn a_fence_falls_when_everything_before_it_is_answered() {
    let mut in_flight = InFlight::default();
    in_flight.push(Run::new(Some('a'), vec![request(3), request(4)], 0));
    let (token, mut fallen) = FenceToken::new();
    in_flight.push_fence(token);
    in_flight.push(Run::new(Some('b'), vec![request(5)], 0));
    in_flight.answer_front();
    assert!(fallen.try_recv().is_err());
    in_flight.answer_front();
    assert!(fallen.try_recv().is_ok());
    assert_eq!(in_flight.len(), 1);
}

#[test]
fn a_fence_falls_at_once_when_nothing_is_in_flight() {
    let mut in_flight = InFlight::<char>::default();
    let (token, mut fallen) = FenceToken::new();
    in_flight.push_fence(token);
    assert!(fallen.try_recv().is_ok());
}

#[test]
fn a_fence_behind_kept_requests_waits_for_them_after_a_loss() {
    let mut in_flight = InFlight::default();
    in_flight.push(Run::new(Some('a'), vec![request(10)], 0));
    let (first, mut first_fallen) = FenceToken::new();
    in_flight.push_fence(first);
    in_flight.push(Run::new(Some('b'), vec![request(20)], 0));
    let (second, mut second_fallen) = FenceToken::new();
    in_flight.push_fence(second);
    let (failed, dropped) = in_flight.fail_written(20);
    assert_eq!((failed.len(), dropped), (1, 0));
    assert!(first_fallen.try_recv().is_ok());
    assert!(second_fallen.try_recv().is_err());
    assert_eq!(in_flight.fail_all().len(), 1);
    assert!(second_fallen.try_recv().is_ok());
}
