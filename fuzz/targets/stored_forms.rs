//! What strangers store in the nodes of a coordinator: any bytes in the place of any form.
//!
//! Protects these properties:
//! * no bytes make a reader panic or loop;
//! * what was read is written to bytes that are read as the same;
//! * whatever stands among the receivers of an action, it is either this proxy or not.
#![no_main]

use coordinator::NodePath;
use coordinator::codis1;
use coordinator::codis3;
use coordinator::codis3::Stored;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((&[form], bytes)) = input.split_first_chunk() else {
        return;
    };
    match form % 10 {
        0 => check::<codis1::Slot>(bytes),
        1 => check::<codis1::Server>(bytes),
        2 => check::<codis1::Proxy>(bytes),
        3 => check::<codis1::Action>(bytes),
        4 => check::<codis1::Lock>(bytes),
        5 => check::<codis3::Slot>(bytes),
        6 => check::<codis3::Group>(bytes),
        7 => check::<codis3::Dashboard>(bytes),
        8 => check::<codis3::Sentinels>(bytes),
        _ => check::<codis3::Jodis>(bytes),
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        let me = codis1::Proxy { id: "p".to_owned(), pid: 1, ..codis1::Proxy::default() };
        let _ = codis1::is_receiver(&[text.to_owned()], &me);
        let _ = codis1::Sequence::of_name(text);
        if let Some(slot) = codis1::slot_of_name(text) {
            assert_eq!(text, format!("slot_{slot}"));
        }
    }
});

fn check<T: Stored>(bytes: &[u8]) {
    let path = NodePath::root();
    let Ok(value) = T::decode(&path, bytes) else {
        return;
    };
    let written = value.encode();
    let again = T::decode(&path, &written).expect("our own writing can be read");
    assert_eq!(written, again.encode(), "written once more it is the same");
}
