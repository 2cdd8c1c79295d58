//! Which fixture stands in for a task run.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};

use weft_flow::testing::{Answer, FixtureTarget, Others, TaskFixture, TestCase, tasks_of_type};
use weft_flow::{Catalogue, Flow, Shape, Task, TaskKind};
use weft_model::Failure;

/// The fixtures of one case, by task.
#[derive(Debug)]
pub struct FixtureTable {
    /// In the order of the test file.
    fixtures: Vec<TaskFixture>,
    used: Vec<AtomicBool>,
    /// For each task, the fixtures that may fit, the first one first.
    by_task: HashMap<String, Vec<usize>>,
    /// Flowables that are not run: there are no task runs of what is in them.
    leaves: HashSet<String>,
    others: Others,
}

/// What stands in for an attempt at a task run.
#[derive(Debug)]
pub enum StandIn<'t> {
    /// Nothing: the task is run.
    Nothing,
    /// A fixture.
    Answer(&'t Answer),
    /// The end that tasks without a fixture have in this case.
    Succeed,
    /// The task must not be run and has no fixture.
    Refuse(Failure),
}

impl FixtureTable {
    /// The fixtures of a case for its flow.
    pub fn new(case: &TestCase, flow: &Flow, catalogue: &dyn Catalogue) -> Self {
        let fixtures = case.fixtures.tasks.clone();
        let tasks = flow.all_tasks();
        let mut by_task: HashMap<String, Vec<usize>> = HashMap::new();
        // A fixture for one task is meant more than one for a type.
        for (index, fixture) in fixtures.iter().enumerate() {
            if let FixtureTarget::Id(id) = &fixture.target {
                by_task.entry(id.clone()).or_default().push(index);
            }
        }
        for (index, fixture) in fixtures.iter().enumerate() {
            if let FixtureTarget::Type(name) = &fixture.target {
                for task in tasks_of_type(&tasks, name, catalogue) {
                    by_task.entry(task.id.clone()).or_default().push(index);
                }
            }
        }
        for fitting in by_task.values_mut() {
            // Those for certain values are tried before those for all.
            fitting.sort_by_key(|&index| {
                fixtures[index].values.is_empty() && fixtures[index].iteration.is_none()
            });
        }
        let others = case.fixtures.others.unwrap_or(Others::Run);
        let is_leaf = |task: &&&Task| {
            is_flowable(task) && (by_task.contains_key(&task.id) || (others != Others::Run && works(task)))
        };
        let leaves = tasks.iter().filter(is_leaf).map(|task| task.id.clone()).collect();
        let used = fixtures.iter().map(|_| AtomicBool::new(false)).collect();
        Self { fixtures, used, by_task, leaves, others }
    }

    /// The flow as it is to be run: flowables that have a stand-in are tasks with work of their own.
    pub fn flow(&self, flow: &Flow) -> Flow {
        flow.with_leaves(&|task| self.leaves.contains(&task.id))
    }

    /// What stands in for an attempt. `values` are those of the loops around it, innermost first.
    pub fn find(
        &self,
        task_id: &str,
        values: &[String],
        iteration: Option<u32>,
        attempt: u32,
    ) -> StandIn<'_> {
        let candidates = self.by_task.get(task_id).map(Vec::as_slice).unwrap_or_default();
        let found = candidates.iter().find(|&&index| fits(&self.fixtures[index], values, iteration));
        if let Some(&index) = found {
            self.used[index].store(true, Ordering::Relaxed);
            let answers = &self.fixtures[index].answers;
            let answer = answers.get(attempt as usize).or(answers.last());
            return answer.map_or(StandIn::Succeed, StandIn::Answer);
        }
        match self.others {
            Others::Succeed => StandIn::Succeed,
            Others::Fail => StandIn::Refuse(no_fixture(
                task_id,
                "the test says `others: FAIL`",
                "add a fixture for it, or write `others: RUN` or `others: SUCCEED`",
            )),
            Others::Run if self.leaves.contains(task_id) => StandIn::Refuse(no_fixture(
                task_id,
                &format!(
                    "it runs other tasks and is not run when a fixture stands in for it, and no fixture is for {}",
                    place(values, iteration)
                ),
                "add a fixture without `value` and `iteration`",
            )),
            Others::Run => StandIn::Nothing,
        }
    }

    /// Fixtures of the case itself that nothing came to.
    pub fn unused(&self) -> impl Iterator<Item = &TaskFixture> {
        // Those of the whole file are for all cases, and each may need only some of them.
        let own = |fixture: &TaskFixture| fixture.path.starts_with("testCases");
        let used = self.fixtures.iter().zip(&self.used);
        used.filter(move |(fixture, used)| own(fixture) && !used.load(Ordering::Relaxed))
            .map(|(fixture, _)| fixture)
    }
}

fn is_flowable(task: &Task) -> bool {
    matches!(task.kind, TaskKind::Flowable(_))
}

/// Whether a flowable does work beyond running the tasks in it.
fn works(task: &Task) -> bool {
    match &task.kind {
        TaskKind::Run { .. } => true,
        TaskKind::Flowable(flowable) => {
            matches!(flowable.shape, Shape::Subflow(_) | Shape::ForEachItem(_) | Shape::Templated { .. })
        }
    }
}

/// Whether a fixture is for a task run in these iterations. `values` are innermost first.
fn fits(fixture: &TaskFixture, values: &[String], iteration: Option<u32>) -> bool {
    let value_fits = match fixture.values.as_slice() {
        [] => true,
        [one] => values.first() == Some(one),
        all => all.iter().eq(values.iter().rev()),
    };
    value_fits && fixture.iteration.is_none_or(|wanted| iteration == Some(wanted))
}

fn place(values: &[String], iteration: Option<u32>) -> String {
    match (values.first(), iteration) {
        (Some(value), _) => format!("the value `{value}`"),
        (None, Some(iteration)) => format!("iteration {iteration}"),
        (None, None) => "this run".to_owned(),
    }
}

fn no_fixture(task_id: &str, why: &str, hint: &str) -> Failure {
    Failure::new("test.no-fixture", format!("task `{task_id}` has no fixture: {why}\nhint: {hint}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use weft_flow::{ParseOptions, TypeInfo, Validator};

    struct Plugins(TypeInfo);

    impl Catalogue for Plugins {
        fn task(&self, type_name: &str) -> Option<&TypeInfo> {
            ["a.b.Echo", "old.Echo"].contains(&type_name).then_some(&self.0)
        }

        fn trigger(&self, _: &str) -> Option<&TypeInfo> {
            None
        }

        fn type_names(&self) -> Vec<&str> {
            vec!["a.b.Echo"]
        }
    }

    const FLOW: &str = "
id: f
namespace: n
tasks:
  - id: first
    type: old.Echo
  - id: each
    type: io.kestra.plugin.core.flow.ForEach
    values: [a, b]
    tasks:
      - id: inner
        type: a.b.Echo
  - id: child
    type: io.kestra.plugin.core.flow.Subflow
    namespace: n
    flowId: g
";

    /// The fixtures of a case with these lines, and the flow's tasks as they are run.
    fn fixture_table(fixtures: &str) -> (FixtureTable, Vec<String>) {
        let plugins = Plugins(TypeInfo { type_name: "a.b.Echo".to_owned(), ..TypeInfo::default() });
        let validator = Validator::new(&plugins);
        let flow = validator.parse(FLOW, &ParseOptions::default()).flow.unwrap();
        let source =
            format!("id: t\nnamespace: n\nflowId: f\ntestCases:\n  - id: c\n    fixtures: {fixtures}\n");
        let (tests, diagnostics) = validator.parse_tests(&source, &ParseOptions::default());
        let tests = tests.unwrap_or_else(|| panic!("{diagnostics:?}"));
        let table = FixtureTable::new(&tests.cases[0], &flow, &plugins);
        let run = table.flow(&flow);
        let ids = run.all_tasks().iter().map(|task| task.id.clone()).collect();
        (table, ids)
    }

    fn found(
        table: &FixtureTable,
        task: &str,
        values: &[&str],
        iteration: Option<u32>,
        attempt: u32,
    ) -> String {
        let values: Vec<String> = values.iter().map(|value| (*value).to_owned()).collect();
        match table.find(task, &values, iteration, attempt) {
            StandIn::Nothing => "run".to_owned(),
            StandIn::Answer(answer) => answer.outputs["n"].to_string(),
            StandIn::Succeed => "succeed".to_owned(),
            StandIn::Refuse(failure) => failure.message.lines().next().unwrap_or_default().to_owned(),
        }
    }

    #[test]
    fn the_fixture_that_says_most_is_taken() {
        let (table, _) = fixture_table(
            "{tasks: [{type: a.b.*, outputs: {n: 1}}, {id: inner, outputs: {n: 2}}, \
             {id: inner, value: b, attempts: [{outputs: {n: 3}}, {outputs: {n: 4}}]}, \
             {id: inner, iteration: 7, outputs: {n: 5}}, {id: inner, value: [x, a], outputs: {n: 6}}]}",
        );
        for (task, values, iteration, attempt, expected) in [
            ("first", &[][..], None, 0, "1"),
            ("inner", &["a"], Some(0), 0, "2"),
            ("inner", &["b"], Some(1), 0, "3"),
            ("inner", &["b"], Some(1), 1, "4"),
            ("inner", &["b"], Some(1), 9, "4"),
            ("inner", &["c"], Some(7), 0, "5"),
            ("inner", &["a", "x"], Some(0), 0, "6"),
            ("child", &[], None, 0, "run"),
        ] {
            assert_eq!(found(&table, task, values, iteration, attempt), expected, "{task} {values:?}");
        }
        assert_eq!(table.unused().count(), 0);
    }

    #[test]
    fn flowables_with_a_stand_in_are_not_entered() {
        let (table, ids) = fixture_table("{tasks: [{id: each, value: q, outputs: {n: 1}}]}");
        assert_eq!(ids, ["first", "each", "child"]);
        assert_eq!(found(&table, "each", &["q"], None, 0), "1");
        assert_eq!(
            found(&table, "each", &["z"], None, 0),
            "task `each` has no fixture: it runs other tasks and is not run when a fixture stands in for it, \
             and no fixture is for the value `z`"
        );
    }

    #[test]
    fn others_have_an_end_of_their_own() {
        let (table, ids) = fixture_table("{others: SUCCEED, tasks: [{id: first, outputs: {n: 1}}]}");
        assert_eq!(ids, ["first", "each", "inner", "child"]);
        for (task, expected) in [("first", "1"), ("inner", "succeed"), ("child", "succeed")] {
            assert_eq!(found(&table, task, &[], None, 0), expected, "{task}");
        }
        let (table, _) = fixture_table("{others: FAIL}");
        assert_eq!(
            found(&table, "inner", &[], None, 0),
            "task `inner` has no fixture: the test says `others: FAIL`"
        );
    }

    #[test]
    fn unused_fixtures_of_a_case_are_known() {
        let (table, _) = fixture_table("{tasks: [{id: inner, value: z}, {id: first}]}");
        table.find("first", &[], None, 0);
        let unused: Vec<_> = table.unused().map(|fixture| fixture.values.clone()).collect();
        assert_eq!(unused, [["z"]]);
    }
}
