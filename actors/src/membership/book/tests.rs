use super::*;

fn slots(numbers: &[u16]) -> Vec<SlotId> {
    numbers.iter().filter_map(|number| SlotId::new(*number)).collect()
}

#[test]
fn slots_are_told_as_ranges() {
    assert_eq!(ranges(&slots(&[0, 1, 2, 7, 9, 10])), "0-2 7 9-10");
    assert_eq!(ranges(&slots(&[1023])), "1023");
    assert_eq!(ranges(&[]), "");
}

#[test]
fn slots_with_the_same_fault_are_one_alarm_until_they_are_in_order() {
    let book = Book::new(&Config::default(), Logger::root(slog::Discard, slog::o!()));
    let fault = |slot, fault| (slot, Some(fault));
    let found = slots(&[1, 2, 3]);
    book.set_faults(found.iter().map(|slot| fault(*slot, Fault::NoPrimary(1))));
    book.set_faults(slots(&[9]).into_iter().map(|slot| fault(slot, Fault::NoSlot)));
    let report = book.report();
    assert_eq!(report.alarm_count, 2);
    let texts: Vec<_> = report.alarms.iter().map(|alarm| alarm.text.as_str()).collect();
    assert!(texts.iter().any(|text| text.starts_with("slots 1-3: group 1 has no primary")));
    assert!(texts.iter().any(|text| text.starts_with("slots 9: no node")));
    assert_eq!(book.faulty(), slots(&[1, 2, 3, 9]));
    book.set_faults(slots(&[1, 2, 3, 9]).into_iter().map(|slot| (slot, None)));
    assert_eq!(book.report().alarm_count, 0);
}

#[test]
fn an_alarm_keeps_its_time_when_its_text_changes() {
    let book = Book::new(&Config::default(), Logger::root(slog::Discard, slog::o!()));
    book.alarm(Subject::Session, "no session".to_owned());
    let since = book.report().alarms[0].since;
    book.alarm(Subject::Session, "still none".to_owned());
    let alarms = book.report().alarms;
    assert_eq!((alarms[0].text.as_str(), alarms[0].since), ("still none", since));
    book.all_clear(Subject::Session);
    assert!(book.report().alarms.is_empty());
}

#[test]
fn more_alarms_than_anyone_reads_are_only_counted() {
    let book = Book::new(&Config::default(), Logger::root(slog::Discard, slog::o!()));
    let faults = SlotId::all().zip(0..).map(|(slot, group)| (slot, Some(Fault::NoGroup(group))));
    book.set_faults(faults);
    let report = book.report();
    assert_eq!((report.alarms.len(), report.alarm_count), (ALARMS_TOLD_MAX, 1024));
}
