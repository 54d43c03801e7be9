use super::*;
use crate::host::journal::Kind;

fn at(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_000_000 + second, 0).unwrap()
}

/// Of a run that began at this second: what the manager says, and how many seconds later.
fn run(second: i64, said: &[(Kind, i64)]) -> Vec<Message> {
    let message = |(kind, after): &(Kind, i64)| Message {
        at: at(second + after),
        kind: *kind,
        invocation: Some(format!("run {second}")),
        result: (*kind == Kind::Failed).then(|| "exit-code".to_owned()),
        ..Message::default()
    };
    said.iter().map(message).collect()
}

/// A job that lasts so long.
fn job(second: i64, lasts: i64) -> Vec<Message> {
    run(second, &[(Kind::Starting, 0), (Kind::Succeeded, lasts), (Kind::Started, lasts)])
}

fn failure(second: i64) -> Vec<Message> {
    run(second, &[(Kind::Starting, 0), (Kind::Exited, 1), (Kind::Failed, 1)])
}

/// What is known when the journal has these messages, oldest first; how many of them are read.
fn looked(journal: &[Message], is_whole: bool) -> (Account, usize) {
    let mut look = Look::new("a.service", journal.last().unwrap().at);
    let read = journal.iter().rev().take_while(|message| look.take((*message).clone())).count();
    (look.account(is_whole), read)
}

#[test]
fn ten_runs_that_ended_well_are_enough() {
    // a long time ago it took an hour
    let mut journal: Vec<Message> = (0..9).flat_map(|number| job(number * 10_000, 3600)).collect();
    journal.extend((10..20).flat_map(|number| job(number * 10_000, number)));
    journal.extend(failure(200_000));
    let (account, read) = looked(&journal, true);
    assert_eq!(read, 33, "the failure and ten runs");
    assert_eq!(usual(&account, at(200_001)), Some(Duration::from_secs(15)));
    assert_eq!(last_success(&account, at(200_001)), Some(at(190_019)));
    let all = runs::account("a.service", &journal);
    assert_eq!(usual(&all, at(200_001)), Some(Duration::from_secs(15)), "the last ten, however many are known");
}

#[test]
fn what_was_stopped_or_failed_is_none_of_the_ten() {
    let mut journal: Vec<Message> = (0..10).flat_map(|number| job(number * 100, 20)).collect();
    for number in 10..20 {
        journal.extend(run(number * 100, &[(Kind::Starting, 0), (Kind::Stopping, 3), (Kind::Succeeded, 4)]));
        journal.extend(failure(number * 100 + 50));
        journal.extend(run(number * 100 + 70, &[(Kind::Starting, 0), (Kind::Succeeded, 1), (Kind::Restarts, 2)]));
    }
    journal.extend(failure(5000));
    let (account, read) = looked(&journal, true);
    assert_eq!(read, journal.len());
    assert_eq!(usual(&account, at(5000)), Some(Duration::from_secs(20)));
    assert_eq!(last_success(&account, at(5000)), Some(at(920)));
}

#[test]
fn what_came_after_the_failure_is_none_of_the_ten() {
    let mut journal: Vec<Message> = (0..10).flat_map(|number| job(number * 100, 20)).collect();
    journal.extend(failure(1000));
    let failed = at(1001);
    journal.extend((20..30).flat_map(|number| job(number * 100, 50)));
    let mut look = Look::new("a.service", failed);
    assert!(journal.iter().rev().all(|message| look.take(message.clone())));
    let account = look.account(true);
    assert_eq!(usual(&account, failed), Some(Duration::from_secs(20)));
    assert_eq!(last_success(&account, failed), Some(at(920)));
}

#[test]
fn a_unit_that_says_much_is_not_followed_to_the_beginning() {
    let mut journal = job(0, 20);
    journal.extend(job(100, 20));
    journal.extend((0..200).flat_map(|number| failure(1000 + number * 10)));
    let (account, read) = looked(&journal, true);
    assert_eq!(read, MESSAGES - 1, "the last one is taken, and no other asked for");
    assert_eq!((usual(&account, at(9000)), last_success(&account, at(9000))), (None, None), "nobody saw one");
    assert_eq!(account.runs.len(), 86);
    assert_eq!((account.runs[0].begun, account.runs[1].begun), (None, Some(at(2150))), "of the oldest one message was read");
}

/// In each row the journal was not read further back than to these messages.
#[test]
fn of_a_run_that_was_read_in_part_nothing_is_said() {
    let success = Some(at(20));
    for (what, oldest, last) in [
        ("its beginning", vec![(Kind::Starting, 0), (Kind::Succeeded, 20), (Kind::Started, 20)], success),
        ("somebody may have stopped it", vec![(Kind::Succeeded, 20), (Kind::Started, 20)], None),
        ("how it ended is older", vec![(Kind::Started, 20)], None),
        ("a daemon: it was up", vec![(Kind::Started, 5), (Kind::Succeeded, 20)], success),
        ("what it used", vec![(Kind::Succeeded, 20), (Kind::Consumed, 20)], None),
    ] {
        let mut journal = run(0, &oldest);
        journal.extend(failure(1000));
        let (account, _) = looked(&journal, false);
        assert_eq!(last_success(&account, at(1001)), last, "{what}");
    }
    // the failure itself
    let (account, _) = looked(&failure(1000)[1..], false);
    assert_eq!(account.runs[0].begun, None);
    assert_eq!(account.runs[0].failures.len(), 1, "what was read of it is known");
}
