use super::*;

fn check(text: &str, expected: u16) {
    let slot = named_slot(text.as_bytes()).expect("the number of a slot");
    assert_eq!(slot.number(), expected, "{text}");
}

fn check_refused(text: &[u8], expected: &str) {
    let error = named_slot(text).expect_err("no number of a slot").to_client();
    assert_eq!(String::from_utf8_lossy(&error), expected);
}

#[test]
fn numbers_are_read_as_codis_reads_them() {
    check("0", 0);
    check("1023", 1023);
    check("+7", 7);
    check("-0", 0);
    check("0042", 42);
}

#[test]
fn what_is_no_slot_gets_the_texts_of_codis() {
    check_refused(b"9999", "ERR parse slotnum '9999' failed, out of range");
    check_refused(b"1024", "ERR parse slotnum '1024' failed, out of range");
    check_refused(b"-1", "ERR parse slotnum '-1' failed, out of range");
    let no_number = |given: &str, shown: &str| {
        format!(
            "ERR parse slotnum '{given}' failed, strconv.ParseInt: parsing \"{shown}\": invalid syntax"
        )
    };
    for text in ["x", "", "-", "1x", " 1", "0x1", "1_0", "+-1", "it's"] {
        check_refused(text.as_bytes(), &no_number(text, text));
    }
    check_refused(b"a\r\nb", &no_number("a  b", "a\\r\\nb"));
    check_refused(b"\"\\", &no_number("\"\\", "\\\"\\\\"));
    check_refused(
        b"9223372036854775808",
        "ERR parse slotnum '9223372036854775808' failed, strconv.ParseInt: parsing \
         \"9223372036854775808\": value out of range",
    );
    let long = named_slot(&[b'x'; 1000]).expect_err("no number").to_client();
    assert!(long.len() < 400, "{} bytes", long.len());
}
