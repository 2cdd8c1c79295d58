//! Records without their secrets: the form in which somebody may see them.

use weft_model::{Attempt, Execution, ExecutionError, Failure, Label, Metric, TaskRun, TriggerContext};

use super::Masker;

impl Masker {
    /// Masks everything in an execution that can hold what a flow, a script or a plugin has said. Ids, states and times
    /// cannot, and stay.
    pub fn mask_execution(&self, execution: &mut Execution) {
        if self.is_empty() {
            return;
        }
        // Every field, so that the compiler points here when one is added.
        let Execution {
            id: _,
            namespace: _,
            flow_id: _,
            flow_revision: _,
            task_run_list,
            inputs,
            outputs,
            labels,
            variables,
            state: _,
            parent_id: _,
            original_id: _,
            trigger,
            metadata: _,
            schedule_date: _,
            error,
        } = execution;
        for map in [Some(inputs), outputs.as_mut(), Some(variables)].into_iter().flatten() {
            self.mask_map(map);
        }
        for Label { key, value } in labels {
            self.mask_text(key);
            self.mask_text(value);
        }
        if let Some(TriggerContext { id: _, type_name: _, variables }) = trigger {
            self.mask_map(variables);
        }
        if let Some(ExecutionError { code: _, message }) = error {
            self.mask_text(message);
        }
        task_run_list.iter_mut().for_each(|task_run| self.mask_task_run(task_run));
    }

    /// The same for a task run.
    pub fn mask_task_run(&self, task_run: &mut TaskRun) {
        let TaskRun {
            id: _,
            execution_id: _,
            namespace: _,
            flow_id: _,
            task_id: _,
            parent_task_run_id: _,
            value,
            iteration: _,
            attempts,
            outputs,
            state: _,
        } = task_run;
        value.iter_mut().for_each(|value| self.mask_text(value));
        outputs.iter_mut().for_each(|outputs| self.mask_map(outputs));
        for Attempt { state: _, log_file: _, failure } in attempts {
            failure.iter_mut().for_each(|failure| self.mask_failure(failure));
        }
    }

    /// The same for a failure.
    pub fn mask_failure(&self, failure: &mut Failure) {
        let Failure { code, message, retryable: _, detail } = failure;
        self.mask_text(code);
        self.mask_text(message);
        detail.iter_mut().for_each(|detail| self.mask_json(detail));
    }

    /// The same for a metric.
    pub fn mask_metric(&self, metric: &mut Metric) {
        let Metric { task_id: _, task_run_id: _, name, kind: _, value: _, tags, timestamp: _ } = metric;
        self.mask_text(name);
        if !self.is_empty() {
            let given = std::mem::take(tags).into_iter();
            tags.extend(
                given.map(|(key, value)| (self.mask(&key).into_owned(), self.mask(&value).into_owned())),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn nothing_that_somebody_said_is_left() {
        let masker = Masker::default();
        masker.add("s3cret");
        let (date, said) = ("2026-01-01T00:00:00Z", "x s3cret x");
        let state =
            json!({"current": "FAILED", "histories": [{"state": "FAILED", "date": date}], "startDate": date});
        let failure = json!({"code": "s3cret", "message": said, "detail": {"s3cret": said}});
        let mut execution: Execution = serde_json::from_value(json!({
            "id": "e", "namespace": "n", "flowId": "f", "flowRevision": 1, "originalId": "e", "state": state,
            "metadata": {"attemptNumber": 1, "originalCreatedDate": date},
            "inputs": {"a": [said]}, "outputs": {"s3cret": {"b": said}}, "variables": {"c": said},
            "labels": [{"key": said, "value": said}],
            "trigger": {"id": "t", "type": "T", "variables": {"uri": said}},
            "error": {"code": "flow.output", "message": said},
            "taskRunList": [{"id": "r", "executionId": "e", "namespace": "n", "flowId": "f", "taskId": "t",
                "value": said, "outputs": {"o": said}, "state": state,
                "attempts": [{"state": state, "failure": failure}]}],
        }))
        .unwrap();
        masker.mask_execution(&mut execution);
        let text = serde_json::to_string(&execution).unwrap();
        assert!(!text.contains("s3cret"), "{text}");
        assert_eq!(text.matches("x ****** x").count(), 12, "{text}");

        let mut metric: Metric = serde_json::from_value(json!({
            "taskId": "t", "taskRunId": "r", "name": said, "type": "counter", "value": 1, "timestamp": date,
            "tags": {"s3cret": said},
        }))
        .unwrap();
        masker.mask_metric(&mut metric);
        assert!(!format!("{metric:?}").contains("s3cret"), "{metric:?}");
    }
}
