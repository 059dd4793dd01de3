//! As much of RESP as simulated clients and servers speak, with no code of the proxy.

/// A reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    Status(String),
    Error(String),
    Integer(i64),
    Bulk(Option<String>),
    Array(Option<Vec<Reply>>),
}

impl Reply {
    pub(crate) fn ok() -> Self {
        Self::Status("OK".to_owned())
    }

    pub(crate) fn error(text: &str) -> Self {
        Self::Error(text.to_owned())
    }

    pub(crate) fn bulk(text: &str) -> Self {
        Self::Bulk(Some(text.to_owned()))
    }

    pub(crate) fn count(count: usize) -> Self {
        Self::Integer(i64::try_from(count).unwrap())
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let text = match self {
            Self::Status(text) => format!("+{text}\r\n"),
            Self::Error(text) => format!("-{text}\r\n"),
            Self::Integer(number) => format!(":{number}\r\n"),
            Self::Bulk(None) => "$-1\r\n".to_owned(),
            Self::Bulk(Some(text)) => format!("${}\r\n{text}\r\n", text.len()),
            Self::Array(None) => "*-1\r\n".to_owned(),
            Self::Array(Some(items)) => format!("*{}\r\n", items.len()),
        };
        out.extend_from_slice(text.as_bytes());
        if let Self::Array(Some(items)) = self {
            for item in items {
                item.encode(out);
            }
        }
    }
}

/// Encodes a request.
pub(crate) fn request<S: AsRef<str>>(args: &[S]) -> Vec<u8> {
    let items = args.iter().map(|arg| Reply::bulk(arg.as_ref())).collect();
    let mut bytes = Vec::new();
    Reply::Array(Some(items)).encode(&mut bytes);
    bytes
}

/// Takes the first whole request off the bytes.
pub(crate) fn take_request(bytes: &mut Vec<u8>) -> Option<Vec<String>> {
    let text = |item| match item {
        Reply::Bulk(Some(text)) => text,
        other => panic!("a request has bulk strings, not {other:?}"),
    };
    match take_reply(bytes)? {
        Reply::Array(Some(items)) => Some(items.into_iter().map(text).collect()),
        other => panic!("a request is an array, not {other:?}"),
    }
}

/// Takes the first whole reply off the bytes.
pub(crate) fn take_reply(bytes: &mut Vec<u8>) -> Option<Reply> {
    let mut at = 0;
    let reply = decode(bytes, &mut at)?;
    bytes.drain(..at);
    Some(reply)
}

fn decode(bytes: &[u8], at: &mut usize) -> Option<Reply> {
    let line = line(bytes, at)?;
    let (kind, rest) = line.split_at(1);
    let number = || rest.parse::<i64>().expect("a number");
    Some(match kind {
        "+" => Reply::Status(rest.to_owned()),
        "-" => Reply::Error(rest.to_owned()),
        ":" => Reply::Integer(number()),
        "$" => match usize::try_from(number()) {
            Ok(len) => Reply::Bulk(Some(bulk(bytes, at, len)?)),
            Err(_) => Reply::Bulk(None),
        },
        "*" => match usize::try_from(number()) {
            Ok(len) => {
                Reply::Array(Some((0..len).map(|_| decode(bytes, at)).collect::<Option<_>>()?))
            }
            Err(_) => Reply::Array(None),
        },
        other => panic!("`{other}` begins no reply"),
    })
}

fn bulk(bytes: &[u8], at: &mut usize, len: usize) -> Option<String> {
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

#[test]
fn replies_come_out_as_they_went_in_at_every_split() {
    let reply = Reply::Array(Some(vec![
        Reply::ok(),
        Reply::error("ERR no"),
        Reply::Integer(-1),
        Reply::Bulk(None),
        Reply::bulk("a\r\nb"),
        Reply::Array(None),
        Reply::Array(Some(Vec::new())),
    ]));
    let mut bytes = Vec::new();
    reply.encode(&mut bytes);
    for split in 0..bytes.len() {
        assert_eq!(take_reply(&mut bytes[..split].to_vec()), None);
    }
    bytes.extend_from_slice(b"+next");
    assert_eq!(take_reply(&mut bytes), Some(reply));
    assert_eq!(bytes, b"+next");
}
