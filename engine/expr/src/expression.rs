//! Tokens -> expressions, by precedence climbing with Pebble's operators and Kestra's `??` and `???`.

use crate::arguments::{Written, bind};
use crate::error::Fault;
use crate::filters::{self, method, unknown_filter};
use crate::lexer::{Lexed, Lexeme, Part, Token};
use crate::suggest;
use crate::text;
use crate::tree::{Binary, Expr, FilterCall, Kind, Span, Unary};
use crate::{Value, functions, predicates};

/// How deep brackets, calls and unary operators, or tags, may nest: it bounds the stack of the parser.
pub(crate) const MAX_NESTING: usize = 64;
/// Levels of an expression's tree, which a long chain of operators reaches too: it bounds the stack of evaluation.
const MAX_HEIGHT: u16 = 200;

/// Binds tighter than every binary operator.
const UNARY: u16 = 500;
/// Words that are operators and therefore no names of variables.
const OPERATORS: [&str; 6] = ["and", "or", "not", "is", "contains", "equals"];
const CONSTANTS: [&str; 4] = ["true", "false", "null", "none"];

/// A binary operator as it is parsed: tests and filters have a name on their right instead of an expression.
enum Operator {
    Binary(Binary),
    Test,
    Filter,
}

/// Pebble's table, higher binds tighter: filters bind looser than `~` and `??`, and tighter than arithmetic.
fn operator(token: &Lexeme<'_>) -> Option<(Operator, u16)> {
    let (Lexeme::Symbol(text) | Lexeme::Name(text)) = token else { return None };
    Some(match *text {
        "or" => (Operator::Binary(Binary::Or), 10),
        "and" => (Operator::Binary(Binary::And), 15),
        "is" => (Operator::Test, 20),
        "contains" => (Operator::Binary(Binary::Contains), 20),
        "==" | "equals" => (Operator::Binary(Binary::Equal), 30),
        "!=" => (Operator::Binary(Binary::NotEqual), 30),
        "<" => (Operator::Binary(Binary::Less), 30),
        "<=" => (Operator::Binary(Binary::LessOrEqual), 30),
        ">" => (Operator::Binary(Binary::Greater), 30),
        ">=" => (Operator::Binary(Binary::GreaterOrEqual), 30),
        "+" => (Operator::Binary(Binary::Add), 40),
        "-" => (Operator::Binary(Binary::Subtract), 40),
        "*" => (Operator::Binary(Binary::Multiply), 60),
        "/" => (Operator::Binary(Binary::Divide), 60),
        "%" => (Operator::Binary(Binary::Remainder), 60),
        "|" => (Operator::Filter, 100),
        "~" => (Operator::Binary(Binary::Concatenate), 110),
        ".." => (Operator::Binary(Binary::Range), 120),
        "??" => (Operator::Binary(Binary::NullCoalesce), 120),
        "???" => (Operator::Binary(Binary::UndefinedCoalesce), 120),
        _ => return None,
    })
}

/// Parses the tokens of one `{{ }}` or tag.
pub(crate) struct Expressions<'s, 'c> {
    tokens: std::iter::Peekable<std::vec::IntoIter<Token<'s>>>,
    /// The delimiters and all between them.
    whole: Span,
    last: Span,
    depth: usize,
    calls: &'c mut Vec<(String, Span)>,
}

impl<'s, 'c> Expressions<'s, 'c> {
    pub fn new(tokens: Vec<Token<'s>>, whole: Span, calls: &'c mut Vec<(String, Span)>) -> Self {
        let last = Span { start: whole.start, end: whole.start + 2 };
        Self { tokens: tokens.into_iter().peekable(), whole, last, depth: 0, calls }
    }

    fn peek(&mut self) -> Option<&Lexeme<'s>> {
        self.tokens.peek().map(|token| &token.kind)
    }

    fn advance(&mut self) -> Option<Token<'s>> {
        let token = self.tokens.next()?;
        self.last = token.span;
        Some(token)
    }

    pub fn is_empty(&mut self) -> bool {
        self.tokens.peek().is_none()
    }

    /// Where the next token is, or the end of the expression.
    pub fn here(&mut self) -> Span {
        let end = self.whole.end;
        self.tokens.peek().map_or(Span { start: end.saturating_sub(2), end }, |token| token.span)
    }

    fn next_is(&mut self, symbol: &str) -> bool {
        matches!(self.peek(), Some(Lexeme::Symbol(found)) if *found == symbol)
    }

    pub fn takes_symbol(&mut self, symbol: &str) -> bool {
        let is = self.next_is(symbol);
        if is {
            self.advance();
        }
        is
    }

    pub fn symbol(&mut self, symbol: &str) -> Lexed<()> {
        if self.takes_symbol(symbol) { Ok(()) } else { Err(self.unexpected(&format!("`{symbol}`"))) }
    }

    pub fn word(&mut self, word: &str) -> Lexed<()> {
        match self.peek() {
            Some(Lexeme::Name(found)) if *found == word => {
                self.advance();
                Ok(())
            }
            _ => Err(self.unexpected(&format!("`{word}`"))),
        }
    }

    fn name(&mut self, what: &str) -> Lexed<(&'s str, Span)> {
        match self.peek() {
            Some(Lexeme::Name(name)) => {
                let name = *name;
                self.advance();
                Ok((name, self.last))
            }
            _ => Err(self.unexpected(what)),
        }
    }

    /// A name that `set`, `for` or a macro gives to something.
    pub fn new_name(&mut self, what: &str) -> Lexed<String> {
        let (name, span) = self.name(what)?;
        if CONSTANTS.contains(&name) || OPERATORS.contains(&name) {
            return Err((Fault::new(format!("`{name}` cannot be the name of a variable")), span));
        }
        Ok(name.to_string())
    }

    pub fn name_or_text(&mut self, what: &str) -> Lexed<String> {
        if let Some(Lexeme::Text(text)) = self.peek() {
            let text = text.clone();
            self.advance();
            return Ok(text);
        }
        self.name(what).map(|(name, _)| name.to_string())
    }

    /// Fails if anything is left.
    pub fn finish(&mut self) -> Lexed<()> {
        if self.is_empty() {
            return Ok(());
        }
        let hint = match self.peek() {
            Some(Lexeme::Name("in")) => Some("write `list contains element`"),
            Some(Lexeme::Name("matches")) => Some("write `text | regexMatch('...')`"),
            Some(Lexeme::Name("if")) => Some("write `condition ? value : other`"),
            Some(Lexeme::Symbol("." | "[")) => {
                Some("a literal has no attributes: put it into a variable with `set`")
            }
            Some(Lexeme::Symbol("=")) => {
                Some("compare with `==`; give a name to a value with `{% set name = value %}`")
            }
            Some(Lexeme::Text(_)) => Some("join texts with `~`; write a quote in quotes as `\\'`"),
            _ => None,
        };
        let (mut fault, span) = self.unexpected("the end of the expression");
        fault.hint = hint.map(String::from);
        Err((fault, span))
    }

    fn unexpected(&mut self, expected: &str) -> (Fault, Span) {
        let found = match self.peek() {
            Some(Lexeme::Name(name)) => text::quote(name),
            Some(Lexeme::Symbol(symbol)) => format!("`{symbol}`"),
            Some(Lexeme::Integer(number)) => format!("`{number}`"),
            Some(Lexeme::Float(number)) => format!("`{number}`"),
            Some(Lexeme::Text(_) | Lexeme::Interpolated(_)) => "a text in quotes".to_string(),
            None => "the end of the expression".to_string(),
        };
        (Fault::new(format!("expected {expected}, found {found}")), self.here())
    }

    fn built(&self, kind: Kind, span: Span) -> Lexed<Expr> {
        let expr = Expr::new(kind, span);
        if expr.height > MAX_HEIGHT {
            let fault = Fault::new(format!("the expression has more than {MAX_HEIGHT} operators in a row"))
                .with_hint("split it with `{% set name = ... %}`");
            return Err((fault, span));
        }
        Ok(expr)
    }

    pub fn expression(&mut self) -> Lexed<Expr> {
        let left = self.climb(0)?;
        if !self.takes_symbol("?") {
            return Ok(left);
        }
        self.nested(|this| {
            let yes = this.expression()?;
            this.symbol(":")?;
            let no = this.expression()?;
            let span = left.span.to(no.span);
            this.built(Kind::Ternary(Box::new([left, yes, no])), span)
        })
    }

    fn nested<T>(&mut self, parse: impl FnOnce(&mut Self) -> Lexed<T>) -> Lexed<T> {
        if self.depth == MAX_NESTING {
            let fault = Fault::new(format!("the expression is nested more than {MAX_NESTING} deep"));
            return Err((fault, self.here()));
        }
        self.depth += 1;
        let parsed = parse(self)?;
        self.depth -= 1;
        Ok(parsed)
    }

    fn climb(&mut self, least: u16) -> Lexed<Expr> {
        let mut left = self.operand()?;
        while let Some((operator, precedence)) = self.peek().and_then(operator)
            && precedence >= least
        {
            self.advance();
            left = match operator {
                Operator::Test => self.test(left)?,
                Operator::Filter => {
                    let call = self.filter_call()?;
                    let span = left.span.to(self.last);
                    self.built(Kind::Filter(Box::new(left), Box::new(call)), span)?
                }
                Operator::Binary(binary) => {
                    self.no_doubled_operator(binary)?;
                    let right = self.nested(|this| this.climb(precedence + 1))?;
                    let span = left.span.to(right.span);
                    self.built(Kind::Binary(binary, Box::new(left), Box::new(right)), span)?
                }
            };
        }
        Ok(left)
    }

    /// `**` and `//` of other languages.
    fn no_doubled_operator(&mut self, binary: Binary) -> Lexed<()> {
        let hint = match (binary, self.peek()) {
            (Binary::Divide, Some(Lexeme::Symbol("/"))) => {
                "`/` of two integers is already without a remainder"
            }
            (Binary::Multiply, Some(Lexeme::Symbol("*"))) => "there is no power operator",
            _ => return Ok(()),
        };
        let (fault, span) = self.unexpected("a value");
        Err((fault.with_hint(hint), span))
    }

    fn operand(&mut self) -> Lexed<Expr> {
        let unary = match self.peek() {
            Some(Lexeme::Name("not")) => Unary::Not,
            Some(Lexeme::Symbol("-")) => Unary::Minus,
            Some(Lexeme::Symbol("+")) => Unary::Plus,
            Some(Lexeme::Symbol("(")) => {
                self.advance();
                let inner = self.nested(Self::expression)?;
                self.symbol(")")?;
                return self.postfix(inner);
            }
            Some(Lexeme::Symbol("[")) => return self.nested(Self::list),
            Some(Lexeme::Symbol("{")) => return self.nested(Self::map),
            _ => return self.primary(),
        };
        self.advance();
        let start = self.last;
        let of = self.nested(|this| this.climb(UNARY))?;
        let span = start.to(of.span);
        self.built(Kind::Unary(unary, Box::new(of)), span)
    }

    fn primary(&mut self) -> Lexed<Expr> {
        let literal = match self.peek() {
            Some(Lexeme::Name(name)) => match *name {
                "true" | "TRUE" => Value::from(true),
                "false" | "FALSE" => Value::from(false),
                "null" | "NULL" | "none" | "NONE" => Value::from(()),
                name if OPERATORS.contains(&name) => return Err(self.unexpected("a value")),
                name => return self.named(name),
            },
            Some(Lexeme::Integer(number)) => Value::from(*number),
            Some(Lexeme::Float(number)) => Value::from(*number),
            Some(Lexeme::Text(text)) => Value::from(text.as_str()),
            Some(Lexeme::Interpolated(_)) => return self.interpolated(),
            _ => return Err(self.unexpected("a value")),
        };
        self.advance();
        let expr = self.built(Kind::Literal(literal), self.last)?;
        self.postfix(expr)
    }

    /// A variable, or the call of a function or macro.
    fn named(&mut self, name: &'s str) -> Lexed<Expr> {
        self.advance();
        let span = self.last;
        if !self.next_is("(") {
            let expr = self.built(Kind::Variable(name.to_string()), span)?;
            return self.postfix(expr);
        }
        if name == "parent" {
            let fault = Fault::new("`parent()` needs a template that extends another");
            return Err((fault.with_hint("a flow has no other templates to refer to"), span));
        }
        let (positional, named) = self.nested(Self::arguments)?;
        let kind = match functions::find(name) {
            Some(function) if name == "block" => {
                let argument =
                    bind(&function.signature, positional, named, span)?.into_iter().flatten().next();
                match argument {
                    Some(argument) => Kind::Block(Box::new(argument)),
                    None => return Err((Fault::new("`block` needs a name"), span)),
                }
            }
            Some(function) => {
                let arguments = bind(&function.signature, positional, named, span)?;
                Kind::Function { function, arguments }
            }
            None => {
                self.calls.push((name.to_string(), span));
                let named = named.into_iter().map(|(name, _, value)| (name, value)).collect();
                Kind::Macro { name: name.to_string(), positional, named }
            }
        };
        let expr = self.built(kind, span.to(self.last))?;
        self.postfix(expr)
    }

    fn interpolated(&mut self) -> Lexed<Expr> {
        let Some(Token { kind: Lexeme::Interpolated(parts), span }) = self.advance() else {
            return Err(self.unexpected("a text in quotes"));
        };
        let mut exprs = Vec::with_capacity(parts.len());
        for part in parts {
            exprs.push(match part {
                Part::Text(text, span) => self.built(Kind::Literal(Value::from(text)), span)?,
                Part::Tokens(tokens, span) => {
                    let mut inner = Expressions::new(tokens, span, self.calls);
                    inner.depth = self.depth + 1;
                    let expr = inner.nested(|inner| inner.expression())?;
                    inner.finish()?;
                    expr
                }
            });
        }
        let expr = self.built(Kind::Interpolated(exprs), span)?;
        self.postfix(expr)
    }

    /// Attributes, indexes and method calls. Literal lists and maps have none, by Pebble's grammar.
    fn postfix(&mut self, mut expr: Expr) -> Lexed<Expr> {
        loop {
            if self.takes_symbol(".") {
                let (name, name_span) = self.name("an attribute's name")?;
                let span = expr.span.to(name_span);
                expr = if self.next_is("(") {
                    let filter = method(name).map_err(|fault| (fault, name_span))?;
                    let (positional, named) = self.nested(Self::arguments)?;
                    if !positional.is_empty() || !named.is_empty() {
                        return Err((Fault::new(format!("`{name}()` takes no arguments")), name_span));
                    }
                    self.built(Kind::Method(Box::new(expr), filter), span.to(self.last))?
                } else {
                    self.built(Kind::Attribute(Box::new(expr), name.to_string()), span)?
                };
            } else if self.takes_symbol("[") {
                let index = self.nested(Self::expression)?;
                self.symbol("]")?;
                let span = expr.span.to(self.last);
                expr = self.built(Kind::Index(Box::new(expr), Box::new(index)), span)?;
            } else if self.next_is("(") {
                return Err((Fault::new("only functions can be called"), expr.span));
            } else {
                return Ok(expr);
            }
        }
    }

    fn list(&mut self) -> Lexed<Expr> {
        self.symbol("[")?;
        let start = self.last;
        let mut elements = Vec::new();
        if !self.takes_symbol("]") {
            loop {
                elements.push(self.expression()?);
                if self.takes_symbol("]") {
                    break;
                }
                self.symbol(",")?;
            }
        }
        self.built(Kind::List(elements), start.to(self.last))
    }

    fn map(&mut self) -> Lexed<Expr> {
        self.symbol("{")?;
        let start = self.last;
        let mut entries = Vec::new();
        if !self.takes_symbol("}") {
            loop {
                let key = self.expression()?;
                self.symbol(":")?;
                entries.push((key, self.expression()?));
                if self.takes_symbol("}") {
                    break;
                }
                self.symbol(",")?;
            }
        }
        self.built(Kind::Map(entries), start.to(self.last))
    }

    fn test(&mut self, of: Expr) -> Lexed<Expr> {
        let negated = matches!(self.peek(), Some(Lexeme::Name("not")));
        if negated {
            self.advance();
        }
        let (name, span) = self.name("the name of a test")?;
        let Some(test) = predicates::find(name) else {
            let fault = Fault::new(format!("the test `{name}` does not exist"));
            let fault = match suggest::nearest(name, predicates::names()) {
                Some(nearest) => fault.with_hint(format!("did you mean `is {nearest}`?")),
                None => fault.with_hint("compare with `==`"),
            };
            return Err((fault, span));
        };
        let (positional, named) =
            if self.next_is("(") { self.nested(Self::arguments)? } else { (Vec::new(), Vec::new()) };
        let arguments = bind(&test.signature, positional, named, span)?;
        let whole = of.span.to(self.last);
        self.built(Kind::Test { of: Box::new(of), test, arguments, name: span, negated }, whole)
    }

    pub fn filter_call(&mut self) -> Lexed<FilterCall> {
        let (name, span) = self.name("the name of a filter")?;
        let Some(filter) = filters::find(name) else {
            return Err((unknown_filter(name), span));
        };
        let (positional, named) =
            if self.next_is("(") { self.nested(Self::arguments)? } else { (Vec::new(), Vec::new()) };
        let arguments = bind(&filter.signature, positional, named, span)?;
        Ok(FilterCall { filter, arguments, span })
    }

    fn arguments(&mut self) -> Lexed<Written> {
        self.symbol("(")?;
        let (mut positional, mut named) = (Vec::new(), Vec::new());
        while !self.takes_symbol(")") {
            if !(positional.is_empty() && named.is_empty()) {
                self.symbol(",")?;
            }
            let span = self.here();
            let value = self.expression()?;
            match value.kind {
                Kind::Variable(name) if self.takes_symbol("=") => {
                    named.push((name, span, self.expression()?))
                }
                kind if named.is_empty() => positional.push(Expr { kind, ..value }),
                _ => {
                    let fault = Fault::new("an argument without a name follows one with a name");
                    return Err((fault.with_hint("put arguments without names first"), span));
                }
            }
        }
        Ok((positional, named))
    }

    /// The parameters of a macro, with or without defaults.
    pub fn parameters(&mut self) -> Lexed<Vec<(String, Option<Expr>)>> {
        self.symbol("(")?;
        let mut parameters: Vec<(String, Option<Expr>)> = Vec::new();
        while !self.takes_symbol(")") {
            if !parameters.is_empty() {
                self.symbol(",")?;
            }
            let name = self.new_name("a parameter's name")?;
            let default = if self.takes_symbol("=") { Some(self.expression()?) } else { None };
            parameters.push((name, default));
        }
        Ok(parameters)
    }
}
