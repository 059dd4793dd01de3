use super::*;

#[test]
fn base64_is_decoded_whatever_its_padding() {
    let check = |text: &str, expected: &[u8]| assert_eq!(decode_base64(text), expected, "{text}");
    check("", b"");
    check("Zg==", b"f");
    check("Zm8=", b"fo");
    check("Zm9vYmFy", b"foobar");
    check("/+8=", &[0xff, 0xef]);
}
