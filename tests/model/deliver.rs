//! Dispatch runs, and what it sends is what the reference expects.

use super::*;

impl Machine {
    pub(super) fn dispatch(&mut self, sends: bool) {
        let now = self.now;
        let settings = Settings::read(&self.files).unwrap();
        let complete = Complete { now, synced: Some(now) };
        let gathering = Gathering { world: &self.world, now, complete: Some(now) };
        let mut store = self.open();
        pipeline::settle(&self.site, &mut store, None, gathering, &|| Settings::read(&self.files)).unwrap();
        pipeline::due(&mut store, &settings, now).unwrap();
        dispatch::gather(&mut store, &settings, &self.world, complete).unwrap();
        if self.rules.silences {
            dispatch::collect(&mut store, &settings, now).unwrap();
        }
        let got = Mutex::new(Vec::new());
        let send = |_: &Site, _: &Method, envelope: Envelope| {
            got.lock().unwrap().push(envelope.request);
            if sends { Answer::Sent(String::new()).into() } else { Answer::Retry("busy".into(), None).into() }
        };
        let outside = Outside { clock: &|| now, dice: &|| 0.5, render: &|work, _| dispatch::own_words::here(work), send: &send };
        dispatch::deliver(&self.site, &mut store, &settings, outside, &mut |_, _| Ok(())).unwrap();
        if self.rules.silences {
            return self.keeps_silent(got.into_inner().unwrap(), sends);
        }
        for model in &mut self.models {
            model.look(self.rules, now);
            model.remind(self.rules, now);
        }
        for request in got.into_inner().unwrap() {
            let (name, _) = NAMES.iter().find(|(_, text)| *text == request.service_name).unwrap();
            let model = &mut self.models[*name as usize];
            let unsent = &mut model.unsent;
            let told = match request.kind {
                Alert::Recovery => Told::Recovery,
                Alert::Reminder => Told::Reminder,
                _ => Told::Failure,
            };
            // a recovery tells what was not told before
            let recovery = unsent.iter().position(|told| *told == Told::Recovery);
            let next = recovery.map_or(unsent.first(), |at| unsent.get(at));
            assert_eq!(Some(&told), next, "the next message about {}", request.service_name);
            if sends {
                unsent.drain(..=recovery.unwrap_or(0));
                if unsent.is_empty() {
                    model.last = model.last.map(|_| now);
                }
                self.by_incident.entry(request.incident.unwrap().id).or_default().push(request.kind);
            } else {
                self.refused = Some(now);
            }
        }
        // the longest pause after a refusal is a quarter of an hour
        if sends && self.refused.is_none_or(|at| now - at > TimeDelta::minutes(15)) {
            self.refused = None;
            for ((_, text), model) in NAMES.iter().zip(&self.models) {
                assert_eq!(model.unsent, [], "not sent about {text}");
            }
        }
        self.is_as_the_reference_says();
    }

    /// While a unit is silenced nothing is told of it but the recovery of what was told.
    fn keeps_silent(&mut self, got: Vec<Request>, sends: bool) {
        for request in got {
            let (name, text) = NAMES.iter().find(|(_, text)| *text == request.service_name).unwrap();
            let told = self.by_incident.entry(request.incident.unwrap().id).or_default();
            let is_awaited = request.kind == Alert::Recovery && !told.is_empty();
            let is_silenced = self.silenced[*name as usize].is_some_and(|until| self.now < until);
            assert!(is_awaited || !is_silenced, "{:?} about {text}, which is silenced", request.kind);
            if sends {
                told.push(request.kind);
            }
        }
        self.by_incident.retain(|_, told| !told.is_empty());
        let now = self.now;
        self.models.iter_mut().for_each(|model| model.look(self.rules, now));
    }

    /// When no silence holds any more, everything was told that is not over, and every recovery of what was told.
    pub fn end_of_silences(&mut self) {
        self.silenced = [None; 3];
        for wait in [3600, 3600] {
            self.step(&Step(wait, What::Dispatch { sends: true }));
        }
        let store = self.open();
        assert_eq!(store.with(store::count_undecided).unwrap(), 0, "undecided in the end");
        assert_eq!(store.with(store::waiting).unwrap().len(), 0, "undelivered in the end");
        for row in store.with(|db| store::list(db, store::Which::All)).unwrap().iter().filter(|row| !row.cleared) {
            let told = self.by_incident.get(&row.incident.id).map_or(&[][..], Vec::as_slice);
            let is_over = row.incident.state == sysalert::incident::State::Resolved;
            assert!(is_over || !told.is_empty(), "nobody was told of {row:?}");
            assert!(!is_over || told.is_empty() || told.last() == Some(&Alert::Recovery), "no recovery of {row:?}");
        }
    }
}
