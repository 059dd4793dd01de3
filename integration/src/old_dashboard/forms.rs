//! The JSON of the nodes, in one line and with its members in the order in which the originals
//! write them. Written apart from the proxy's own forms, so that one mistake cannot hide in both.

use serde_json::Value;

use super::PRODUCT;

/// A text as JSON has it.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

fn text_of(value: &Value, member: &str) -> Result<String, String> {
    let text = value.get(member).and_then(Value::as_str).map(str::to_owned);
    text.ok_or_else(|| format!("no text `{member}` in {value}"))
}

fn number_of<N: TryFrom<i64>>(value: &Value, member: &str) -> Result<N, String> {
    let number = value.get(member).and_then(Value::as_i64);
    let number = number.and_then(|number| N::try_from(number).ok());
    number.ok_or_else(|| format!("no number `{member}` in {value}"))
}

fn parse(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| format!("{error}: {text}"))
}

/// A slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotForm {
    /// Its number.
    pub id: usize,
    /// The group that has it, or to which it migrates; -1 for none.
    pub group_id: i32,
    /// `offline`, `online`, `pre_migrate` or `migrate`.
    pub status: String,
    /// The group from which it migrates; -1 for none.
    pub source: i32,
    /// The group to which it migrates; -1 for none.
    pub target: i32,
}

impl SlotForm {
    /// A slot that nobody has.
    #[must_use]
    pub fn offline(id: usize) -> Self {
        Self { id, group_id: -1, status: "offline".to_owned(), source: -1, target: -1 }
    }

    /// A slot that a group has.
    #[must_use]
    pub fn online(id: usize, group_id: i32) -> Self {
        Self { id, group_id, status: "online".to_owned(), source: -1, target: -1 }
    }

    /// A slot that a group has, and that is about to leave it.
    #[must_use]
    pub fn pre_migrate(id: usize, group_id: i32) -> Self {
        Self { status: "pre_migrate".to_owned(), ..Self::online(id, group_id) }
    }

    /// A slot on its way.
    #[must_use]
    pub fn migrate(id: usize, source: i32, target: i32) -> Self {
        Self { id, group_id: target, status: "migrate".to_owned(), source, target }
    }

    /// As it is stored.
    #[must_use]
    pub fn json(&self) -> String {
        let Self { id, group_id, status, source, target } = self;
        format!(
            "{{\"product_name\":\"{PRODUCT}\",\"id\":{id},\"group_id\":{group_id},\"state\":\
             {{\"status\":{},\"migrate_status\":{{\"from\":{source},\"to\":{target}}},\
             \"last_op_ts\":\"0\"}}}}",
            quoted(status)
        )
    }

    /// What was stored.
    ///
    /// # Errors
    /// What is missing.
    pub fn parse(text: &str) -> Result<Self, String> {
        let value = parse(text)?;
        let state = value.get("state").cloned().unwrap_or_default();
        let migrate = state.get("migrate_status").cloned().unwrap_or_default();
        Ok(Self {
            id: number_of(&value, "id")?,
            group_id: number_of(&value, "group_id")?,
            status: text_of(&state, "status")?,
            source: number_of(&migrate, "from")?,
            target: number_of(&migrate, "to")?,
        })
    }
}

/// A server of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerForm {
    /// `master`, `slave` or `offline`.
    pub kind: String,
    /// Its group.
    pub group_id: i32,
    /// Its address.
    pub addr: String,
}

impl ServerForm {
    /// A server.
    #[must_use]
    pub fn new(kind: &str, group_id: i32, addr: &str) -> Self {
        Self { kind: kind.to_owned(), group_id, addr: addr.to_owned() }
    }

    /// As it is stored.
    #[must_use]
    pub fn json(&self) -> String {
        let Self { kind, group_id, addr } = self;
        let (kind, addr) = (quoted(kind), quoted(addr));
        format!("{{\"type\":{kind},\"group_id\":{group_id},\"addr\":{addr}}}")
    }

    /// What was stored.
    ///
    /// # Errors
    /// What is missing.
    pub fn parse(text: &str) -> Result<Self, String> {
        let value = parse(text)?;
        Ok(Self {
            kind: text_of(&value, "type")?,
            group_id: number_of(&value, "group_id")?,
            addr: text_of(&value, "addr")?,
        })
    }
}

/// A group, as actions have it.
#[must_use]
pub fn group_json(id: i32, servers: &[ServerForm]) -> String {
    let servers: Vec<String> = servers.iter().map(ServerForm::json).collect();
    let servers =
        if servers.is_empty() { "null".to_owned() } else { format!("[{}]", servers.join(",")) };
    format!("{{\"id\":{id},\"product_name\":\"{PRODUCT}\",\"servers\":{servers}}}")
}

/// A range of slots, as actions have it.
#[must_use]
pub fn range_json(first: i32, last: i32, status: &str, group_id: i32) -> String {
    let status = quoted(status);
    format!("{{\"from\":{first},\"to\":{last},\"status\":{status},\"group_id\":{group_id}}}")
}

/// A proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyForm {
    /// Its name.
    pub id: String,
    /// Where clients connect: the name of the host, and the port.
    pub addr: String,
    /// Not used by anybody.
    pub last_event: String,
    /// Not used by anybody.
    pub last_event_ts: i64,
    /// `offline`, `online` or `mark_offline`.
    pub state: String,
    /// Not used by anybody.
    pub description: String,
    /// Where it tells its numbers.
    pub debug_var_addr: String,
    /// Its process.
    pub pid: i64,
    /// Tells it from those that had its name before.
    pub start_at: String,
}

impl ProxyForm {
    /// As a dashboard stores it.
    #[must_use]
    pub fn json(&self) -> String {
        let [id, addr, event, state] =
            [&self.id, &self.addr, &self.last_event, &self.state].map(|text| quoted(text));
        let [description, debug_var_addr, start_at] =
            [&self.description, &self.debug_var_addr, &self.start_at].map(|text| quoted(text));
        let (event_ts, pid) = (self.last_event_ts, self.pid);
        format!(
            "{{\"id\":{id},\"addr\":{addr},\"last_event\":{event},\"last_event_ts\":{event_ts},\
             \"state\":{state},\"description\":{description},\
             \"debug_var_addr\":{debug_var_addr},\"pid\":{pid},\"start_at\":{start_at}}}"
        )
    }

    /// What was stored.
    ///
    /// # Errors
    /// What is missing.
    pub fn parse(text: &str) -> Result<Self, String> {
        let value = parse(text)?;
        Ok(Self {
            id: text_of(&value, "id")?,
            addr: text_of(&value, "addr")?,
            last_event: text_of(&value, "last_event")?,
            last_event_ts: number_of(&value, "last_event_ts")?,
            state: text_of(&value, "state")?,
            description: text_of(&value, "description")?,
            debug_var_addr: text_of(&value, "debug_var_addr")?,
            pid: number_of(&value, "pid")?,
            start_at: text_of(&value, "start_at")?,
        })
    }
}

/// An action. The receivers are texts, of which each is a proxy's JSON.
#[must_use]
pub fn action_json(kind: &str, target: &str, receivers: &[String], now_seconds: u64) -> String {
    let kind = quoted(kind);
    let receivers: Vec<String> = receivers.iter().map(|receiver| quoted(receiver)).collect();
    let receivers =
        if receivers.is_empty() { "null".to_owned() } else { format!("[{}]", receivers.join(",")) };
    format!(
        "{{\"type\":{kind},\"desc\":\"\",\"target\":{target},\"ts\":\"{now_seconds}\",\
         \"receivers\":{receivers}}}"
    )
}
