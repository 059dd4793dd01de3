use super::*;

#[test]
fn the_held_time_is_found_in_both_forms_of_the_log() {
    let held = Some(Duration::from_micros(1234));
    for (line, expected) in [
        (r#"{"msg":"slots filled","held_us":1234,"epoch":7}"#, held),
        ("INFO slots filled, held_us: 1234, epoch: 7", held),
        ("INFO slots not filled", None),
    ] {
        assert_eq!(parse_held(line), expected, "{line}");
    }
}

#[test]
fn columns_are_the_median_the_99th_percentile_and_the_largest() {
    let times: Vec<_> = (1..=1000).rev().map(Duration::from_millis).collect();
    assert_eq!(columns(&times), "501.00 | 991.00 | 1000.00");
    assert_eq!(columns(&[]), "0.00 | 0.00 | 0.00");
}
