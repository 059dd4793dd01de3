//! Settings in a file of either form: any text, of somebody who has never seen ours.
//!
//! Protects these properties:
//! * no text makes the loader panic or loop;
//! * a place that is told lies within the text;
//! * what it accepts it accepts again, and the same way.
#![no_main]

use config::Loader;
use config::Origin;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((&[form], bytes)) = input.split_first_chunk() else {
        return;
    };
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let name = if form % 2 == 0 { "a.toml" } else { "a.ini" };
    let load = || {
        let mut loader = Loader::new();
        loader.file(name, text);
        loader.finish()
    };
    match (load(), load()) {
        (Ok(first), Ok(second)) => assert_eq!(first.config, second.config),
        (Err(first), Err(second)) => {
            assert_eq!(first.to_string(), second.to_string());
            let lines = text.split('\n').count();
            for problem in first.problems.iter().chain(&first.warnings) {
                if let Origin::File { line, .. } = &problem.origin {
                    assert!((1..=lines).contains(line), "line {line} of {lines}");
                }
            }
        }
        _ => panic!("accepted once and refused once"),
    }
});
