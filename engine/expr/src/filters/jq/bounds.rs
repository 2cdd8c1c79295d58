//! Rewrites a program of jq so that everything that can happen many times takes steps.

use std::collections::HashSet;
use std::sync::LazyLock;

use jaq_core::load::lex::StrPart;
use jaq_core::load::parse::{BinaryOp, Def, Pattern, Term};
use jaq_core::ops::Math;
use jaq_core::path::{Part, Path};

/// Builtins that look at all of their input and of what their arguments yield.
const DEEP: [&str; 9] = [
    "tojson",
    "sort",
    "sort_by",
    "group_by",
    "min_by_or_empty",
    "max_by_or_empty",
    "contains",
    "indices",
    "bsearch",
];

/// Builtins that are no definitions.
static NATIVE: LazyLock<HashSet<&str>> = LazyLock::new(|| super::builtins().map(|(name, ..)| name).collect());

fn call<'s>(name: &'s str, arguments: Vec<Term<&'s str>>) -> Term<&'s str> {
    Term::Call(name, arguments)
}

fn pipe<'s>(left: Term<&'s str>, right: Term<&'s str>) -> Term<&'s str> {
    Term::BinOp(Box::new(left), BinaryOp::Pipe(None), Box::new(right))
}

/// A definition whose every call is a step.
pub(super) fn bounded_def(def: Def<&str>) -> Def<&str> {
    Def { name: def.name, args: def.args, body: pipe(call("__step", Vec::new()), bounded(def.body)) }
}

/// A term that takes a step before it runs, unless it yields one value and does nothing.
fn stepped(term: Term<&str>) -> Term<&str> {
    match term {
        Term::Id | Term::Num(_) | Term::Var(_) => term,
        term => pipe(call("__step", Vec::new()), bounded(term)),
    }
}

fn bounded_box(term: Term<&str>) -> Box<Term<&str>> {
    Box::new(bounded(term))
}

fn stepped_box(term: Term<&str>) -> Box<Term<&str>> {
    Box::new(stepped(term))
}

/// A term in which everything that can run many times takes steps. The last part of a pipe stays last, so that tail
/// calls stay tail calls.
fn bounded(term: Term<&str>) -> Term<&str> {
    match term {
        Term::Id | Term::Num(_) | Term::Var(_) | Term::Break(_) | Term::Arr(None) => term,
        Term::Recurse => pipe(Term::Recurse, call("__step", Vec::new())),
        Term::Str(format, parts) => {
            let parts = parts.into_iter().map(|part| match part {
                StrPart::Term(term) => StrPart::Term(pipe(stepped(term), call("__measured", Vec::new()))),
                part => part,
            });
            Term::Str(format, parts.collect())
        }
        Term::Arr(Some(inner)) => Term::Arr(Some(bounded_box(*inner))),
        Term::Obj(entries) => {
            Term::Obj(entries.into_iter().map(|(key, value)| (object_key(key), value.map(stepped))).collect())
        }
        Term::Neg(inner) => Term::Neg(bounded_box(*inner)),
        Term::BinOp(left, BinaryOp::Math(Math::Mul), right) => {
            call("__times", vec![stepped(*left), stepped(*right)])
        }
        Term::BinOp(left, BinaryOp::Math(Math::Add), right) => {
            let sum = Term::BinOp(bounded_box(*left), BinaryOp::Math(Math::Add), stepped_box(*right));
            pipe(sum, call("__fits", Vec::new()))
        }
        // `l += r` is `r as $o | l |= . + $o`.
        Term::BinOp(left, BinaryOp::UpdateMath(operator @ (Math::Add | Math::Sub | Math::Mul)), right) => {
            let operand = Box::new(Term::Var("$__operand"));
            let result = bounded(Term::BinOp(Box::new(Term::Id), BinaryOp::Math(operator), operand));
            let update = Term::BinOp(bounded_box(*left), BinaryOp::Update, Box::new(result));
            let bind = BinaryOp::Pipe(Some(Pattern::Var("$__operand")));
            Term::BinOp(stepped_box(*right), bind, Box::new(update))
        }
        // The difference of lists compares as well.
        Term::BinOp(left, operator @ (BinaryOp::Cmp(_) | BinaryOp::Math(Math::Sub)), right) => {
            let measured = |term| Box::new(pipe(stepped(term), call("__measured", Vec::new())));
            Term::BinOp(measured(*left), operator, measured(*right))
        }
        Term::BinOp(left, operator, right) => {
            Term::BinOp(bounded_box(*left), bounded_operator(operator), stepped_box(*right))
        }
        Term::Label(name, inner) => Term::Label(name, bounded_box(*inner)),
        Term::Fold(name, source, pattern, updates) => Term::Fold(
            name,
            bounded_box(*source),
            bounded_pattern(pattern),
            updates.into_iter().map(stepped).collect(),
        ),
        Term::TryCatch(inner, otherwise) => {
            Term::TryCatch(bounded_box(*inner), otherwise.map(|term| stepped_box(*term)))
        }
        Term::IfThenElse(branches, otherwise) => {
            let branches = branches.into_iter().map(|(condition, then)| (bounded(condition), stepped(then)));
            Term::IfThenElse(branches.collect(), otherwise.map(|term| stepped_box(*term)))
        }
        Term::Def(defs, inner) => Term::Def(defs.into_iter().map(bounded_def).collect(), bounded_box(*inner)),
        Term::Call(name, arguments) => {
            let argument = |term| match stepped(term) {
                term if DEEP.contains(&name) => pipe(term, call("__measured", Vec::new())),
                term => term,
            };
            let called = call(name, arguments.into_iter().map(argument).collect());
            match name {
                // The one builtin that yields any number of values without a definition's help.
                "range" => pipe(called, call("__step", Vec::new())),
                name if DEEP.contains(&name) => pipe(call("__measured", Vec::new()), called),
                name if NATIVE.contains(name) => pipe(call("__step", Vec::new()), called),
                // Definitions take their steps themselves.
                _ => called,
            }
        }
        Term::Path(of, path) => Term::Path(bounded_box(*of), bounded_path(path)),
    }
}

/// `{a: 1}` and `{"a"}` are keys by their form; only computed keys can run many times.
fn object_key(key: Term<&str>) -> Term<&str> {
    match key {
        Term::Str(..) | Term::Var(_) | Term::Call(..) => key,
        key => stepped(key),
    }
}

fn bounded_operator(operator: BinaryOp<&str>) -> BinaryOp<&str> {
    match operator {
        BinaryOp::Pipe(pattern) => BinaryOp::Pipe(pattern.map(bounded_pattern)),
        operator => operator,
    }
}

fn bounded_pattern(pattern: Pattern<&str>) -> Pattern<&str> {
    match pattern {
        Pattern::Var(name) => Pattern::Var(name),
        Pattern::Arr(patterns) => Pattern::Arr(patterns.into_iter().map(bounded_pattern).collect()),
        Pattern::Obj(entries) => Pattern::Obj(
            entries.into_iter().map(|(key, value)| (object_key(key), bounded_pattern(value))).collect(),
        ),
    }
}

fn bounded_path(path: Path<Term<&str>>) -> Path<Term<&str>> {
    let parts = path.0.into_iter().map(|(part, optional)| {
        let part = match part {
            Part::Index(index) => Part::Index(path_index(index)),
            Part::Range(from, to) => Part::Range(from.map(stepped), to.map(stepped)),
        };
        (part, optional)
    });
    Path(parts.collect())
}

/// `.name` is an index by a text, which yields once.
fn path_index(index: Term<&str>) -> Term<&str> {
    match index {
        Term::Str(None, parts) if parts.iter().all(|part| !matches!(part, StrPart::Term(_))) => {
            Term::Str(None, parts)
        }
        index => stepped(index),
    }
}
