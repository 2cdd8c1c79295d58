//! Runs cases, several at a time, and hands their reports out in the order of the files.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use weft_local::{CaseRequest, Local};
use weft_testing::{CaseReport, CaseResult};
use weft_worker::Secrets;

use super::load::Suite;
use super::report::Printer;

/// How cases are run.
pub struct Plan {
    /// Where the data directories of cases are.
    pub data: PathBuf,
    /// Whether they are kept.
    pub keep: bool,
    /// How many cases at a time.
    pub jobs: usize,
    /// When to end a case that does not say.
    pub timeout: Duration,
    /// Whether no case is begun after one that failed.
    pub fail_fast: bool,
    /// Where secrets are looked for that a case does not give.
    pub secrets: Option<Arc<dyn Secrets>>,
    /// Turns true when all are to end.
    pub stopped: watch::Receiver<bool>,
}

impl Plan {
    /// The data directory of a case; files may have the same id.
    fn data_of(&self, number: usize, suite: &Suite, case: &str) -> PathBuf {
        self.data.join(format!("{}-{}", number + 1, suite.tests.id)).join(case)
    }
}

/// Reports in the order of suites and cases; none for a case that was not begun.
pub type Results = Vec<Vec<Option<CaseReport>>>;

/// What becomes of a case.
enum Step {
    Begun,
    Ended(Box<CaseReport>),
    /// It was not begun.
    Dropped,
}

/// Runs every case and shows each as soon as all before it are shown.
pub async fn run_all(
    engine: &Local,
    suites: &[Suite],
    plan: Plan,
    mut printer: Printer,
) -> anyhow::Result<Results> {
    let order: Vec<(usize, usize)> = suites
        .iter()
        .enumerate()
        .flat_map(|(suite, tests)| (0..tests.tests.cases.len()).map(move |case| (suite, case)))
        .collect();
    let (halt, halted) = watch::channel(false);
    let (steps, mut stepping) = mpsc::unbounded_channel();
    let mut workers = JoinSet::new();
    let queue = Arc::new(std::sync::Mutex::new(requests(suites, &order, &plan).into_iter()));
    for _ in 0..plan.jobs.clamp(1, order.len().max(1)) {
        let (engine, queue, steps) = (engine.clone(), Arc::clone(&queue), steps.clone());
        let (halted, stopped, keep) = (halted.clone(), plan.stopped.clone(), plan.keep);
        workers.spawn(async move {
            loop {
                let next = queue.lock().unwrap_or_else(std::sync::PoisonError::into_inner).next();
                let Some((index, request)) = next else { return };
                // Whoever listens does so until every worker has ended.
                if *halted.borrow() || *stopped.borrow() {
                    let _ = steps.send((index, Step::Dropped));
                    continue;
                }
                let _ = steps.send((index, Step::Begun));
                let data = request.data.clone();
                let report = engine.test_case(request).await;
                let _ = steps.send((index, Step::Ended(Box::new(report))));
                if !keep {
                    // Many cases with large files must not fill the disk. What cannot be removed goes with all the rest.
                    let _ = tokio::fs::remove_dir_all(data).await;
                }
            }
        });
    }
    drop(steps);

    let mut ended: Vec<Option<Option<CaseReport>>> = order.iter().map(|_| None).collect();
    let mut shown = 0;
    while let Some((index, step)) = stepping.recv().await {
        let (suite, case) = order[index];
        let name = &suites[suite].tests.cases[case].id;
        match step {
            Step::Begun => printer.begun(name),
            Step::Ended(report) => {
                printer.ended(name);
                if plan.fail_fast && report.result == CaseResult::Failed {
                    halt.send_replace(true);
                }
                ended[index] = Some(Some(*report));
            }
            Step::Dropped => ended[index] = Some(None),
        }
        while let Some(Some(report)) = ended.get(shown) {
            if let Some(report) = report {
                let suite = order[shown].0;
                printer.case(&suites[suite], report, &plan.data_of(suite, &suites[suite], &report.id))?;
            }
            shown += 1;
        }
    }
    printer.close();
    // A panic in a case is a fault of ours, and must not look like success.
    while let Some(worker) = workers.join_next().await {
        worker?;
    }
    let mut results: Results = suites.iter().map(|_| Vec::new()).collect();
    for ((suite, _), report) in order.into_iter().zip(ended) {
        results[suite].push(report.flatten());
    }
    Ok(results)
}

fn requests(suites: &[Suite], order: &[(usize, usize)], plan: &Plan) -> Vec<(usize, CaseRequest)> {
    let request = |(index, &(suite, case)): (usize, &(usize, usize))| {
        let (number, suite) = (suite, &suites[suite]);
        let case = suite.tests.cases[case].clone();
        let request = CaseRequest {
            data: plan.data_of(number, suite, &case.id),
            case,
            flow: suite.flow.clone(),
            flows: suite.flows.clone(),
            directory: suite.folder.clone(),
            secrets: plan.secrets.clone(),
            timeout: plan.timeout,
            stop: plan.stopped.clone(),
        };
        (index, request)
    };
    order.iter().enumerate().map(request).collect()
}
