//! What sysalert must do, as simply as it can be said: no journal, no database, no two commits. It is told what became of the
//! units, and when somebody looked.

mod words;

use chrono::{DateTime, TimeDelta, Utc};

pub use self::words::{End, Failure, Flapping, HOLD, How, Now, Rules, State, Told};

/// What somebody was told of a failure.
#[derive(Debug)]
struct Said {
    how: How,
    at: DateTime<Utc>,
    restarts: bool,
    /// That it is restarted again and again.
    flaps: bool,
}

/// One unit's story.
#[derive(Debug, Default)]
pub struct Unit {
    /// What happened since the last look.
    unseen: Vec<(usize, End, DateTime<Utc>)>,
    /// Runs that `db clear` met before a look: whether they are on record is nobody's business.
    pub dropped: Vec<usize>,
    pub failures: Vec<Failure>,
    pub incidents: Vec<(State, u64)>,
    told: Vec<Said>,
    finals: u64,
    /// Its restarts since it last stayed failed.
    restarts: Vec<DateTime<Utc>>,
    /// What was told of the failures of each incident that is over.
    over: Vec<Vec<DateTime<Utc>>>,
    pub flapping: Option<Flapping>,
    pub now: Now,
    pub cleared: Option<DateTime<Utc>>,
    pub active_since: Option<DateTime<Utc>>,
    /// Not yet delivered, in their order.
    pub unsent: Vec<Told>,
    /// When the last message was decided, or sent.
    pub last: Option<DateTime<Utc>>,
    /// A trigger came before the journal had its words.
    pub waits: bool,
}

/// Somebody hears of it, and perhaps knows already.
fn open_or_known(state: State) -> State {
    if state == State::Acknowledged { state } else { State::Open }
}

impl Unit {
    pub fn ended(&mut self, run: usize, end: End, at: DateTime<Utc>) {
        self.active_since = None;
        match (self.unseen.iter_mut().find(|unseen| unseen.0 == run), end) {
            // nobody saw that it was to be tried again
            (Some((_, End::Failed { restarts, .. }, failed)), End::GaveUp) => (*restarts, *failed) = (false, at),
            _ => self.unseen.push((run, end, at)),
        }
    }

    /// True when a success is no news.
    pub fn is_quiet(&self) -> bool {
        !self.is_open() && !self.waits
    }

    pub fn is_open(&self) -> bool {
        self.incidents.last().is_some_and(|(state, _)| matches!(state, State::Pending | State::Open | State::Acknowledged))
    }

    /// Time passes, and dispatch runs.
    pub fn remind(&mut self, rules: Rules, now: DateTime<Utc>) {
        let is_open = self.incidents.last().is_some_and(|(state, _)| *state == State::Open);
        let is_due = |last: DateTime<Utc>| now - last >= TimeDelta::seconds(rules.remind);
        if rules.remind > 0 && is_open && self.unsent.is_empty() && self.last.is_some_and(is_due) {
            self.tell(Told::Reminder, now);
        }
    }

    /// Somebody knows of what they were told.
    pub fn acknowledge(&mut self) {
        if let Some(incident) = self.incidents.last_mut().filter(|incident| incident.0 == State::Open) {
            incident.0 = State::Acknowledged;
            self.unsent.retain(|told| *told != Told::Reminder);
        }
    }

    fn tell(&mut self, told: Told, at: DateTime<Utc>) {
        self.unsent.push(told);
        self.last = Some(at);
    }

    /// What nobody has sent yet of a failure is not to be sent.
    fn untell(&mut self) {
        self.unsent.pop_if(|told| *told == Told::Failure);
    }

    /// Somebody looks, and the journal is complete.
    pub fn look(&mut self, rules: Rules, now: DateTime<Utc>) {
        self.waits = false;
        let flapped = self.flapping.clone();
        let mut unseen = std::mem::take(&mut self.unseen);
        unseen.sort_by_key(|(.., at)| *at);
        // what restarts alone begin in this look is looked at by the next one
        let failed = |end: &End| matches!(end, End::Failed { .. } | End::GaveUp);
        let knows = self.is_open() || unseen.iter().any(|(_, end, _)| failed(end));
        let trouble: Vec<_> = unseen.iter().filter(|(_, end, _)| !matches!(end, End::Succeeded)).map(|(.., at)| *at).collect();
        // whether that was the end of it, or it flaps since this look, the next one asks
        let ends_well = matches!(unseen.last(), Some((_, End::Succeeded, _)));
        for (run, end, at) in unseen {
            match end {
                End::Failed { how, restarts } => self.failed(rules, Failure { run, how, restarts, spoke: false }, at),
                End::GaveUp => self.gave_up(rules, run, at),
                End::Succeeded => self.recovered(rules, at),
                End::StartedAgain => self.started_again(rules, at),
            }
        }
        match flapped {
            Some(flapped) => {
                let last = trouble.iter().copied().fold(flapped.last, DateTime::max);
                self.calms_down(rules, last, trouble.is_empty(), now);
            }
            None if knows && !ends_well && self.active_since.is_some_and(|since| since + TimeDelta::seconds(HOLD) <= now) => {
                self.recovered(rules, now);
            }
            None => {}
        }
    }

    /// Nothing happens any more to a unit that flapped when this look began.
    fn calms_down(&mut self, rules: Rules, last: DateTime<Utc>, nothing_new: bool, now: DateTime<Utc>) {
        let is_over = |since: DateTime<Utc>| since.max(last) + TimeDelta::seconds(rules.window) <= now;
        match (self.now, self.active_since) {
            (Now::Active, Some(since)) if is_over(since) => self.recovered(rules, now),
            // well or stopped: somebody is told; but a stop is no recovery of what stays failed
            (Now::Inactive, _) if is_over(last) && self.flapping.is_some() => self.recovered(rules, now),
            (Now::Failed, _) if is_over(last) && nothing_new => {
                let Some(flapping) = self.flapping.take() else { return };
                // its last failure is told now, unless that was one after which it was to be restarted
                let Some(failure) = self.failures.last_mut().filter(|failure| !failure.restarts) else { return };
                let (how, spoke) = (failure.how, std::mem::replace(&mut failure.spoke, flapping.alternates));
                if spoke {
                    self.told.pop();
                    self.untell();
                }
                if flapping.alternates {
                    self.told.push(Said { how, at: last, restarts: false, flaps: false });
                    self.tell(Told::Failure, last);
                }
            }
            _ => {}
        }
    }

    /// The restarts within the window, and whether they are news.
    fn is_restarted_too_often(&self, rules: Rules, at: DateTime<Utc>) -> Option<usize> {
        let recent: Vec<_> = self.restarts.iter().filter(|one| **one > at - TimeDelta::seconds(rules.window)).collect();
        let enough = recent.len() >= rules.flapping && recent.len() as u64 > rules.ignore;
        let lasts = at - **recent.first()? >= TimeDelta::seconds(60).min(TimeDelta::seconds(rules.window) / 2);
        let knows = self.told.iter().any(|told| !told.restarts);
        (rules.flapping > 0 && enough && lasts && !knows).then_some(recent.len())
    }

    /// How many incidents this one is the last of, if these are too many.
    fn comes_too_often(&self, rules: Rules, at: DateTime<Utc>) -> Option<usize> {
        let recent = |told: &&Vec<DateTime<Utc>>| told.iter().any(|one| *one > at - TimeDelta::seconds(rules.window));
        let times = self.over.iter().filter(recent).count() + 1;
        (rules.flapping > 0 && times >= rules.flapping.max(2)).then_some(times)
    }

    /// It flaps from now on, if it does; as restarts are the news, or as another incident is.
    fn begins_to_flap(&mut self, rules: Rules, at: DateTime<Utc>, restarts: bool) -> bool {
        let often = self.comes_too_often(rules, at);
        let restarted = if restarts { self.is_restarted_too_often(rules, at) } else { None };
        let times = match (often, restarted) {
            (Some(times), _) if !restarts || restarted.is_some() => times,
            (None, Some(times)) => times,
            _ => return false,
        };
        self.flapping = Some(Flapping { alternates: often.is_some(), times, last: at });
        true
    }

    fn again(&mut self, at: DateTime<Utc>) {
        if let Some(flapping) = &mut self.flapping {
            flapping.times += 1;
            flapping.last = flapping.last.max(at);
        }
    }

    fn started_again(&mut self, rules: Rules, at: DateTime<Utc>) {
        self.restarts.push(at);
        if self.flapping.is_some() {
            // counted, and not kept
            self.restarts.pop();
            self.again(at);
            return;
        }
        let open = self.is_open();
        if !open {
            self.told.clear();
        }
        if self.begins_to_flap(rules, at, true) {
            match self.incidents.last_mut().filter(|_| open) {
                Some(incident) => incident.0 = open_or_known(incident.0),
                None => {
                    self.incidents.push((State::Open, 0));
                    self.finals = 0;
                }
            }
            self.tell(Told::Failure, at);
        }
    }

    fn failed(&mut self, rules: Rules, mut failure: Failure, at: DateTime<Utc>) {
        if !self.is_open() {
            self.incidents.push((State::Pending, 0));
            self.told.clear();
            self.finals = 0;
        }
        let restarts = failure.restarts;
        if restarts {
            self.restarts.push(at);
        } else {
            self.restarts.clear();
        }
        let counts = rules.each || !restarts;
        let mut flaps = false;
        failure.spoke = if let Some(flapping) = self.flapping.clone() {
            self.again(at);
            let gives_up = !restarts && !flapping.alternates;
            if gives_up {
                self.flapping = None;
            }
            gives_up
        } else if restarts && self.begins_to_flap(rules, at, true) {
            flaps = true;
            true
        } else {
            counts
                && match self.told.last() {
                    None if self.finals < rules.ignore => false,
                    None => {
                        self.begins_to_flap(rules, at, false);
                        true
                    }
                    Some(last) if last.how == failure.how => false,
                    Some(last) => {
                        let is_new = !self.told.iter().any(|told| told.how == failure.how);
                        is_new || at >= last.at + TimeDelta::seconds(rules.min_interval)
                    }
                }
        };
        let incident = self.incidents.last_mut().expect("it is open");
        incident.1 += 1;
        self.finals += u64::from(counts);
        if failure.spoke {
            incident.0 = open_or_known(incident.0);
            let flaps = flaps && self.flapping.as_ref().is_some_and(|flapping| !flapping.alternates);
            self.told.push(Said { how: failure.how, at, restarts, flaps });
            self.tell(Told::Failure, at);
        }
        self.failures.push(failure);
    }

    /// The failure of which nobody heard, since systemd was to try again, is decided anew.
    fn gave_up(&mut self, rules: Rules, run: usize, at: DateTime<Utc>) {
        self.restarts.pop();
        if self.failures.last().is_some_and(|last| last.run == run && last.spoke)
            && self.told.last().is_some_and(|told| told.flaps)
        {
            // that it is restarted again and again is no word about this
            self.told.pop();
            self.untell();
            self.failures.last_mut().expect("it was there").spoke = false;
        }
        if let Some(told) = self.failures.last_mut().filter(|last| last.run == run && last.spoke) {
            told.restarts = false;
            self.told.last_mut().expect("it was told").restarts = false;
            self.restarts.clear();
        }
        let last = self.failures.pop_if(|last| last.run == run && !last.spoke);
        let Some(last) = last else { return };
        if self.is_open() {
            self.incidents.last_mut().expect("it is open").1 -= 1;
            self.finals -= u64::from(rules.each);
            if let Some(flapping) = &mut self.flapping {
                flapping.times -= 1;
            }
        }
        self.failed(rules, Failure { restarts: false, ..last }, at);
    }

    fn recovered(&mut self, rules: Rules, at: DateTime<Utc>) {
        let flaps = self.flapping.as_ref();
        if !self.is_open() || flaps.is_some_and(|flapping| at < flapping.last + TimeDelta::seconds(rules.window)) {
            return;
        }
        self.flapping = None;
        self.over.push(self.told.iter().map(|told| told.at).collect());
        let incident = self.incidents.last_mut().expect("it is open");
        let was_told = matches!(incident.0, State::Open | State::Acknowledged);
        incident.0 = State::Resolved;
        if was_told && rules.recovery {
            self.tell(Told::Recovery, at);
        }
        self.last = None;
    }

    pub fn clear(&mut self, now: DateTime<Utc>) {
        self.cleared = Some(now);
        let unseen = std::mem::take(&mut self.unseen).into_iter();
        self.dropped.extend(unseen.filter(|(_, end, _)| matches!(end, End::Failed { .. })).map(|(run, ..)| run));
        self.waits = false;
        self.unsent.clear();
        if self.is_open() {
            self.flapping = None;
            self.restarts.clear();
            self.over.clear();
            self.incidents.last_mut().expect("it is open").0 = State::Cleared;
        }
    }
}
