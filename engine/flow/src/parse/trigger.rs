//! `triggers`: what they have in common, and a check of what only the engine's own can have wrong.

use std::collections::HashSet;

use indexmap::IndexMap;
use weft_model::State;

use super::id::IdKind;
use super::path::Path;
use super::{Fields, Reader, is_dynamic};
use crate::aliases::{self, EngineTrigger};
use crate::codes::{
    DEPRECATED, INVALID_CRON, INVALID_TIME_ZONE, MISSING_PROPERTY, NO_EFFECT, UNDEFINED_INPUT,
};
use crate::inputs::root_of;
use crate::validate::{Ids, Scope, check_cron, is_time_zone, never_due};
use crate::yaml::{Entry, Locator, Node};
use crate::{Diagnostic, Input, Span, Trigger, TypeInfo, engine_triggers};

/// Properties that every trigger may have and that stand in [`Trigger::properties`] as they are: the engine's, not the
/// plugin's.
pub const COMMON_TRIGGER_PROPERTIES: [&str; 6] =
    ["conditions", "when", "logLevel", "workerGroup", "allowConcurrent", "failOnTriggerError"];

/// Inputs without value that are named for each trigger; of more, only how many there are.
const MISSING_INPUTS: usize = 8;

/// States at which a trigger can stop.
const STATES: &[State] = &[
    State::Created,
    State::Running,
    State::Paused,
    State::Success,
    State::Warning,
    State::Failed,
    State::Killed,
    State::Cancelled,
    State::Retried,
    State::Skipped,
];

impl<'a> Reader<'a> {
    /// The triggers of a flow.
    pub(crate) fn triggers(&mut self, node: &'a Node, path: &Path<'_>) -> Option<Vec<Trigger>> {
        let mut ids = Ids::new("trigger");
        let items = self.list(node, path, "triggers")?;
        let triggers = items.iter().enumerate().filter_map(|(index, item)| {
            let at = path.index(index);
            self.within(Scope::Trigger, |reader| reader.trigger(item, &at, &mut ids))
        });
        Some(triggers.collect())
    }

    fn trigger(&mut self, node: &'a Node, path: &Path<'_>, ids: &mut Ids) -> Option<Trigger> {
        let map = self.map(node, path)?;
        let map = self.defaults.apply(map, self.catalogue);
        let mut fields = Fields::new(&map, node.span);
        let id = self.required(&mut fields, "id", (path, "this trigger"), |reader, node, path| {
            reader.id(node, path, IdKind::Task)
        });
        let what = id.as_ref().map_or_else(|| "this trigger".to_owned(), |(id, _)| format!("trigger `{id}`"));
        if let Some((id, span)) = &id {
            let duplicate = ids.add(id, *span, path);
            self.diagnostics.extend(duplicate);
        }
        fields.set_example_type("io.kestra.plugin.core.trigger.Schedule");
        let type_name = self.required(&mut fields, "type", (path, &what), |reader, node, path| {
            reader.text(node, path).map(|text| (text, node.span))
        });
        let description = self.optional(&mut fields, "description", path, Self::text);
        let disabled = self.optional(&mut fields, "disabled", path, Self::boolean).unwrap_or(false);
        let inputs = self.optional(&mut fields, "inputs", path, |reader, node, path| {
            reader.given_names(node, path);
            reader.rendered_map(node, path)
        });
        let inputs = inputs.unwrap_or_default();
        let labels = self.optional(&mut fields, "labels", path, Self::labels).unwrap_or_default();
        let stop_after = self.optional(&mut fields, "stopAfter", path, Self::states).unwrap_or_default();
        self.no_effect(&mut fields, "version", path, "there is one version of each plugin");
        let handed_on: Vec<&Entry> =
            COMMON_TRIGGER_PROPERTIES.into_iter().filter_map(|key| fields.take(key)).collect();
        fields.end_common();
        for entry in &handed_on {
            let at = path.key(&entry.key);
            self.check_expressions(&entry.value, &at);
            if entry.key == "conditions" {
                self.check_conditions(&entry.value, &at);
            }
        }
        let (type_name, type_span) = type_name?;
        let Some((info, engine)) = self.trigger_type(&type_name, type_span, path) else {
            self.unknown_trigger(&type_name, type_span, path);
            fields.rest().for_each(|entry| self.check_expressions(&entry.value, &path.key(&entry.key)));
            return None;
        };
        let own: Vec<&Entry> = fields.rest().collect();
        let mut properties =
            self.plugin_properties(info, &own, fields.common(), (path, &what), fields.head());
        properties.extend(handed_on.iter().map(|entry| (entry.key.clone(), entry.value.to_json())));
        if let Some(EngineTrigger::Schedule | EngineTrigger::ScheduleOnDates) = engine {
            self.check_schedule(&own, path);
        }
        let (id, _) = id?;
        Some(Trigger {
            id,
            type_name,
            description,
            disabled,
            inputs,
            labels,
            stop_after,
            properties,
            span: node.span,
        })
    }

    /// Inputs that a trigger gives and the flow does not have.
    fn given_names(&mut self, node: &Node, path: &Path<'_>) {
        let Some(known) = self.input_names.clone() else { return };
        for entry in node.as_map().map_or(&[][..], |map| &map.entries) {
            if !known.roots.contains(root_of(&entry.key)) {
                let names = known.ids.iter().map(String::as_str);
                let hint = self.nearest_or_all(&entry.key, names, "the inputs are");
                let message = format!("the flow has no input `{}`", entry.key);
                let diagnostic = Diagnostic::warning(UNDEFINED_INPUT, entry.key_span, message);
                self.push(diagnostic.at(path.key(&entry.key)).maybe_hint(hint));
            }
        }
    }

    /// Inputs that an execution needs and that a trigger does not give. Whoever calls a webhook may give them.
    pub(crate) fn check_given(&mut self, triggers: &[Trigger], inputs: &[Input]) {
        let is_asked = |trigger: &&Trigger| {
            let webhook = |names: &aliases::Names<EngineTrigger>| names.what == EngineTrigger::Webhook;
            !trigger.disabled && !aliases::engine_trigger(&trigger.type_name).is_some_and(webhook)
        };
        // Those that a value for the same name is given to, together: most triggers give what is needed, or nothing.
        let mut needed: IndexMap<&str, Vec<&Input>> = IndexMap::new();
        for input in inputs.iter().filter(|input| input.is_needed()) {
            needed.entry(root_of(&input.id)).or_default().push(input);
        }
        let all: usize = needed.values().map(Vec::len).sum();
        for trigger in triggers.iter().filter(is_asked) {
            let given: HashSet<&str> = trigger.inputs.keys().map(|key| root_of(key)).collect();
            let given_count: usize = given.iter().filter_map(|name| needed.get(name)).map(Vec::len).sum();
            let missing = all - given_count;
            let named =
                needed.iter().filter(|(name, _)| !given.contains(**name)).flat_map(|(_, inputs)| inputs);
            for (index, input) in named.take(missing.min(MISSING_INPUTS)).enumerate() {
                let also = match missing.saturating_sub(MISSING_INPUTS) {
                    more if more > 0 && index + 1 == MISSING_INPUTS => format!(", nor to {more} others"),
                    _ => String::new(),
                };
                let message = format!(
                    "trigger `{}` gives no value to the input `{}`, which executions need{also}",
                    trigger.id, input.id
                );
                let hint =
                    format!("add `{}: ...` to the trigger's `inputs`, or `defaults` to the input", input.id);
                let head = Span::new(trigger.span.start, trigger.span.start);
                let diagnostic = Diagnostic::error(MISSING_PROPERTY, head, message).hint(hint);
                self.push(diagnostic.related(input.span, "the input").at_runtime());
            }
        }
    }

    fn trigger_type(
        &mut self,
        type_name: &str,
        span: Span,
        path: &Path<'_>,
    ) -> Option<(&'a TypeInfo, Option<EngineTrigger>)> {
        if let Some(names) = aliases::engine_trigger(type_name) {
            return engine_triggers::info(names.what).map(|info| (info, Some(names.what)));
        }
        let catalogue = self.catalogue;
        let info = catalogue.trigger(type_name)?;
        if let Some(instead) = &info.deprecated {
            let message = format!("the trigger type `{type_name}` is deprecated");
            self.push(
                Diagnostic::warning(DEPRECATED, span, message).at(path.key("type")).hint(instead.as_str()),
            );
        }
        Some((info, None))
    }

    fn unknown_trigger(&mut self, type_name: &str, span: Span, path: &Path<'_>) {
        self.unknown_type("trigger", (type_name, span), path, |catalogue| {
            let triggers =
                catalogue.type_names().into_iter().filter(|name| catalogue.trigger(name).is_some());
            triggers.chain(aliases::ENGINE_TRIGGERS.iter().map(|names| names.canonical())).collect()
        });
    }

    fn states(&mut self, node: &Node, path: &Path<'_>) -> Option<Vec<State>> {
        let items = self.list(node, path, "states")?;
        let states =
            items.iter().enumerate().filter_map(|(index, item)| self.state(item, &path.index(index), STATES));
        Some(states.collect())
    }

    /// The cron expression and the time zone.
    fn check_schedule(&mut self, own: &[&Entry], path: &Path<'_>) {
        let find = |key: &str| own.iter().find(|entry| entry.key == key).map(|entry| &entry.value);
        let with_seconds = find("withSeconds").is_some_and(|node| node.to_json() == true);
        let fixed = |node: &'_ Node| node.as_str().filter(|text| !is_dynamic(text)).map(str::to_owned);
        if let Some((node, text)) = find("cron").and_then(|node| Some((node, fixed(node)?)))
            && let Err(error) = check_cron(&text, with_seconds)
        {
            let span =
                Locator::new(self.lines, node).map_or(node.span, |mut locator| locator.span(error.span));
            let hint = "five fields, as in `0 9 * * MON-FRI` (at 9:00 from Monday to Friday)";
            let diagnostic = Diagnostic::error(INVALID_CRON, span, error.message);
            self.push(diagnostic.at(path.key("cron")).hint(hint));
        } else if let Some(node) = find("cron")
            && let Some(reason) = fixed(node).and_then(|text| never_due(&text))
        {
            let diagnostic = Diagnostic::warning(NO_EFFECT, node.span, reason);
            self.push(diagnostic.at(path.key("cron")).hint("change the day of the month, or the month"));
        }
        if let Some((node, name)) = find("timezone").and_then(|node| Some((node, fixed(node)?)))
            && !is_time_zone(&name)
        {
            let message = format!("`{name}` is not a time zone");
            let hint = "use a name such as `Europe/Paris`, or an offset such as `+02:00`";
            let diagnostic = Diagnostic::error(INVALID_TIME_ZONE, node.span, message);
            self.push(diagnostic.at(path.key("timezone")).hint(hint));
        }
    }
}
