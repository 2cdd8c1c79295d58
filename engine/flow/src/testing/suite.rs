//! A test file as a whole, and its cases.

use jiff::SignedDuration;
use weft_model::State;

use super::model::{FlowReference, FlowTests, TestCase, TestUse};
use super::{Fixtures, fixtures};
use crate::codes::{INVALID_VALUE, MISSING_PROPERTY, YAML_LIMIT};
use crate::parse::{Fields, IdKind, Path, Reader};
use crate::validate::{Ids, Scope};
use crate::yaml::{Kind, Node};
use crate::{Diagnostic, Span};

const WHAT: &str = "the test file";

/// Fixtures of a file in all its cases, those that are common counted in each.
const MOST_COPIES: usize = 1_000_000;

/// States in which an execution or a task run can be at the end of a test.
const STATES: &[State] = &[
    State::Success,
    State::Warning,
    State::Failed,
    State::Killed,
    State::Cancelled,
    State::Paused,
    State::Retried,
    State::Skipped,
];

impl Reader<'_> {
    /// Reads a whole test file.
    pub(crate) fn flow_tests(&mut self, root: &Node) -> Option<FlowTests> {
        let path = &Path::ROOT;
        let mut fields = self.fields(root, path)?;
        let id = self.required(&mut fields, "id", (path, WHAT), |reader, node, path| {
            reader.id(node, path, IdKind::Flow).map(|(id, _)| id)
        });
        let flow = self.flow_reference(&mut fields, path);
        let description = self.optional(&mut fields, "description", path, Self::text);
        let disabled = self.optional(&mut fields, "disabled", path, Self::boolean).unwrap_or(false);
        let mut uses = Vec::new();
        let common = self.optional(&mut fields, "fixtures", path, |reader, node, path| {
            reader.within(Scope::Anywhere, |reader| reader.fixtures(node, path))
        });
        self.take_uses(&mut uses, false);
        let common = common.unwrap_or_default();
        let cases = self.required(&mut fields, "testCases", (path, WHAT), |reader, node, path| {
            reader.not_empty(node, path, ("test cases", "`- id: a-case` and, below it, its `assertions`"));
            reader.test_cases(node, path, (&common, disabled), &mut uses)
        });
        self.finish(fields, path, WHAT);
        Some(FlowTests {
            id: id.unwrap_or_default(),
            flow: flow?,
            description,
            cases: cases.unwrap_or_default(),
            uses,
        })
    }

    fn flow_reference(&mut self, fields: &mut Fields<'_>, path: &Path<'_>) -> Option<FlowReference> {
        let span = |key: &str, fields: &Fields<'_>| fields.span_of(key);
        let place = span("flow", fields).or(span("flowId", fields)).unwrap_or_else(|| fields.head());
        let file = self.optional(fields, "flow", path, Self::text);
        let mut named = |reader: &mut Self, key: &'static str, kind: IdKind| {
            let read = |reader: &mut Self, node: &Node, path: &Path<'_>| {
                reader.id(node, path, kind).map(|(name, _)| name)
            };
            match file {
                Some(_) => reader.optional(fields, key, path, read),
                None => reader.required(fields, key, (path, WHAT), read),
            }
        };
        let namespace = named(self, "namespace", IdKind::Namespace);
        let id = named(self, "flowId", IdKind::Flow);
        let known = file.is_some() || (namespace.is_some() && id.is_some());
        known.then_some(FlowReference { path: file, namespace, id, span: place })
    }

    fn test_cases(
        &mut self,
        node: &Node,
        path: &Path<'_>,
        (common, disabled): (&Fixtures, bool),
        uses: &mut Vec<TestUse>,
    ) -> Option<Vec<TestCase>> {
        let mut ids = Ids::new("test case");
        let mut cases = Vec::new();
        let items = self.list(node, path, "test cases")?;
        // Each case has its own copy of what is common to them.
        let copies = fixtures::count(common).saturating_mul(items.len());
        if copies > MOST_COPIES {
            let message = format!(
                "the {} fixtures that are common to {} cases would be {copies}, and {MOST_COPIES} are allowed",
                fixtures::count(common),
                items.len(),
            );
            let hint = "move fixtures to the cases that need them, or cases to other files";
            self.push(Diagnostic::error(YAML_LIMIT, self.head(node), message).at(path).hint(hint));
            return None;
        }
        for (index, item) in items.iter().enumerate() {
            if let Some(mut case) = self.test_case(item, &path.index(index), &mut ids, uses) {
                fixtures::add_common(&mut case.fixtures, common);
                case.disabled |= disabled;
                cases.push(case);
            }
        }
        Some(cases)
    }

    fn test_case(
        &mut self,
        node: &Node,
        path: &Path<'_>,
        ids: &mut Ids,
        uses: &mut Vec<TestUse>,
    ) -> Option<TestCase> {
        let mut fields = self.fields(node, path)?;
        let id = self.required(&mut fields, "id", (path, "this test case"), |reader, node, path| {
            reader.id(node, path, IdKind::Input)
        });
        let what =
            id.as_ref().map_or_else(|| "this test case".to_owned(), |(id, _)| format!("test case `{id}`"));
        if let Some((id, span)) = &id {
            let duplicate = ids.add(id, *span, path);
            self.diagnostics.extend(duplicate.map(|duplicate| duplicate.hint("rename one of the two")));
        }
        // What kind of test it is: there is one.
        let _ = self.optional(&mut fields, "type", path, Self::text);
        let description = self.optional(&mut fields, "description", path, Self::text);
        let disabled = self.optional(&mut fields, "disabled", path, Self::boolean).unwrap_or(false);
        let fixtures = self.optional(&mut fields, "fixtures", path, Self::fixtures).unwrap_or_default();
        self.take_uses(uses, false);
        let states = self.optional(&mut fields, "state", path, Self::end_states);
        let refused = self.optional(&mut fields, "refused", path, Self::refusal);
        let timeout = self.optional(&mut fields, "timeout", path, Self::case_timeout);
        let real_time = self.optional(&mut fields, "realTime", path, Self::boolean).unwrap_or(false);
        let assertions = self.optional(&mut fields, "assertions", path, Self::assertions).unwrap_or_default();
        self.take_uses(uses, true);
        if refused.is_some() {
            self.no_state_when_refused(&fields, path);
        }
        self.finish(fields, path, &what);
        let (id, span) = id?;
        Some(TestCase {
            id,
            description,
            disabled,
            fixtures,
            states,
            refused,
            timeout,
            real_time,
            assertions,
            span,
        })
    }

    /// An execution that is refused never was: nothing can be said of it.
    fn no_state_when_refused(&mut self, fields: &Fields<'_>, path: &Path<'_>) {
        for key in ["state", "assertions"] {
            if let Some(span) = fields.span_of(key) {
                let message = format!("there is no execution when the inputs are refused, so no `{key}`");
                let diagnostic = Diagnostic::error(INVALID_VALUE, Span::at(span.start), message);
                self.push(diagnostic.at(path.key(key)).hint(format!("remove `refused` or `{key}`")));
            }
        }
    }

    /// `refused: true`, or a text that is in the message.
    fn refusal(&mut self, node: &Node, path: &Path<'_>) -> Option<String> {
        match &node.kind {
            Kind::Bool(true) => Some(String::new()),
            Kind::Bool(false) => None,
            _ => self.text(node, path),
        }
    }

    fn case_timeout(&mut self, node: &Node, path: &Path<'_>) -> Option<SignedDuration> {
        let timeout = self.positive_duration(node, path)?;
        if timeout.is_zero() {
            self.invalid(node, path, "a timeout must be longer than nothing");
            return None;
        }
        Some(timeout)
    }

    /// One state or a list of them.
    pub(super) fn end_states(&mut self, node: &Node, path: &Path<'_>) -> Option<Vec<State>> {
        let Some(items) = node.as_list() else {
            return self.state(node, path, STATES).map(|state| vec![state]);
        };
        if items.is_empty() {
            self.invalid(node, path, "a list of states must not be empty");
            return None;
        }
        let read = |(index, item): (usize, &Node)| self.state(item, &path.index(index), STATES);
        items.iter().enumerate().map(read).collect()
    }

    /// An id that is looked up later, and where it stands.
    pub(super) fn reference(&mut self, node: &Node, path: &Path<'_>) -> Option<(String, Span)> {
        self.text(node, path).map(|text| (text, node.span))
    }

    /// Reports properties of which at most one may be there.
    pub(super) fn one_of(&mut self, found: &[(&str, Span)], path: &Path<'_>, what: &str) -> bool {
        let [(first, first_span), (second, span), ..] = found else { return true };
        let message = format!("{what} has either `{first}` or `{second}`");
        let diagnostic = Diagnostic::error(INVALID_VALUE, *span, message).at(path);
        self.push(diagnostic.related(*first_span, "the other one"));
        false
    }

    /// Reports that something that decides what the map means is not there.
    pub(super) fn missing_any(
        &mut self,
        fields: &Fields<'_>,
        path: &Path<'_>,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        // A name with a typing mistake is reported as such.
        if fields.rest().next().is_none() {
            let diagnostic = Diagnostic::error(MISSING_PROPERTY, fields.head(), message);
            self.push(diagnostic.at(path).hint(hint));
        }
    }

    /// Moves what expressions were found to read to the uses of the file.
    fn take_uses(&mut self, uses: &mut Vec<TestUse>, at_end: bool) {
        uses.extend(self.uses.drain(..).map(|found| TestUse {
            root: found.span(0),
            span: found.span(1),
            names: found.names,
            path: found.path,
            at_end,
        }));
    }
}
