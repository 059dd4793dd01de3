//! What proxies are told about the slots of a batch, and what they have.

use config::SlotForm;
use routing::slot_move::MoveForm;
use routing::{BackendAddr, SlotId};

use crate::job::{Batch, Job};

/// Where a slot's keys are, as all proxies say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// On this server, of this group. Some may be on the target already.
    Source(BackendAddr, u32),
    /// On the target, all of them.
    Target,
}

/// Finds out where a slot's keys are.
///
/// # Errors
/// It cannot be moved: why, and what to do.
pub(crate) fn origin(
    slot: SlotId,
    seen: &[(&str, &SlotForm)],
    target: &BackendAddr,
) -> Result<Origin, String> {
    let Some(((first_name, first), others)) = seen.split_first() else {
        return Err("no proxy was asked".to_owned());
    };
    let place = |form: &SlotForm| (form.backend_addr.clone(), form.migrate_from.clone());
    if let Some((name, other)) = others.iter().find(|(_, other)| place(other) != place(first)) {
        let (one, two) = (words(first), words(other));
        return Err(format!(
            "slot {slot} is {one} for {first_name} and {two} for {name}: fill it alike first"
        ));
    }
    if first.backend_addr.is_empty() {
        return Err(format!("slot {slot} is offline: fill it first, there is nothing to move"));
    }
    let is_on_target = first.backend_addr == target.as_str();
    let (text, group) = if first.migrate_from.is_empty() {
        if let Some((name, _)) = seen.iter().find(|(_, form)| form.locked) {
            return Err(format!(
                "slot {slot} is locked at {name}: whoever locked it has to unlock it first"
            ));
        }
        if is_on_target {
            return Ok(Origin::Target);
        }
        (&first.backend_addr, first.backend_addr_group_id)
    } else if is_on_target {
        // A move that was given up, or that has left something: it is taken up again.
        (&first.migrate_from, first.migrate_from_group_id)
    } else {
        let words = words(first);
        return Err(format!("slot {slot} is already {words}: finish that first"));
    };
    let source = text.parse().map_err(|_| format!("slot {slot} has no usable address"))?;
    Ok(Origin::Source(source, u32::try_from(group).unwrap_or(0)))
}

fn words(form: &SlotForm) -> String {
    match (form.backend_addr.as_str(), form.migrate_from.as_str()) {
        ("", _) => "offline".to_owned(),
        (primary, "") => format!("on {primary}"),
        (primary, source) => format!("migrating from {source} to {primary}"),
    }
}

/// Whether the proxies still have what this move has told them, now that it relies on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Agreed {
    /// They have.
    Yes,
    /// Sentinels have replaced the target, and every proxy knows.
    Replaced(BackendAddr),
}

/// Compares what proxies have with what they were told: `source` and `target` of the keys. While
/// slots are being finished some proxies may have forgotten the source.
///
/// # Errors
/// Somebody else has changed a slot.
pub(crate) fn agreed<'f>(
    forms: impl Iterator<Item = (&'f str, &'f SlotForm)>,
    source: &BackendAddr,
    target: &BackendAddr,
    group: u32,
    is_finishing: bool,
) -> Result<Agreed, String> {
    let mut replaced: Option<&str> = None;
    let mut has_old = false;
    for (name, form) in forms {
        let is_migrating = form.migrate_from == source.as_str() && !form.locked;
        let is_finished = is_finishing && form.migrate_from.is_empty() && !form.locked;
        let is_of_group = group > 0 && form.backend_addr_group_id == i64::from(group);
        let is_new = is_of_group && replaced.is_none_or(|seen| seen == form.backend_addr);
        if !(is_migrating || is_finished) {
            return Err(changed(name, form));
        } else if form.backend_addr == target.as_str() {
            has_old = true;
        } else if is_new && !form.backend_addr.is_empty() {
            replaced = Some(&form.backend_addr);
        } else {
            return Err(changed(name, form));
        }
    }
    match replaced {
        None => Ok(Agreed::Yes),
        Some(_) if has_old => {
            Err(format!("some proxies have another primary than {target} by now, others not"))
        }
        Some(text) => text.parse().map(Agreed::Replaced).map_err(|_| "no address".to_owned()),
    }
}

fn changed(name: &str, form: &SlotForm) -> String {
    let (slot, words) = (form.id, words(form));
    let locked = if form.locked { ", locked" } else { "" };
    format!(
        "slot {slot} is {words}{locked} for {name}, not as this move has filled it: fill it back"
    )
}

/// What one proxy is told about the slots of a batch.
pub(crate) fn forms(job: &Job, batch: &Batch, proxy: &str, form: MoveForm) -> Vec<SlotForm> {
    let before = batch.before.get(proxy);
    let slots = batch.slots.iter();
    let of_slot = |slot: SlotId| {
        let before = before.and_then(|forms| forms.iter().find(|form| form.id == slot.number()));
        one_form(job, batch, slot, before, form)
    };
    slots.map(of_slot).collect()
}

fn one_form(
    job: &Job,
    batch: &Batch,
    slot: SlotId,
    before: Option<&SlotForm>,
    form: MoveForm,
) -> SlotForm {
    let source = (&batch.source, batch.source_group);
    let target = (&job.target, job.target_group);
    let (primary, other) = if batch.is_turned { (source, target) } else { (target, source) };
    let forward_method = before.map_or(0, |before| before.forward_method);
    let alone = |(addr, group): (&BackendAddr, u32)| SlotForm {
        id: slot.number(),
        backend_addr: addr.to_string(),
        backend_addr_group_id: group.into(),
        forward_method,
        ..SlotForm::default()
    };
    let migrating = |to: (&BackendAddr, u32), from: (&BackendAddr, u32), locked| SlotForm {
        locked,
        migrate_from: from.0.to_string(),
        migrate_from_group_id: from.1.into(),
        migrate_keeps_target: batch.keeps_target && to.0 == &job.target,
        forward_method: batch.forward_method,
        ..alone(to)
    };
    match form {
        MoveForm::Locked => migrating(primary, other, true),
        MoveForm::Migrating => migrating(primary, other, false),
        MoveForm::Unturned => migrating(other, primary, false),
        MoveForm::Target => alone(primary),
        // What was migrating before the move, and has come back whole, migrates no more.
        MoveForm::Before => match before {
            Some(before) if !batch.is_turned || before.migrate_from.is_empty() => before.clone(),
            _ => alone(source),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(text: &str) -> SlotForm {
        serde_json::from_str(text).unwrap()
    }

    #[expect(clippy::needless_pass_by_value, reason = "it reads better where it is called")]
    fn check(seen: &[&str], expected: Result<Origin, &str>) {
        let forms: Vec<SlotForm> = seen.iter().map(|text| form(text)).collect();
        let names = ["p:1", "p:2"];
        let seen: Vec<(&str, &SlotForm)> = names.into_iter().zip(&forms).collect();
        let origin = origin(SlotId::new(7).unwrap(), &seen, &"t:1".parse().unwrap());
        assert_eq!(
            origin.as_ref().map_err(String::as_str),
            expected.as_ref().map_err(|text| *text)
        );
    }

    #[test]
    fn where_keys_are_is_what_all_proxies_say() {
        let source = |addr: &str, group| Ok(Origin::Source(addr.parse().unwrap(), group));
        let plain = r#"{"id":7,"backend_addr":"s:1","backend_addr_group_id":3}"#;
        let migrating =
            r#"{"id":7,"backend_addr":"t:1","migrate_from":"s:1","migrate_from_group_id":3}"#;
        check(&[plain, plain], source("s:1", 3));
        check(&[migrating, migrating], source("s:1", 3));
        check(&[r#"{"id":7,"backend_addr":"t:1"}"#], Ok(Origin::Target));
        let text = "slot 7 is on s:1 for p:1 and migrating from s:1 to t:1 for p:2: \
                    fill it alike first";
        check(&[plain, migrating], Err(text));
    }

    #[test]
    fn what_cannot_be_moved_is_told_with_what_to_do() {
        check(&[r#"{"id":7}"#], Err("slot 7 is offline: fill it first, there is nothing to move"));
        let other = r#"{"id":7,"backend_addr":"u:1","migrate_from":"s:1"}"#;
        check(&[other], Err("slot 7 is already migrating from s:1 to u:1: finish that first"));
        let locked = r#"{"id":7,"backend_addr":"s:1","locked":true}"#;
        let text = "slot 7 is locked at p:1: whoever locked it has to unlock it first";
        check(&[locked], Err(text));
    }

    #[test]
    fn what_others_have_changed_meanwhile_is_seen() {
        let (source, target) = ("s:1".parse().unwrap(), "t:1".parse().unwrap());
        let check = |forms: &[&str], is_finishing, expected: Result<Agreed, &str>| {
            let forms: Vec<SlotForm> = forms.iter().map(|text| form(text)).collect();
            let named = forms.iter().map(|form| ("p:1", form));
            let agreed = agreed(named, &source, &target, 3, is_finishing);
            let expected = expected.map_err(str::to_owned);
            assert_eq!(agreed, expected);
        };
        let told = r#"{"id":7,"backend_addr":"t:1","migrate_from":"s:1"}"#;
        let finished = r#"{"id":7,"backend_addr":"t:1"}"#;
        let new = r#"{"id":7,"backend_addr":"u:1","backend_addr_group_id":3,"migrate_from":"s:1"}"#;
        check(&[told, told], false, Ok(Agreed::Yes));
        check(&[told, finished], true, Ok(Agreed::Yes));
        let text = "slot 7 is on t:1 for p:1, not as this move has filled it: fill it back";
        check(&[told, finished], false, Err(text));
        check(&[new, new], false, Ok(Agreed::Replaced("u:1".parse().unwrap())));
        let text = "some proxies have another primary than t:1 by now, others not";
        check(&[told, new], false, Err(text));
        let other = r#"{"id":7,"backend_addr":"u:1","migrate_from":"s:1"}"#;
        let text = "slot 7 is migrating from s:1 to u:1 for p:1, not as this move has filled it: \
                    fill it back";
        check(&[other], false, Err(text));
    }
}
