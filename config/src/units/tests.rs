use proptest::prelude::*;

use super::*;

fn check_time(text: &str, expected_nanos: Option<u64>) {
    let expected = expected_nanos.map(Duration::from_nanos);
    assert_eq!(parse_duration(text).ok(), expected, "`{text}`");
}

fn check_size(text: &str, expected: Option<usize>) {
    assert_eq!(parse_size(text).ok(), expected, "`{text}`");
}

#[test]
fn times_are_a_number_and_a_unit() {
    check_time("30s", Some(30_000_000_000));
    check_time("250ms", Some(250_000_000));
    check_time("7us", Some(7_000));
    check_time("7ns", Some(7));
    check_time("2m", Some(120_000_000_000));
    check_time("1.5h", Some(5_400_000_000_000));
    check_time(" 3 s ", Some(3_000_000_000));
}

#[test]
fn a_time_without_a_unit_is_in_seconds() {
    check_time("90", Some(90_000_000_000));
    check_time("1.5", Some(1_500_000_000));
    check_time("0", Some(0));
}

#[test]
fn what_is_no_time_is_refused() {
    for text in ["", "s", "-1s", "1d", "1S", "1h30m", ".5s", "5.s", "1.2.3s", "1e3s", "8761h"] {
        check_time(text, None);
    }
    check_time("99999999999999999999h", None);
    check_time("999999999999999999999s", None);
    check_time("8760h", Some(31_536_000_000_000_000));
}

#[test]
fn sizes_are_a_number_and_a_unit_of_1024() {
    check_size("128kb", Some(128 << 10));
    check_size("128k", Some(128 << 10));
    check_size("64mb", Some(64 << 20));
    check_size("1g", Some(1 << 30));
    check_size("2tb", Some(2 << 40));
    check_size("1p", Some(1 << 50));
    check_size("1.5kb", Some(1536));
    check_size("12b", Some(12));
    check_size("12", Some(12));
    check_size("0.3kb", Some(307));
}

#[test]
fn what_is_no_size_is_refused() {
    for text in ["", "kb", "-1kb", "1KB", "1kib", "1eb", "ten", "1,5kb", "99999999999pb"] {
        check_size(text, None);
    }
}

proptest! {
    #[test]
    fn a_written_time_is_read_back(nanos in 0..=31_536_000_000_000_000_u64) {
        let time = Duration::from_nanos(nanos);
        prop_assert_eq!(parse_duration(&duration_text(time)), Ok(time));
    }

    #[test]
    fn a_written_size_is_read_back(bytes: usize, shift in 0..64_u32) {
        let bytes = bytes >> shift << (shift / 2);
        prop_assert_eq!(parse_size(&size_text(bytes)), Ok(bytes));
    }

    #[test]
    fn whole_units_are_written_with_that_unit(count in 1..1000_u64) {
        prop_assert_eq!(duration_text(Duration::from_millis(count * 1000 + 1)), format!("{}ms", count * 1000 + 1));
        prop_assert_eq!(size_text(1023 << 10), "1023kb");
    }

    #[test]
    fn no_text_makes_the_readers_panic(text in ".{0,24}", number in "[0-9.]{0,24}[a-z]{0,2}") {
        for text in [text, number] {
            let _ = parse_duration(&text);
            let _ = parse_size(&text);
        }
    }
}
