//! Reports for CI servers.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;

use anyhow::Context;
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};
use weft_testing::{CaseReport, CaseResult};

use super::cases::Results;
use super::load::Suite;
use super::report;

/// Writes a JUnit report: a suite for each test file.
pub fn write(path: &Path, suites: &[Suite], results: &Results) -> anyhow::Result<()> {
    let mut junit = Report::new("weft test");
    for (suite, reports) in suites.iter().zip(results) {
        let flow = format!("{}.{}", suite.flow.flow.namespace, suite.flow.flow.id);
        let mut tests = TestSuite::new(suite.name.as_str());
        tests.add_property(("flow", flow.as_str()));
        let took = reports.iter().flatten().map(|report| report.duration).sum();
        tests.set_time(took);
        for report in reports.iter().flatten() {
            tests.add_test_case(case(suite, &flow, report));
        }
        junit.add_test_suite(tests);
    }
    let shown = path.display();
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).with_context(|| format!("cannot make the folder of `{shown}`"))?;
    }
    let write = || -> anyhow::Result<()> {
        let mut file = BufWriter::new(File::create(path)?);
        junit.serialize(&mut file)?;
        // What is still buffered is written here, where it can be told that there is no room for it.
        Ok(file.flush()?)
    };
    write().with_context(|| format!("cannot write `{shown}`"))
}

fn case(suite: &Suite, flow: &str, report: &CaseReport) -> TestCase {
    let status = match report.result {
        CaseResult::Passed => TestCaseStatus::success(),
        CaseResult::Skipped => TestCaseStatus::skipped(),
        CaseResult::Failed => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            if let Some(first) = report.failures.first() {
                let message =
                    format!("{}: expected {}, found {}", first.subject, first.expected, first.actual);
                status.set_message(message);
            }
            let text = report.failures.iter().map(|failure| report::failure(&suite.name, failure, false));
            status.set_description(text.collect::<String>());
            status
        }
    };
    let mut case = TestCase::new(report.id.as_str(), status);
    case.set_classname(flow);
    case.set_time(report.duration);
    case.extra.insert("file".into(), suite.name.as_str().into());
    case.extra.insert("line".into(), report.line.to_string().into());
    if !report.log.is_empty() {
        case.set_system_out(report::log(&report.log, false));
    }
    case
}
