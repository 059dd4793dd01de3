//! Values there and back, and replies that do not become values.

use super::*;
use proptest::prelude::*;

fn decoded(bytes: &str) -> Result<Option<(Value, usize)>, ReplyError> {
    Value::decode(bytes.as_bytes())
}

fn check(bytes: &str, expected: Value) {
    assert_eq!(decoded(&format!("{bytes}+next")), Ok(Some((expected, bytes.len()))), "{bytes:?}");
}

#[test]
fn every_kind_of_reply_is_decoded() {
    let simple = |text: &str| Value::Simple(text.to_owned());
    check("+OK\r\n", simple("OK"));
    check("-ERR no\r\n", Value::Error("ERR no".to_owned()));
    check(":-7\r\n", Value::Integer(-7));
    check("$3\r\na\r\n\r\n", Value::Bulk(b"a\r\n".to_vec()));
    check("$-1\r\n", Value::NullBulk);
    check("*-1\r\n", Value::NullArray);
    check("*2\r\n*0\r\n:1\r\n", Value::Array(vec![Value::Array(vec![]), Value::Integer(1)]));
    check("_\r\n", Value::Null);
    check(",1.5\r\n", Value::Double(1.5));
    check(",-inf\r\n", Value::Double(f64::NEG_INFINITY));
    check("#t\r\n", Value::Boolean(true));
    check("#f\r\n", Value::Boolean(false));
    check("(-12345678901234567890\r\n", Value::BigNumber("-12345678901234567890".to_owned()));
    check("!5\r\nERR a\r\n", Value::BulkError("ERR a".to_owned()));
    check("=6\r\ntxt:ab\r\n", Value::Verbatim { format: *b"txt", text: b"ab".to_vec() });
    check("%1\r\n+a\r\n:1\r\n", Value::Map(vec![(simple("a"), Value::Integer(1))]));
    check("~1\r\n+a\r\n", Value::Set(vec![simple("a")]));
    check(">1\r\n+a\r\n", Value::Push(vec![simple("a")]));
    check("|1\r\n+k\r\n+v\r\n*1\r\n|0\r\n+a\r\n", Value::Array(vec![simple("a")]));
}

#[test]
fn an_incomplete_reply_is_no_value_yet() {
    for bytes in ["", "+OK\r", "$3\r\nab", "*2\r\n:1\r\n", "|1\r\n+k\r\n+v\r\n", "*1000000000\r\n"]
    {
        assert_eq!(decoded(bytes), Ok(None), "{bytes:?}");
    }
}

#[test]
fn contents_against_the_type_are_refused() {
    for bytes in [
        ":x\r\n",
        ":\r\n",
        ":+1\r\n",
        "_x\r\n",
        "#x\r\n",
        ",x\r\n",
        "(\r\n",
        "(-\r\n",
        "(1x\r\n",
        "=3\r\ntxt\r\n",
    ] {
        let kind = bytes.as_bytes()[0];
        assert_eq!(decoded(bytes), Err(ReplyError::Malformed(kind)), "{bytes:?}");
    }
    assert_eq!(decoded("x"), Err(ReplyError::UnknownType(b'x')));
}

#[test]
fn nesting_is_bounded() {
    let nested = |depth| format!("{}:1\r\n", "*1\r\n".repeat(depth));
    assert!(decoded(&nested(NESTING_MAX)).unwrap().is_some());
    assert_eq!(decoded(&nested(NESTING_MAX + 1)), Err(ReplyError::TooDeep(NESTING_MAX)));
    let attributes = format!("{}:1\r\n", "|0\r\n".repeat(100_000));
    assert_eq!(decoded(&attributes), Err(ReplyError::TooDeep(NESTING_MAX)));
}

#[test]
fn bytes_that_are_no_text_are_replaced_only_in_texts() {
    let simple = Value::decode(b"+a\xff\r\n").unwrap().unwrap().0;
    assert_eq!(simple, Value::Simple("a\u{fffd}".to_owned()));
    let bulk = Value::decode(b"$2\r\na\xff\r\n").unwrap().unwrap().0;
    assert_eq!(bulk.as_bytes(), Some(&b"a\xff"[..]));
    assert_eq!(bulk.as_str(), None);
}

#[test]
fn views_give_what_the_value_holds() {
    assert_eq!(Value::Bulk(b"12".to_vec()).as_integer(), Some(12));
    assert_eq!(Value::Integer(3).as_integer(), Some(3));
    assert_eq!(Value::Error("ERR 1".to_owned()).as_integer(), None);
    assert_eq!(Value::Simple("OK".to_owned()).as_str(), Some("OK"));
    assert_eq!(Value::Error("ERR no".to_owned()).as_error(), Some("ERR no"));
    assert_eq!(Value::Set(vec![Value::Null]).as_array(), Some(&[Value::Null][..]));
    assert_eq!(Value::Map(vec![]).as_array(), None);
    assert!([Value::Null, Value::NullBulk, Value::NullArray].iter().all(Value::is_null));
    assert!(!Value::Bulk(Vec::new()).is_null());
}

#[test]
fn a_double_that_is_no_number_survives() {
    let mut bytes = Vec::new();
    Value::Double(f64::NAN).encode(&mut bytes);
    assert_eq!(bytes, b",nan\r\n");
    let decoded = Value::decode(&bytes).unwrap();
    assert!(matches!(decoded, Some((Value::Double(value), 6)) if value.is_nan()));
}

fn any_value() -> impl Strategy<Value = Value> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..20);
    let leaf = prop_oneof![
        "[^\r\n]{0,12}".prop_map(Value::Simple),
        "[^\r\n]{0,12}".prop_map(Value::Error),
        any::<i64>().prop_map(Value::Integer),
        bytes().prop_map(Value::Bulk),
        prop::sample::select(vec![Value::NullBulk, Value::NullArray, Value::Null]),
        prop::num::f64::NORMAL.prop_map(Value::Double),
        any::<bool>().prop_map(Value::Boolean),
        "-?[0-9]{1,30}".prop_map(Value::BigNumber),
        ".{0,12}".prop_map(Value::BulkError),
        ("[a-z]{3}", bytes()).prop_map(|(format, text)| Value::Verbatim {
            format: format.into_bytes().try_into().unwrap(),
            text,
        }),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        let items = || prop::collection::vec(inner.clone(), 0..6);
        let pairs = prop::collection::vec((inner.clone(), inner.clone()), 0..4);
        prop_oneof![
            items().prop_map(Value::Array),
            items().prop_map(Value::Set),
            items().prop_map(Value::Push),
            pairs.prop_map(Value::Map),
        ]
    })
}

proptest! {
    #[test]
    fn a_value_survives_encoding(value in any_value()) {
        let mut bytes = Vec::new();
        value.encode(&mut bytes);
        let len = bytes.len();
        bytes.extend_from_slice(b"+next\r\n");
        let scan = ReplyFramer::default().scan(&bytes);
        prop_assert_eq!(scan, Ok(ReplyScan::Complete { len }));
        prop_assert_eq!(Value::decode(&bytes), Ok(Some((value, len))));
        for end in 0..len {
            prop_assert_eq!(Value::decode(&bytes[..end]), Ok(None), "cut at {}", end);
        }
    }

    #[test]
    fn any_bytes_are_decoded_or_refused(
        bytes in prop::collection::vec(prop::sample::select(b"*$%|+:-_#,(!=~>01\r\nab".to_vec()), 0..60),
    ) {
        if let Ok(Some((_, len))) = Value::decode(&bytes) {
            prop_assert!(len <= bytes.len());
        }
    }
}
