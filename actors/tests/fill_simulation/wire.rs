//! As much of RESP as the simulated clients and backends speak.

/// A reply as a client reads it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    Ok,
    Error(String),
    Bulk(String),
    Array(Vec<String>),
}

/// Takes the first whole request off the bytes.
pub(crate) fn take_request(bytes: &mut Vec<u8>) -> Option<Vec<String>> {
    let mut at = 0;
    let request = strings(bytes, &mut at)?;
    bytes.drain(..at);
    Some(request)
}

/// Takes the first whole reply off the bytes.
pub(crate) fn take_reply(bytes: &mut Vec<u8>) -> Option<Reply> {
    let mut at = 0;
    let reply = match bytes.first()? {
        b'*' => Reply::Array(strings(bytes, &mut at)?),
        b'$' => Reply::Bulk(string(bytes, &mut at)?),
        b'+' => line(bytes, &mut at).map(|_| Reply::Ok)?,
        _ => Reply::Error(line(bytes, &mut at)?),
    };
    bytes.drain(..at);
    Some(reply)
}

pub(crate) fn bulk(text: &str) -> String {
    format!("${}\r\n{text}\r\n", text.len())
}

/// An array of bulk strings: a request, or a reply to MGET.
pub(crate) fn array<S: AsRef<str>>(items: &[S]) -> String {
    let items_text: String = items.iter().map(|item| bulk(item.as_ref())).collect();
    format!("*{}\r\n{items_text}", items.len())
}

fn strings(bytes: &[u8], at: &mut usize) -> Option<Vec<String>> {
    let count: usize = line(bytes, at)?[1..].parse().expect("a count");
    (0..count).map(|_| string(bytes, at)).collect()
}

fn string(bytes: &[u8], at: &mut usize) -> Option<String> {
    let len: usize = line(bytes, at)?[1..].parse().expect("a length");
    let text = bytes.get(*at..*at + len + 2)?;
    *at += len + 2;
    Some(String::from_utf8(text[..len].to_vec()).expect("text"))
}

fn line(bytes: &[u8], at: &mut usize) -> Option<String> {
    let rest = bytes.get(*at..)?;
    let end = rest.windows(2).position(|pair| pair == b"\r\n")?;
    *at += end + 2;
    Some(String::from_utf8_lossy(&rest[..end]).into_owned())
}
