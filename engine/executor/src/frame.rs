//! What runs at the moment: a frame for the execution and for each flowable task run that has begun, and in each frame
//! one lane for each list of tasks that it runs.
//!
//! Frames and lanes live in memory only. They follow from the task runs (see `load`): what they know beyond those is
//! where to look next, so that an event costs what it changes and not what the execution has become.

use std::collections::VecDeque;
use std::sync::Arc;

use weft_expr::Value;

use crate::plan::{Branch, NodeId};
use crate::rollup::Tally;
use crate::slab::Id;

/// The index of a task run in the execution's list.
pub(crate) type RunIndex = usize;

/// What the machine knows of a task run beyond the record.
#[derive(Debug)]
pub(crate) struct RunInfo {
    /// None where the flow has no such task (any more).
    pub node: Option<NodeId>,
    /// Where it stands, while that lane is open.
    pub lane: Option<Id<Lane>>,
    /// The frame it has opened, while that is open.
    pub frame: Option<Id<Frame>>,
    pub around: Arc<Around>,
    /// Whether the current transition lists it as changed.
    pub changed: bool,
}

/// What the task runs of one lane have in common.
#[derive(Debug, Default)]
pub(crate) struct Around {
    /// What task ids are prefixed with to name a task run within the execution: the loop values.
    pub prefix: String,
    /// The values of the loops around, outermost first.
    pub values: Vec<Arc<str>>,
    /// The flowable's task run.
    pub parent: Option<RunIndex>,
    /// The task run of the `WorkingDirectory` around.
    pub directory: Option<RunIndex>,
    /// In an errors branch: what went wrong.
    pub error: Option<Value>,
}

/// A flowable task run that has begun, or the execution.
#[derive(Debug)]
pub(crate) struct Frame {
    /// None for the execution.
    pub run: Option<RunIndex>,
    /// None for the execution.
    pub node: Option<NodeId>,
    pub phase: Phase,
    /// How many lanes are open.
    pub lanes: u32,
    /// Over all its task runs that have ended.
    pub tally: Tally,
    /// Whether one of the tasks proper failed: nothing new starts in this phase, `errors` come next.
    pub failed: bool,
    /// What went wrong first.
    pub error: Option<Value>,
    /// A loop over values: how far it is.
    pub each: Option<Each>,
}

impl Frame {
    pub fn new(run: Option<RunIndex>, node: Option<NodeId>) -> Self {
        Self {
            run,
            node,
            phase: Phase::Main,
            lanes: 0,
            tally: Tally::default(),
            failed: false,
            error: None,
            each: None,
        }
    }

    /// Whether it waits for the answer to a request of its own.
    pub fn awaits_answer(&self) -> bool {
        matches!(self.phase, Phase::Opening | Phase::Closing)
    }
}

/// How far a frame is. Phases follow each other in this order; most frames skip most of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Its directory is being made or its items are being split.
    Opening,
    /// Its tasks proper run.
    Main,
    /// Its directory is being emptied.
    Closing,
    /// Its `errors` run.
    Errors,
    /// Its `finally` runs.
    Finally,
    /// `afterExecution` runs.
    After,
}

/// A loop over values.
#[derive(Debug)]
pub(crate) struct Each {
    pub values: Vec<Arc<str>>,
    /// The next value to begin with.
    pub next: usize,
    /// How many iterations at a time; 0: no limit.
    pub limit: u32,
}

/// One list of tasks being run.
#[derive(Debug)]
pub(crate) struct Lane {
    pub frame: Id<Frame>,
    pub role: Role,
    pub branch: Branch,
    pub order: Order,
    pub iteration: Option<Iteration>,
    pub around: Arc<Around>,
    /// The position in the list to look at next.
    pub next: usize,
    /// How many of its task runs have begun and not ended.
    pub running: u32,
    /// Positions that need no start: they have run before the execution was loaded. Empty for a new lane.
    pub settled: Vec<bool>,
}

/// What a list of tasks is to its frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Role {
    /// Tasks proper.
    Main,
    /// What a pause does when it begins.
    OnPause,
    Errors,
    Finally,
    After,
}

impl Role {
    pub fn of(branch: Branch) -> Self {
        match branch {
            Branch::Errors => Self::Errors,
            Branch::Finally => Self::Finally,
            Branch::After => Self::After,
            Branch::OnPause => Self::OnPause,
            _ => Self::Main,
        }
    }

    /// Whether a failure keeps the rest of the list from being started. Branches that clean up and notify go on.
    pub fn stops_at_failure(self) -> bool {
        matches!(self, Self::Main | Self::OnPause)
    }
}

/// In what order a list of tasks is run.
#[derive(Debug)]
pub(crate) enum Order {
    /// One after the other.
    Sequential,
    /// At most so many at a time; 0: no limit.
    Parallel(u32),
    /// As soon as what they depend on has ended.
    Dag(Box<DagProgress>),
}

/// How far a Dag is.
#[derive(Debug)]
pub(crate) struct DagProgress {
    /// At most so many at a time; 0: no limit.
    pub limit: u32,
    /// For each position, how many it still waits for.
    waiting: Vec<u32>,
    /// For each position, who waits for it.
    dependents: Vec<Vec<usize>>,
    /// What waits for nothing any more.
    pub ready: VecDeque<usize>,
}

impl DagProgress {
    /// `dependencies` says for each position for which others it waits.
    pub fn new(limit: u32, dependencies: &[Vec<usize>]) -> Self {
        let mut dependents = vec![Vec::new(); dependencies.len()];
        for (position, others) in dependencies.iter().enumerate() {
            for &other in others {
                dependents[other].push(position);
            }
        }
        let waiting: Vec<u32> = dependencies.iter().map(|others| others.len() as u32).collect();
        let ready = (0..waiting.len()).filter(|&position| waiting[position] == 0).collect();
        Self { limit, waiting, dependents, ready }
    }

    /// The task at this position has ended well.
    pub fn ended(&mut self, position: usize) {
        for &dependent in &self.dependents[position] {
            self.waiting[dependent] = self.waiting[dependent].saturating_sub(1);
            if self.waiting[dependent] == 0 {
                self.ready.push_back(dependent);
            }
        }
    }
}

/// One iteration of a loop.
#[derive(Debug, Clone)]
pub(crate) struct Iteration {
    /// From 0.
    pub number: u32,
    /// What it is for; a `LoopUntil` has none.
    pub value: Option<Arc<str>>,
}
