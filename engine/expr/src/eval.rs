//! Evaluates the tree.

use crate::Value;
use crate::arguments::Args;
use crate::engine::Engine;
use crate::error::{Failure, Fault};
use crate::missing;
use crate::operators;
use crate::scope::Scopes;
use crate::text::Output;
use crate::tree::{Binary, Body, Expr, FilterCall, Kind, Node, Span, Tree};
use crate::values::{self, Entries, Entry, kind_name};

pub(crate) type Evaluated<T> = Result<T, Failure>;

/// One template being rendered.
pub(crate) struct Evaluator<'a> {
    pub engine: &'a Engine<'a>,
    pub scopes: Scopes<'a>,
    source: &'a str,
    tree: &'a Tree,
    /// Whether `raw` is written with its tags, for a later pass.
    keep_raw: bool,
    /// How many `??` and the like are around, which catch what is missing: nobody reads the message then.
    catching: usize,
}

impl<'a> Evaluator<'a> {
    pub fn new(source: &'a str, tree: &'a Tree, engine: &'a Engine<'a>, scopes: Scopes<'a>) -> Self {
        Self { engine, scopes, source, tree, keep_raw: false, catching: 0 }
    }

    /// Writes `raw` with its tags.
    pub fn keeping_raw(self) -> Self {
        Self { keep_raw: true, ..self }
    }

    /// Renders the whole template.
    pub fn run(&mut self, output: &mut Output) -> Evaluated<()> {
        let tree = self.tree;
        self.body(&tree.body, output)
    }

    fn body(&mut self, body: &'a Body, output: &mut Output) -> Evaluated<()> {
        for node in body {
            self.node(node, output)?;
        }
        Ok(())
    }

    fn node(&mut self, node: &'a Node, output: &mut Output) -> Evaluated<()> {
        match node {
            Node::Text(span) => output.push(span.of(self.source)).map_err(|fault| fault.at(*span)),
            Node::Raw { whole, inside } => {
                let span = if self.keep_raw { whole } else { inside };
                output.push(span.of(self.source)).map_err(|fault| fault.at(*span))
            }
            Node::Print(expr) => self.print(expr, output),
            Node::Set { name, value } => {
                let evaluated = self.eval(value)?;
                self.engine.charge(1).map_err(|fault| fault.at(value.span))?;
                self.scopes.set(name, evaluated);
                Ok(())
            }
            Node::If { branches, otherwise } => self.branches(branches, otherwise, output),
            Node::For { variable, over, body, otherwise } => {
                self.looped(variable, over, body, otherwise, output)
            }
            Node::Block(name, span) => {
                let tree = self.tree;
                match tree.blocks.get(name) {
                    Some(body) => self.levelled(*span, |this| this.body(body, output)),
                    None => Ok(()),
                }
            }
            Node::Filtered { filters, body } => self.filtered(filters, body, output),
        }
    }

    fn print(&mut self, expr: &'a Expr, output: &mut Output) -> Evaluated<()> {
        let value = self.eval(expr)?;
        self.engine.charge(1).and_then(|()| output.value(&value)).map_err(|fault| fault.at(expr.span))
    }

    fn branches(
        &mut self,
        branches: &'a [(Expr, Body)],
        otherwise: &'a Body,
        output: &mut Output,
    ) -> Evaluated<()> {
        for (condition, body) in branches {
            let value = self.eval(condition)?;
            if operators::truth("if", &value).map_err(|fault| fault.at(condition.span))? {
                return self.body(body, output);
            }
        }
        self.body(otherwise, output)
    }

    /// One scope for all rounds: what a round sets the next one sees, and what came before the loop can be set too.
    fn looped(
        &mut self,
        variable: &'a str,
        over: &'a Expr,
        body: &'a Body,
        otherwise: &'a Body,
        output: &mut Output,
    ) -> Evaluated<()> {
        let list = self.eval(over)?;
        if values::is_null(&list) {
            return Ok(());
        }
        let elements = self.elements(&list).map_err(|fault| fault.at(over.span))?;
        if elements.is_empty() {
            return self.body(otherwise, output);
        }
        let length = elements.len();
        self.levelled(over.span, |this| {
            this.scopes.push();
            for (index, element) in elements.into_iter().enumerate() {
                this.engine.charge(1).map_err(|fault| fault.at(over.span))?;
                this.scopes.put("loop", Value::from_object(crate::scope::Round { index, length }));
                this.scopes.put(variable, element);
                this.body(body, output)?;
            }
            this.scopes.pop();
            Ok(())
        })
    }

    fn elements(&self, list: &Value) -> Result<Vec<Value>, Fault> {
        if values::is_map(list) && list.downcast_object_ref::<Entry>().is_none() {
            let mut entries = Vec::new();
            for (key, value) in values::pairs(list) {
                self.engine.charge(1)?;
                entries.push(values::entry_value(key, value));
            }
            return Ok(entries);
        }
        if !values::is_list(list) {
            return Err(Fault::new(format!("`for` needs a list or a map, not {}", kind_name(list))));
        }
        self.engine.items(list)
    }

    fn filtered(&mut self, filters: &'a [FilterCall], body: &'a Body, output: &mut Output) -> Evaluated<()> {
        let mut inner = self.engine.output();
        self.body(body, &mut inner)?;
        let mut value = Value::from(inner.into_text());
        for call in filters {
            value = self.apply(call, &value)?;
        }
        match filters.last() {
            Some(call) => output.value(&value).map_err(|fault| fault.at(call.span)),
            None => Ok(()),
        }
    }

    /// Does something one level deeper on the stack. Afterwards the scopes are as before, even after a failure, since
    /// `??` may go on from there.
    fn levelled<T>(&mut self, span: Span, inner: impl FnOnce(&mut Self) -> Evaluated<T>) -> Evaluated<T> {
        self.engine.enter().map_err(|fault| fault.at(span))?;
        let depth = self.scopes.depth();
        let result = inner(self);
        self.scopes.truncate(depth);
        self.engine.leave();
        result
    }

    pub fn eval(&mut self, expr: &'a Expr) -> Evaluated<Value> {
        match &expr.kind {
            Kind::Literal(value) => Ok(value.clone()),
            Kind::Variable(name) => self.variable(name, expr.span),
            _ => self.levelled(expr.span, |this| this.compound(expr)),
        }
    }

    fn compound(&mut self, expr: &'a Expr) -> Evaluated<Value> {
        let span = expr.span;
        match &expr.kind {
            Kind::Literal(value) => Ok(value.clone()),
            Kind::Variable(name) => self.variable(name, span),
            Kind::Interpolated(parts) => self.interpolated(parts, span),
            Kind::List(elements) => self.list(elements, span),
            Kind::Map(entries) => self.map(entries, span),
            Kind::Attribute(of, name) => self.attribute(of, name, span),
            Kind::Index(of, index) => self.index(of, index, span),
            Kind::Method(of, filter) => {
                let input = self.eval(of)?;
                let args = Args { signature: &filter.signature, values: Vec::new() };
                filter.apply(&input, &args, self.engine).map_err(|fault| fault.at(span))
            }
            Kind::Function { function, arguments } => {
                let values = self.arguments(arguments)?;
                let args = Args { signature: &function.signature, values };
                function.call(self, &args).map_err(|fault| fault.at(span))
            }
            Kind::Block(name) => self.block(name, span),
            Kind::Macro { name, positional, named } => self.call_macro(name, positional, named, span),
            Kind::Filter(input, call) => self.filter(input, call),
            Kind::Test { of, test, arguments, negated, .. } => {
                let value = if test.takes_undefined { self.or_null(of)? } else { self.eval(of)? };
                let args = Args { signature: &test.signature, values: self.arguments(arguments)? };
                let holds = test.holds(&value, &args, self.engine).map_err(|fault| fault.at(span))?;
                Ok(Value::from(holds != *negated))
            }
            Kind::Unary(operator, of) => {
                let value = self.eval(of)?;
                operators::unary(*operator, &value).map_err(|fault| fault.at(span))
            }
            Kind::Binary(operator, left, right) => self.binary(*operator, left, right, span),
            Kind::Ternary(parts) => {
                let [condition, yes, no] = &**parts;
                let value = self.eval(condition)?;
                let holds = !values::is_null(&value)
                    && operators::truth("? :", &value).map_err(|fault| fault.at(condition.span))?;
                self.eval(if holds { yes } else { no })
            }
        }
    }

    /// Evaluates what may be missing.
    fn caught(&mut self, expr: &'a Expr) -> Evaluated<Value> {
        self.catching += 1;
        let result = self.eval(expr);
        self.catching -= 1;
        result
    }

    fn or_null(&mut self, expr: &'a Expr) -> Evaluated<Value> {
        match self.caught(expr) {
            Err(failure) if failure.is_undefined() => Ok(values::null()),
            result => result,
        }
    }

    /// Whether somebody around copes with what is missing.
    pub(crate) fn is_catching(&self) -> bool {
        self.catching > 0
    }

    /// The failure of something missing, with its message only if it can be read.
    fn missing(&self, span: Span, message: impl FnOnce() -> Fault) -> Failure {
        let fault = if self.catching > 0 { Fault::new("missing") } else { message() };
        fault.undefined_at(span)
    }

    fn variable(&mut self, name: &str, span: Span) -> Evaluated<Value> {
        match self.scopes.get(name) {
            Some(value) => self.checked(value, span),
            None => Err(self.missing(span, || missing::variable(name, &self.scopes))),
        }
    }

    /// A value of the context, unless it could not be computed.
    fn checked(&self, value: Value, span: Span) -> Evaluated<Value> {
        match values::held_error(&value) {
            Some(fault) => Err(fault.at(span)),
            None => Ok(value),
        }
    }

    fn attribute(&mut self, of: &'a Expr, name: &str, span: Span) -> Evaluated<Value> {
        let value = self.eval(of)?;
        let found =
            value.as_object().filter(|_| values::is_map(&value)).and_then(|map| map.get_value_by_str(name));
        match found.filter(|found| !found.is_undefined()) {
            Some(found) => self.checked(found, span),
            None => Err(self.missing(span, || {
                missing::attribute(span.of(self.source), &value, of.span.of(self.source), name)
            })),
        }
    }

    fn index(&mut self, of: &'a Expr, index: &'a Expr, span: Span) -> Evaluated<Value> {
        let value = self.eval(of)?;
        let key = self.eval(index)?;
        let found = if values::is_list(&value) {
            let position = values::integer(&key).or_else(|| key.as_str()?.parse().ok());
            position
                .and_then(|position| usize::try_from(position).ok())
                .and_then(|position| value.get_item_by_index(position).ok())
                .filter(|found| !found.is_undefined())
        } else if values::is_map(&value) {
            values::entry(&value, &key)
        } else {
            None
        };
        match found {
            Some(found) => self.checked(found, span),
            None => Err(self.missing(span, || {
                missing::index(span.of(self.source), &value, of.span.of(self.source), &key)
            })),
        }
    }

    fn interpolated(&mut self, parts: &'a [Expr], span: Span) -> Evaluated<Value> {
        let mut output = self.engine.output();
        for part in parts {
            let value = self.eval(part)?;
            output.value(&value).map_err(|fault| fault.at(part.span))?;
        }
        self.engine.text(output.into_text()).map_err(|fault| fault.at(span))
    }

    fn list(&mut self, elements: &'a [Expr], span: Span) -> Evaluated<Value> {
        let elements: Vec<Value> =
            elements.iter().map(|element| self.eval(element)).collect::<Result<_, _>>()?;
        self.engine.list(elements).map_err(|fault| fault.at(span))
    }

    fn map(&mut self, entries: &'a [(Expr, Expr)], span: Span) -> Evaluated<Value> {
        let mut map = Entries::with_capacity(entries.len());
        for (key, value) in entries {
            let name = self.eval(key)?;
            let name = self.engine.printed(&name).map_err(|fault| fault.at(key.span))?;
            map.insert(name, self.eval(value)?);
        }
        self.engine.map(map).map_err(|fault| fault.at(span))
    }

    fn arguments(&mut self, arguments: &'a [Option<Expr>]) -> Evaluated<Vec<Option<Value>>> {
        arguments
            .iter()
            .map(|argument| argument.as_ref().map(|argument| self.eval(argument)).transpose())
            .collect()
    }

    fn filter(&mut self, input: &'a Expr, call: &'a FilterCall) -> Evaluated<Value> {
        let value = if call.filter.takes_undefined { self.or_null(input)? } else { self.eval(input)? };
        self.apply(call, &value)
    }

    fn apply(&mut self, call: &'a FilterCall, input: &Value) -> Evaluated<Value> {
        let args = Args { signature: &call.filter.signature, values: self.arguments(&call.arguments)? };
        call.filter.apply(input, &args, self.engine).map_err(|fault| fault.at(call.span))
    }

    fn binary(&mut self, operator: Binary, left: &'a Expr, right: &'a Expr, span: Span) -> Evaluated<Value> {
        let truth = |expr: &Expr, value: &Value| {
            operators::truth(operator.symbol(), value).map_err(|fault| fault.at(expr.span))
        };
        match operator {
            Binary::And | Binary::Or => {
                let value = self.eval(left)?;
                if truth(left, &value)? == (operator == Binary::Or) {
                    return Ok(Value::from(operator == Binary::Or));
                }
                let value = self.eval(right)?;
                truth(right, &value).map(Value::from)
            }
            Binary::NullCoalesce | Binary::UndefinedCoalesce => match self.caught(left) {
                Err(failure) if failure.is_undefined() => self.eval(right),
                Ok(value) if operator == Binary::NullCoalesce && values::is_null(&value) => self.eval(right),
                value => value,
            },
            _ => self.strict(operator, left, right, span).map_err(|failure| {
                match missing::dash_hint(operator, left, right, self.source) {
                    Some(hint) => failure.with_hint(hint),
                    None => failure,
                }
            }),
        }
    }

    fn strict(&mut self, operator: Binary, left: &'a Expr, right: &'a Expr, span: Span) -> Evaluated<Value> {
        let left_value = self.eval(left)?;
        if operator == Binary::Contains && values::is_null(&left_value) {
            return Ok(Value::from(false));
        }
        let right_value = self.eval(right)?;
        operators::binary(self.engine, operator, &left_value, &right_value).map_err(|fault| fault.at(span))
    }

    fn block(&mut self, name: &'a Expr, span: Span) -> Evaluated<Value> {
        let value = self.eval(name)?;
        let wanted = self.engine.printed(&value).map_err(|fault| fault.at(name.span))?;
        let tree = self.tree;
        let Some(body) = tree.blocks.get(&wanted) else {
            return Err(Fault::new(format!("there is no block `{wanted}` in this template")).at(name.span));
        };
        let mut output = self.engine.output();
        self.body(body, &mut output)?;
        self.engine.text(output.into_text()).map_err(|fault| fault.at(span))
    }

    /// A macro sees its arguments and nothing else.
    fn call_macro(
        &mut self,
        name: &str,
        positional: &'a [Expr],
        named: &'a [(String, Expr)],
        span: Span,
    ) -> Evaluated<Value> {
        let tree = self.tree;
        let Some(definition) = tree.macros.get(name) else {
            return Err(Fault::new(format!("there is no macro `{name}`")).at(span));
        };
        let names: Vec<&str> = definition.parameters.iter().map(|(name, _)| name.as_str()).collect();
        if let Some(extra) = positional.get(names.len()) {
            let most = names.len();
            return Err(Fault::new(format!("the macro `{name}` takes {most} arguments")).at(extra.span));
        }
        let mut given = Vec::with_capacity(names.len());
        for (parameter, value) in names.iter().zip(positional) {
            given.push((*parameter, self.eval(value)?));
        }
        for (parameter, value) in named {
            if !names.contains(&parameter.as_str()) {
                let fault = Fault::new(format!("the macro `{name}` has no argument `{parameter}`"));
                return Err(fault
                    .with_hint(format!("its arguments are {}", names.join(", ")))
                    .at(value.span));
            }
            given.push((parameter.as_str(), self.eval(value)?));
        }
        self.scopes.push_barrier();
        for (parameter, default) in &definition.parameters {
            let value = match (given.iter().find(|(name, _)| name == parameter), default) {
                (Some((_, value)), _) => value.clone(),
                (None, Some(default)) => self.eval(default)?,
                (None, None) => values::null(),
            };
            self.scopes.put(parameter, value);
        }
        let mut output = self.engine.output();
        self.body(&definition.body, &mut output)?;
        self.scopes.pop();
        self.engine.text(output.into_text()).map_err(|fault| fault.at(span))
    }
}
