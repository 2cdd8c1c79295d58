//! The syntax tree. What can be decided by reading is decided here: filters, functions and tests are resolved to
//! their implementation, and their arguments to positions.

use std::collections::HashMap;
use std::ops::Range;

use crate::Value;
use crate::filters::Filter;
use crate::functions::Function;
use crate::predicates::Predicate;

/// Bytes of the source. Templates are bounded to far less than 4 GiB by the lexer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub start: u32,
    pub end: u32,
}

impl Span {
    pub fn new(start: usize, end: usize) -> Self {
        let narrow = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        Self { start: narrow(start), end: narrow(end) }
    }

    pub fn to(self, end: Span) -> Span {
        Span { start: self.start, end: end.end.max(self.end) }
    }

    pub fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    pub fn of(self, source: &str) -> &str {
        source.get(self.range()).unwrap_or_default()
    }
}

pub(crate) type Body = Vec<Node>;

/// A parsed template.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    pub body: Body,
    pub macros: HashMap<String, Macro>,
    pub blocks: HashMap<String, Body>,
}

#[derive(Debug)]
pub(crate) struct Macro {
    pub parameters: Vec<(String, Option<Expr>)>,
    pub body: Body,
}

/// What stands between the delimiters of a template, and the text outside of them.
#[derive(Debug)]
pub(crate) enum Node {
    Text(Span),
    /// `{% raw %}`: the inside is printed; `render()` keeps the whole, so that a second pass leaves it alone too.
    Raw {
        whole: Span,
        inside: Span,
    },
    Print(Expr),
    If {
        branches: Vec<(Expr, Body)>,
        otherwise: Body,
    },
    For {
        variable: String,
        over: Expr,
        body: Body,
        otherwise: Body,
    },
    Set {
        name: String,
        value: Expr,
    },
    /// The body is in [`Tree::blocks`], where `block()` finds it too.
    Block(String, Span),
    Filtered {
        filters: Vec<FilterCall>,
        body: Body,
    },
}

#[derive(Debug)]
pub(crate) struct FilterCall {
    pub filter: &'static Filter,
    pub arguments: Vec<Option<Expr>>,
    pub span: Span,
}

#[derive(Debug)]
pub(crate) struct Expr {
    pub kind: Kind,
    pub span: Span,
    /// Levels of expressions below and including this one.
    pub height: u16,
}

#[derive(Debug)]
pub(crate) enum Kind {
    Literal(Value),
    /// `"a #{b} c"`
    Interpolated(Vec<Expr>),
    List(Vec<Expr>),
    Map(Vec<(Expr, Expr)>),
    Variable(String),
    Attribute(Box<Expr>, String),
    Index(Box<Expr>, Box<Expr>),
    /// A Java method that is nothing but a filter; the rest is refused by the parser.
    Method(Box<Expr>, &'static Filter),
    Function {
        function: &'static Function,
        arguments: Vec<Option<Expr>>,
    },
    /// `block(name)`
    Block(Box<Expr>),
    /// Resolved when called: a macro may be defined after its first use.
    Macro {
        name: String,
        positional: Vec<Expr>,
        named: Vec<(String, Expr)>,
    },
    Filter(Box<Expr>, Box<FilterCall>),
    Test {
        of: Box<Expr>,
        test: &'static Predicate,
        arguments: Vec<Option<Expr>>,
        name: Span,
        negated: bool,
    },
    Unary(Unary, Box<Expr>),
    Binary(Binary, Box<Expr>, Box<Expr>),
    Ternary(Box<[Expr; 3]>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unary {
    Not,
    Plus,
    Minus,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Binary {
    Or,
    And,
    Contains,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Concatenate,
    Range,
    /// `??`: the right side for what is null or undefined.
    NullCoalesce,
    /// `???`: the right side for what is undefined.
    UndefinedCoalesce,
}

impl Binary {
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Or => "or",
            Self::And => "and",
            Self::Contains => "contains",
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Remainder => "%",
            Self::Concatenate => "~",
            Self::Range => "..",
            Self::NullCoalesce => "??",
            Self::UndefinedCoalesce => "???",
        }
    }
}

impl Expr {
    pub fn new(kind: Kind, span: Span) -> Self {
        let height = 1 + kind.children().map(|child| child.height).max().unwrap_or(0);
        Self { kind, span, height }
    }
}

impl Kind {
    /// The expressions directly below, in the order of the source.
    pub fn children(&self) -> Box<dyn Iterator<Item = &Expr> + '_> {
        match self {
            Kind::Literal(_) | Kind::Variable(_) => Box::new(std::iter::empty()),
            Kind::Interpolated(parts) | Kind::List(parts) => Box::new(parts.iter()),
            Kind::Map(entries) => Box::new(entries.iter().flat_map(|(key, value)| [key, value])),
            Kind::Attribute(of, _) | Kind::Method(of, _) | Kind::Unary(_, of) | Kind::Block(of) => {
                Box::new(std::iter::once(&**of))
            }
            Kind::Index(left, right) | Kind::Binary(_, left, right) => {
                Box::new([&**left, &**right].into_iter())
            }
            Kind::Function { arguments, .. } => Box::new(arguments.iter().flatten()),
            Kind::Macro { positional, named, .. } => {
                Box::new(positional.iter().chain(named.iter().map(|(_, value)| value)))
            }
            Kind::Filter(input, call) => {
                Box::new(std::iter::once(&**input).chain(call.arguments.iter().flatten()))
            }
            Kind::Test { of, arguments, .. } => {
                Box::new(std::iter::once(&**of).chain(arguments.iter().flatten()))
            }
            Kind::Ternary(parts) => Box::new(parts.iter()),
        }
    }
}
