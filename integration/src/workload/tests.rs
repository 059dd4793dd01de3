use super::requests::Shape;
use super::*;
use crate::history::{Answer, HistoryKey, Operation};

fn request(shape: Shape, keys: usize, is_split: bool) -> Request {
    let key = HistoryKey { database: 0, name: b"key".to_vec() };
    Request { arguments: Vec::new(), parts: vec![(key, Operation::Get); keys], shape, is_split }
}

#[track_caller]
fn check(request: &Request, reply: &[u8], expected: &[Outcome]) {
    assert_eq!(outcomes(request, Some(Value::read(reply))), expected, "{}", reply.escape_ascii());
}

#[test]
fn a_reply_says_something_of_each_key() {
    let answered = Outcome::Answered;
    let one = request(Shape::One, 1, false);
    check(&one, b"+OK\r\n", &[answered(Answer::Done)]);
    check(&one, b":3\r\n", &[answered(Answer::Number(3))]);
    check(&one, b"$2\r\n17\r\n", &[answered(Answer::Value(Some(17)))]);
    check(&one, b"*2\r\n$1\r\n4\r\n$1\r\n2\r\n", &[answered(Answer::Values(vec![4, 2]))]);
    let each = request(Shape::Each, 2, true);
    let expected = [answered(Answer::Value(None)), answered(Answer::Value(Some(2)))];
    check(&each, b"*2\r\n$-1\r\n$1\r\n2\r\n", &expected);
    let sum = request(Shape::Sum, 2, true);
    for (reply, answer) in [
        (b":0\r\n", Answer::Number(0)),
        (b":1\r\n", Answer::Untold),
        (b":2\r\n", Answer::Number(1)),
    ] {
        check(&sum, reply, &[answered(answer.clone()), answered(answer)]);
    }
    check(
        &request(Shape::All, 2, true),
        b"+OK\r\n",
        &[answered(Answer::Done), answered(Answer::Done)],
    );
}

#[test]
fn an_error_says_whether_anything_was_executed() {
    let one = request(Shape::One, 1, false);
    check(&one, b"-TRYAGAIN key is being moved\r\n", &[Outcome::NotExecuted]);
    check(&one, b"-ERR backend is down, the request was not sent\r\n", &[Outcome::NotExecuted]);
    check(&one, b"-ERR backend connection was lost\r\n", &[Outcome::Unknown]);
    assert_eq!(outcomes(&one, None), [Outcome::Unknown]);
    // Other parts of it may have been executed.
    let split = request(Shape::All, 2, true);
    check(&split, b"-TRYAGAIN key is being moved\r\n", &[Outcome::Unknown, Outcome::Unknown]);
}

#[test]
fn a_seed_gives_the_same_requests_again() {
    let requests = || -> Vec<Vec<Vec<u8>>> {
        let keys = Keys::new(&["a", "b", "c"]);
        let mut random = Random::new(7);
        (0..100).map(|_| keys.request(1, &mut random).arguments).collect()
    };
    assert_eq!(requests(), requests());
}
