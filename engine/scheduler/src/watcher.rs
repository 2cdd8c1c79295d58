//! The loop of one trigger.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};
use weft_flow::Trigger;
use weft_model::{Level, Map, State, child_id, new_id};
use weft_state::{StateError, TriggerFile, TriggerRecord, TriggeredExecution};

use crate::complaints::Complaints;
use crate::condition;
use crate::setup::{Setup, SetupError, Source};
use crate::{Engine, Evaluation};

/// The interval of a trigger whose own cannot be rendered.
const INTERVAL: Duration = Duration::from_secs(60);
/// From a failure of something that must be done to the next try: doubled each time, up to the second one.
const RETRY: Duration = Duration::from_secs(1);
const LONGEST_RETRY: Duration = Duration::from_secs(60);
/// How often an execution is looked at that waits for a person, or that somebody else runs.
const LOOK: Duration = Duration::from_secs(1);
/// A wait for a date is taken in pieces: the clock may be set, and the machine may sleep.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// What can go wrong again and again.
const READ_INTERVAL: &str = "interval";
const EVALUATE: &str = "evaluate";
const ACKNOWLEDGE: &str = "acknowledge";
/// How many dates are looked at in search of one for which the conditions hold.
const SEARCH: usize = 1_000;

/// Why the loop of a trigger ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It was asked to.
    Asked,
    /// An execution ended in a state after which the trigger is to start nothing more (`stopAfter`); perhaps long ago.
    StoppedAfter(State),
    /// Nothing can happen any more: its last date has passed.
    NothingMore,
}

/// Asks the loops that have its other half to end. Dropping it asks, too.
#[derive(Debug)]
pub struct Stop(watch::Sender<bool>);

/// Both halves: the one that asks, and the one that a loop listens to.
pub fn stop() -> (Stop, watch::Receiver<bool>) {
    let (sender, receiver) = watch::channel(false);
    (Stop(sender), receiver)
}

impl Stop {
    /// Asks them to end: they evaluate nothing more, and end when the executions under way have ended.
    pub fn ask(&self) {
        self.0.send_replace(true);
    }
}

/// Waits until the loop is asked to end.
async fn asked(stop: &mut watch::Receiver<bool>) {
    // A sender that is gone asks as well.
    let _ = stop.wait_for(|asked| *asked).await;
}

/// The loop of one trigger, before it runs.
pub struct Watcher {
    setup: Setup,
    file: TriggerFile,
    engine: Arc<dyn Engine>,
    running: JoinSet<(String, State)>,
    stop: watch::Receiver<bool>,
    due: Due,
    /// Whether something may be stored for an execution that was never made.
    litter: bool,
    /// When what failed last is tried again, and how long that was.
    retry: Option<(Instant, Duration)>,
    complaints: Complaints,
}

/// When the next evaluation is due.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Due {
    In(Instant),
    On(Timestamp),
    Never,
}

impl Watcher {
    /// A loop for a trigger with its record, which nobody else holds.
    ///
    /// # Errors
    /// When the trigger says something that cannot be done, or needs a server.
    pub fn new(
        trigger: Arc<Trigger>,
        file: TriggerFile,
        engine: Arc<dyn Engine>,
        stop: watch::Receiver<bool>,
    ) -> Result<Self, SetupError> {
        Ok(Self {
            setup: Setup::of(trigger)?,
            file,
            engine,
            running: JoinSet::new(),
            stop,
            due: Due::Never,
            litter: true,
            retry: None,
            complaints: Complaints::default(),
        })
    }

    /// Checks what [`Self::new`] checks, without a record.
    pub fn check(trigger: Arc<Trigger>) -> Result<(), SetupError> {
        Setup::of(trigger).map(|_| ())
    }

    /// Evaluates the trigger until it is asked to end or nothing more can happen, then waits for the executions that are
    /// under way.
    ///
    /// # Errors
    /// When the record cannot be written at the beginning. Later that is said in the log and tried again.
    pub async fn run(mut self) -> Result<Ended, StateError> {
        self.begin().await?;
        let ended = self.watch().await;
        if self.litter {
            self.engine.discard(&self.record().next_id).await;
        }
        while let Some(Ok((id, state))) = self.running.join_next().await {
            self.execution_ended(&id, state);
        }
        Ok(ended)
    }

    fn record(&self) -> &TriggerRecord {
        self.file.record()
    }

    fn trigger(&self) -> &Trigger {
        &self.setup.trigger
    }

    fn log(&self, level: Level, message: &str) {
        if level >= self.setup.log_level {
            self.engine.log(self.trigger(), level, message);
        }
    }

    /// Logs a problem, unless it was logged before and is still the same.
    fn complain(&mut self, doing: &'static str, problem: &str) {
        if let Some(text) = self.complaints.take(doing, problem) {
            self.log(Level::Error, &text);
        }
    }

    /// What had failed went well.
    fn is_well(&mut self, doing: &'static str) {
        if let Some(times) = self.complaints.end(doing) {
            self.log(Level::Info, &format!("it goes well again, after it had failed {times} times"));
        }
    }

    /// Takes up what a former loop left: its executions, and the date it waited for.
    async fn begin(&mut self) -> Result<(), StateError> {
        let mut record = self.record().clone();
        let now = self.engine.now();
        match &self.setup.source {
            Source::Clock(schedule) => {
                record.next_date = schedule.first(record.next_date, now);
                self.due = record.next_date.map_or(Due::Never, Due::On);
                let when = record.next_date.map_or_else(|| "never".to_owned(), |date| date.to_string());
                self.log(Level::Info, &format!("next: {when}"));
            }
            Source::Plugin => {
                self.due = Due::In(Instant::now());
                let interval = self.interval().await;
                self.log(Level::Info, &format!("polled every {interval:?}"));
            }
        }
        // Written before the first poll, so that what is stored for an execution to be can be found by its id.
        self.file.commit(record)?;
        for execution in self.record().executions.clone() {
            self.start(execution);
        }
        Ok(())
    }

    async fn watch(&mut self) -> Ended {
        loop {
            if let Some(state) = self.record().stopped {
                return Ended::StoppedAfter(state);
            }
            if self.due == Due::Never && self.running.is_empty() && self.record().acknowledged {
                return Ended::NothingMore;
            }
            let may_evaluate = self.setup.allow_concurrent || self.running.is_empty();
            let acknowledged = self.record().acknowledged;
            let retry = self.retry.map_or_else(Instant::now, |(at, _)| at);
            tokio::select! {
                biased;
                () = asked(&mut self.stop) => return Ended::Asked,
                Some(ended) = self.running.join_next() => match ended {
                    Ok((id, state)) => self.execution_ended(&id, state),
                    // A fault of the engine; the record has the execution still, and the next start takes it up.
                    Err(error) => self.log(Level::Error, &format!("an execution is lost: {error}")),
                },
                () = sleep_until(retry), if !acknowledged => {
                    let mut stop = self.stop.clone();
                    tokio::select! {
                        biased;
                        () = asked(&mut stop) => return Ended::Asked,
                        () = self.acknowledge() => {}
                    }
                }
                () = wait(&*self.engine, self.due), if acknowledged && may_evaluate => {
                    let mut stop = self.stop.clone();
                    tokio::select! {
                        biased;
                        () = asked(&mut stop) => return Ended::Asked,
                        () = self.evaluate() => {}
                    }
                }
            }
        }
    }

    async fn evaluate(&mut self) {
        match &self.setup.source {
            Source::Clock(_) => self.evaluate_date(),
            Source::Plugin => self.poll().await,
        }
    }

    /// The date that was waited for has come.
    fn evaluate_date(&mut self) {
        let (Source::Clock(schedule), Some(date)) = (&self.setup.source, self.record().next_date) else {
            self.due = Due::Never;
            return;
        };
        let mut record = self.record().clone();
        record.next_date = schedule.after(date);
        self.due = record.next_date.map_or(Due::Never, Due::On);
        if schedule.is_late(date, self.engine.now()) {
            self.log(Level::Warn, &format!("left out: {date} is too long ago (`lateMaximumDelay`)"));
            self.commit(record);
            return;
        }
        let next = self.neighbour(date, |date| schedule.after(date));
        let previous = self.neighbour(date, |date| schedule.before(date));
        let variables = schedule.variables(date, next, previous);
        match self.conditions_hold(Some(&variables)) {
            Ok(true) => self.fire(record, vec![(variables, Some(date), None)]),
            Ok(false) => {
                self.log(Level::Debug, &format!("left out: its conditions do not hold for {date}"));
                self.commit(record);
            }
            Err(problem) => self.fail(record, &format!("condition: {problem}")),
        }
    }

    /// The next date in one direction for which the conditions hold.
    fn neighbour(&self, date: Timestamp, step: impl Fn(Timestamp) -> Option<Timestamp>) -> Option<Timestamp> {
        let Source::Clock(schedule) = &self.setup.source else { return None };
        if self.setup.conditions.is_empty() {
            return step(date);
        }
        let mut dates = std::iter::successors(step(date), |date| step(*date)).take(SEARCH);
        dates.find(|date| {
            // A condition that cannot be evaluated is reported when its date comes.
            self.conditions_hold(Some(&schedule.variables(*date, None, None))).unwrap_or(true)
        })
    }

    fn conditions_hold(&self, variables: Option<&Map>) -> Result<bool, condition::Problem> {
        if self.setup.conditions.is_empty() {
            return Ok(true);
        }
        let context = self.engine.context(variables);
        condition::all_hold(&self.setup.conditions, &context, self.engine.environment())
    }

    /// Asks the trigger's plugin.
    async fn poll(&mut self) {
        let interval = self.interval().await;
        self.due = Due::In(Instant::now() + interval);
        match self.conditions_hold(None) {
            Ok(true) => {}
            Ok(false) => return self.log(Level::Debug, "not polled: its conditions do not hold"),
            Err(problem) => return self.fail(self.record().clone(), &format!("condition: {problem}")),
        }
        let mut record = self.record().clone();
        if self.litter {
            self.engine.discard(&record.next_id).await;
        }
        self.litter = true;
        let evaluation = Evaluation { execution_id: record.next_id.clone(), state: record.state.clone() };
        let found = self.engine.poll(self.trigger(), &evaluation).await;
        match found {
            Ok(found) => {
                self.is_well(EVALUATE);
                self.due = Due::In(Instant::now() + found.next.unwrap_or(interval));
                record.state = found.state;
                if found.events.is_empty() {
                    self.log(Level::Debug, "nothing new");
                    self.commit(record);
                } else {
                    record.acknowledged = false;
                    self.fire(record, found.events.into_iter().map(|event| (event, None, None)).collect());
                }
            }
            Err(failure) => {
                self.due = Due::In(Instant::now() + interval);
                self.fail(record, &failure.message);
            }
        }
    }

    async fn interval(&mut self) -> Duration {
        match self.engine.interval(&self.setup.trigger).await {
            Ok(interval) => {
                self.is_well(READ_INTERVAL);
                interval
            }
            Err(failure) => {
                self.complain(READ_INTERVAL, &failure.message);
                INTERVAL
            }
        }
    }

    /// The trigger could not be evaluated.
    fn fail(&mut self, record: TriggerRecord, problem: &str) {
        match self.setup.source {
            Source::Plugin => self.complain(EVALUATE, problem),
            // Each date is one of its own.
            Source::Clock(_) => self.log(Level::Error, problem),
        }
        if self.setup.fail_on_error {
            self.fire(record, vec![(Map::new(), None, Some(problem.to_owned()))]);
        } else {
            self.commit(record);
        }
    }

    /// Commits `record` with an execution for each event, and starts them. The one place where that is done: from here
    /// on they will exist, whatever happens.
    fn fire(&mut self, mut record: TriggerRecord, events: Vec<(Map, Option<Timestamp>, Option<String>)>) {
        let first = std::mem::replace(&mut record.next_id, new_id());
        let executions: Vec<TriggeredExecution> = events
            .into_iter()
            .enumerate()
            .map(|(index, (variables, date, failure))| {
                let id = if index == 0 { first.clone() } else { child_id(&first, &index.to_string()) };
                TriggeredExecution { id, variables, date, failure }
            })
            .collect();
        record.fired = Some(self.engine.now());
        record.executions.extend(executions.iter().cloned());
        if self.commit(record) {
            self.litter = false;
            for execution in executions {
                self.log(Level::Info, &format!("starts execution {}", execution.id));
                self.start(execution);
            }
        }
    }

    /// Tells the trigger's plugin that its events are kept, so that it may delete what they were made from.
    async fn acknowledge(&mut self) {
        let record = self.record();
        let evaluation = Evaluation { execution_id: record.next_id.clone(), state: record.state.clone() };
        match self.engine.acknowledge(self.trigger(), &evaluation).await {
            Ok(state) => {
                let record = TriggerRecord { state, acknowledged: true, ..self.record().clone() };
                if self.commit(record) {
                    self.retry = None;
                    self.is_well(ACKNOWLEDGE);
                    return;
                }
            }
            Err(failure) => self.complain(ACKNOWLEDGE, &failure.message),
        }
        let wait = self.retry.map_or(RETRY, |(_, wait)| (wait * 2).min(LONGEST_RETRY));
        self.retry = Some((Instant::now() + wait, wait));
    }

    /// Commits a record; whether it is kept. If not, what would follow from it does not happen.
    fn commit(&mut self, mut record: TriggerRecord) -> bool {
        let done = self.engine.hidden().and_then(|hidden| {
            record.hidden = hidden;
            self.file.commit(record).map_err(|error| error.to_string())
        });
        if let Err(error) = &done {
            self.log(Level::Error, &format!("nothing can be remembered of this trigger: {error}"));
            if let (Source::Clock(_), Some(date)) = (&self.setup.source, self.record().next_date) {
                // The date has not been taken; trying again at once would fill the log.
                let again = self.engine.now() + SignedDuration::from_secs(LONGEST_RETRY.as_secs() as i64);
                self.due = Due::On(date.max(again));
            }
        }
        done.is_ok()
    }

    fn start(&mut self, execution: TriggeredExecution) {
        let (engine, trigger, stop) =
            (Arc::clone(&self.engine), Arc::clone(&self.setup.trigger), self.stop.clone());
        self.running.spawn(async move {
            let state = follow(&*engine, &trigger, &execution, stop).await;
            (execution.id, state)
        });
    }

    fn execution_ended(&mut self, id: &str, state: State) {
        if !state.is_terminal() {
            // It is waited for no longer, and is taken up at the next start.
            return;
        }
        let mut record = self.record().clone();
        record.executions.retain(|execution| execution.id != id);
        if self.trigger().stop_after.contains(&state) {
            record.stopped = Some(state);
        }
        self.commit(record);
    }
}

/// Runs an execution until it has ended; its state. After a request to stop, one that waits for a person, or that cannot
/// be kept, is given up.
async fn follow(
    engine: &dyn Engine,
    trigger: &Trigger,
    execution: &TriggeredExecution,
    mut stop: watch::Receiver<bool>,
) -> State {
    let mut wait = RETRY;
    let mut state = loop {
        match engine.run(trigger, execution).await {
            Ok(state) => break state,
            Err(problem) => {
                engine.log(trigger, Level::Error, &format!("execution {}: {problem}", execution.id))
            }
        }
        tokio::select! {
            () = asked(&mut stop) => return State::Created,
            () = sleep(wait) => wait = (wait * 2).min(LONGEST_RETRY),
        }
    };
    while !state.is_terminal() {
        tokio::select! {
            () = asked(&mut stop) => break,
            () = sleep(LOOK) => {}
        }
        state = match engine.state(&execution.id).await {
            Ok(Some(state)) => state,
            // Somebody has deleted it.
            Ok(None) => State::Killed,
            Err(_) => state,
        };
    }
    state
}

/// Waits until an evaluation is due.
async fn wait(engine: &dyn Engine, due: Due) {
    match due {
        Due::In(instant) => sleep_until(instant).await,
        Due::Never => std::future::pending().await,
        Due::On(date) => loop {
            match Duration::try_from(date.duration_since(engine.now())) {
                Ok(left) if !left.is_zero() => sleep(left.min(LONGEST_WAIT)).await,
                _ => return,
            }
        },
    }
}
