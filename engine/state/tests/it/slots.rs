//! Slots of flows, and the queue for them.

use std::time::Duration;

use weft_state::{Entry, Slot, Slots, Ticket, Turn};

fn granted(entry: Entry) -> Slot {
    match entry {
        Entry::Slot(slot) => slot,
        other => panic!("{other:?}"),
    }
}

fn queued(entry: Entry) -> Ticket {
    match entry {
        Entry::Queued(ticket) => ticket,
        other => panic!("{other:?}"),
    }
}

#[test]
fn no_more_than_the_limit_run_and_the_others_are_told_who() {
    let dir = tempfile::tempdir().unwrap();
    let slots = Slots::new(dir.path(), "company.team", "flow");
    let first = granted(slots.enter(2, "a", false).unwrap());
    let _second = granted(slots.enter(2, "b", false).unwrap());
    let Entry::Full(holders) = slots.enter(2, "c", false).unwrap() else { panic!() };
    assert_eq!(holders, ["a", "b"]);
    // Another flow has slots of its own; a higher limit has one more.
    granted(Slots::new(dir.path(), "company.team", "other").enter(1, "o", false).unwrap());
    granted(slots.enter(3, "c", false).unwrap());
    drop(first);
    granted(slots.enter(2, "d", false).unwrap());
}

#[test]
fn the_queue_is_first_come_first_served() {
    let dir = tempfile::tempdir().unwrap();
    let slots = Slots::new(dir.path(), "n", "f");
    let running = granted(slots.enter(1, "a", true).unwrap());
    let (first, second) =
        (queued(slots.enter(1, "b", true).unwrap()), queued(slots.enter(1, "c", true).unwrap()));
    assert!(matches!(slots.turn_of(&first, 1, "b").unwrap(), Turn::First));
    let Turn::Behind(ahead) = slots.turn_of(&second, 1, "c").unwrap() else { panic!() };
    drop(running);
    // One who comes now does not get the free slot before those who wait.
    let third = queued(slots.enter(1, "d", true).unwrap());
    let Turn::Slot(slot) = slots.turn_of(&first, 1, "b").unwrap() else { panic!() };
    let waiting = std::thread::spawn(move || ahead.wait().unwrap());
    std::thread::sleep(Duration::from_millis(20));
    assert!(!waiting.is_finished());
    drop(first);
    waiting.join().unwrap();
    assert!(matches!(slots.turn_of(&second, 1, "c").unwrap(), Turn::First));
    // Somebody in the middle who leaves makes nobody wait.
    drop(second);
    drop(slot);
    assert!(matches!(slots.turn_of(&third, 1, "d").unwrap(), Turn::Slot(_)));
}

#[test]
fn what_the_dead_left_is_in_nobodys_way() {
    let dir = tempfile::tempdir().unwrap();
    let slots = Slots::new(dir.path(), "n", "f");
    let place = dir.path().join("concurrency/n/f");
    std::fs::create_dir_all(&place).unwrap();
    // Files that nobody locks: their holders are gone.
    std::fs::write(place.join("slot-0000000000"), "dead").unwrap();
    std::fs::write(place.join("ticket-00000000000000000007"), "").unwrap();
    std::fs::write(place.join("ticket-x"), "").unwrap();
    let _slot = granted(slots.enter(1, "a", true).unwrap());
    assert!(!place.join("ticket-00000000000000000007").exists());
    let ticket = queued(slots.enter(1, "b", true).unwrap());
    assert!(matches!(slots.turn_of(&ticket, 1, "b").unwrap(), Turn::First));
}
