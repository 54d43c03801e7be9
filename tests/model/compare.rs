//! What the machine has on record beside what the reference says, and what must hold at any time.

use super::*;

impl Machine {
    /// After a dispatch nothing is left open, so both must say the same.
    pub(super) fn is_as_the_reference_says(&self) {
        let store = self.open();
        let incidents = store.with(|db| store::list(db, store::Which::All)).unwrap();
        for ((name, text), model) in NAMES.iter().zip(&self.models) {
            let mut recorded = self.failures(&store, *name);
            recorded.retain(|failure| !model.dropped.contains(&failure.0));
            let mut expected: Vec<_> = model.failures.iter().map(shown).collect();
            // what was told is not told anew when it turns final, so the record keeps it as it was told
            recorded.iter_mut().chain(&mut expected).for_each(|failure| failure.2 &= !failure.3);
            expected.sort();
            same(text, "failures: run, how, whether it restarts, whether it spoke", recorded, expected);
            let mut rows: Vec<_> = incidents.iter().filter(|row| row.incident.subject.name() == *text && !row.cleared).collect();
            rows.sort_by_key(|row| row.incident.id);
            let rows = rows.iter().map(|row| (row.incident.state.as_str().to_owned(), row.incident.failures)).collect();
            let expected = model.incidents.iter().filter(|(state, _)| *state != Stands::Cleared);
            let expected = expected.map(|(state, failures)| (format!("{state:?}").to_lowercase(), *failures)).collect();
            same(text, "incidents: state, failures", rows, expected);
            let active = incidents.iter().find(|row| row.incident.subject.name() == *text && row.incident.flaps().is_some());
            let flaps = active.and_then(|row| row.incident.flaps());
            let flaps = flaps.map(|flaps| (flaps.how == Flaps::Alternating, flaps.times as usize, flaps.last));
            let expected = model.flapping.as_ref().map(|flaps| (flaps.alternates, flaps.times, flaps.last));
            same(text, "flapping: whether it alternates, how often, until when", Vec::from_iter(flaps), Vec::from_iter(expected));
        }
    }

    pub(super) fn invariants(&self) {
        let store = self.open();
        let incidents = store.with(|db| store::list(db, store::Which::Active)).unwrap();
        for (name, text) in NAMES {
            let recorded = self.failures(&store, name);
            let mut runs: Vec<_> = recorded.iter().map(|failure| failure.0).filter(|run| *run > 0).collect();
            let all = runs.len();
            runs.dedup();
            assert_eq!(runs.len(), all, "{text}: a run that failed twice: {recorded:?}");
            assert!(
                self.rules.each || self.rules.flapping > 0 || !recorded.iter().any(|failure| failure.2 && failure.3),
                "spoke too soon: {recorded:?}"
            );
            let active = incidents.iter().filter(|row| row.incident.subject.name() == text);
            assert!(active.count() <= 1, "{text}: more than one incident");
        }
        for row in incidents.iter().filter(|row| row.incident.state == sysalert::incident::State::Pending) {
            assert!(!self.by_incident.contains_key(&row.incident.id), "told while pending: {row:?}");
        }
        for (incident, kinds) in &self.by_incident {
            let recoveries = kinds.iter().filter(|kind| **kind == Alert::Recovery).count();
            let in_order = !kinds.is_empty() && (recoveries == 0 || kinds.last() == Some(&Alert::Recovery));
            assert!(in_order && recoveries <= 1, "incident {incident}: {kinds:?}");
        }
    }
}

fn same<T: Debug + PartialEq>(unit: &str, what: &str, actual: Vec<T>, expected: Vec<T>) {
    assert!(actual == expected, "{unit}: {what}\n  sysalert:  {actual:?}\n  reference: {expected:?}");
}

fn shown(failure: &Failure) -> (usize, String, bool, bool) {
    (failure.run, said(failure.how).to_owned(), failure.restarts, failure.spoke)
}
