use bytes::Bytes;
use config::Secret;

use super::*;

fn words(request: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(request);
    text.split("\r\n").skip(2).step_by(2).map(str::to_owned).collect()
}

fn migrate(user: &str, password: &str, replaces: bool) -> String {
    let target = "[::1]:6380".parse().unwrap();
    let credentials = Credentials { user: user.to_owned(), password: Secret::new(password) };
    let keys = [(3, Bytes::from_static(b"k")), (3, Bytes::from_static(b""))];
    let migrate = Migrate {
        target: &target,
        credentials: &credentials,
        database: 3,
        timeout_ms: "3000",
        replaces,
        keys: &keys,
    };
    words(&migrate.encode()).join(" ")
}

#[test]
fn a_migrate_names_the_target_its_credentials_and_all_keys() {
    assert_eq!(migrate("", "", true), "MIGRATE ::1 6380  3 3000 REPLACE KEYS k ");
    assert_eq!(migrate("", "p", true), "MIGRATE ::1 6380  3 3000 REPLACE AUTH p KEYS k ");
    assert_eq!(migrate("u", "p", false), "MIGRATE ::1 6380  3 3000 AUTH2 u p KEYS k ");
}

#[test]
fn the_words_of_codis_have_the_forms_that_its_servers_know() {
    let target = "127.0.0.1:16382".parse().unwrap();
    assert_eq!(
        tag_one(&target, "3000", b"{t}k"),
        b"*5\r\n$15\r\nSLOTSMGRTTAGONE\r\n$9\r\n127.0.0.1\r\n$5\r\n16382\r\n$4\r\n3000\r\n$4\r\n{t}k\r\n"
    );
    let frame = b"*3\r\n$3\r\nSeT\r\n$1\r\nk\r\n$2\r\n\r\n\r\n";
    let mut spans = Vec::new();
    let mut framer = resp::request::RequestFramer::new(resp::request::RequestLimits::default());
    framer.next(frame, &mut spans).unwrap();
    assert_eq!(
        exec_wrapper(b"k", &Args::new(frame, &spans)),
        b"*5\r\n$22\r\nSLOTSMGRT-EXEC-WRAPPER\r\n$1\r\nk\r\n$3\r\nSeT\r\n$1\r\nk\r\n$2\r\n\r\n\r\n"
    );
}

#[test]
fn a_method_is_chosen_by_what_the_server_has_and_the_slot_asks_for() {
    let entry = "*2\r\n$1\r\nx\r\n:1\r\n";
    let stock = Abilities::read(format!("*3\r\n{entry}*-1\r\n*-1\r\n").as_bytes());
    let codis = Abilities::read(format!("*3\r\n{entry}{entry}{entry}").as_bytes());
    let codis_2 = Abilities::read(format!("*3\r\n{entry}{entry}$-1\r\n").as_bytes());
    let old = Abilities::read(b"-ERR unknown command 'COMMAND'\r\n");
    let methods = |abilities: Abilities| [false, true].map(|asked| abilities.method(asked));
    assert_eq!(methods(stock), [MoveMethod::Migrate; 2]);
    assert_eq!(methods(codis), [MoveMethod::Sync, MoveMethod::SemiAsync]);
    assert_eq!(methods(codis_2), [MoveMethod::Sync; 2]);
    assert_eq!(methods(old), [MoveMethod::Sync, MoveMethod::SemiAsync]);
}

#[test]
fn only_a_clear_answer_lets_go_of_keys() {
    let read = |method, answer: &[u8]| MoveAnswer::read(method, answer);
    assert_eq!(read(MoveMethod::Migrate, b"+OK\r\n"), MoveAnswer::LetGo);
    assert_eq!(read(MoveMethod::Migrate, b"+NOKEY\r\n"), MoveAnswer::LetGo);
    assert_eq!(read(MoveMethod::Sync, b":0\r\n"), MoveAnswer::LetGo);
    assert_eq!(read(MoveMethod::Sync, b":2\r\n"), MoveAnswer::LetGo);
    let ioerr = b"-IOERR error or timeout writing to target\r\n";
    let unreachable = MoveAnswer::Unreachable("IOERR error or timeout writing to target".into());
    assert_eq!(read(MoveMethod::Migrate, ioerr), unreachable);
    assert_eq!(read(MoveMethod::Sync, ioerr), unreachable);
    let busy =
        b"-ERR Target instance replied with error: BUSYKEY Target key name already exists.\r\n";
    assert_eq!(read(MoveMethod::Migrate, busy), MoveAnswer::TargetHasIt);
    let failed = |text: &str| MoveAnswer::Failed(text.to_owned());
    assert_eq!(read(MoveMethod::Migrate, b"-NOPERM no\r\n"), failed("NOPERM no"));
    let wrong = "should be integer, but got <string>";
    assert_eq!(read(MoveMethod::Sync, b"+OK\r\n"), failed(wrong));
    assert_eq!(
        refusal_text(Dialect::Codis3, MoveMethod::Sync, wrong),
        "ERR handle request, bad slotsmgrt resp: should be integer, but got <string>"
    );
}

#[test]
fn a_wrapped_request_is_answered_by_its_second_element() {
    let absent = b"*2\r\n:0\r\n-ERR the specified key doesn't exist\r\n";
    assert_eq!(ExecAnswer::read(absent), ExecAnswer::LetGo);
    let moving = b"*2\r\n:1\r\n-ERR the specified key is being migrated\r\n";
    assert_eq!(ExecAnswer::read(moving), ExecAnswer::Moving);
    for reply in ["$3\r\na\r\n\r\n", "$-1\r\n", "-WRONGTYPE no\r\n", "*2\r\n:1\r\n*-1\r\n"] {
        for status in ["2", "-1"] {
            let answer = format!("*2\r\n:{status}\r\n{reply}");
            let ExecAnswer::Reply(range) = ExecAnswer::read(answer.as_bytes()) else {
                panic!("{answer}");
            };
            assert_eq!(&answer[range], reply);
        }
    }
    let failed = |answer: &[u8]| match ExecAnswer::read(answer) {
        ExecAnswer::Failed(text) => refusal_text(Dialect::Codis3, MoveMethod::SemiAsync, &text),
        other => panic!("{other:?}"),
    };
    let prefix = "ERR handle request, bad slotsmgrt-exec-wrapper resp: ";
    assert_eq!(failed(b"-ERR boom\r\n"), format!("{prefix}ERR boom"));
    assert_eq!(
        failed(b"*2\r\n:17\r\n+x\r\n"),
        format!("{prefix}type(array[0]) = <int>, len(array[0].value) = 2")
    );
    assert_eq!(failed(b":1\r\n"), format!("{prefix}should be array, but got <int>"));
}
