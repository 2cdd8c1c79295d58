//! Tokens -> syntax tree: tags and their bodies here, expressions in [`crate::expression`].

use std::collections::HashMap;

use crate::error::Fault;
use crate::expression::{Expressions, MAX_NESTING};
use crate::lexer::{self, Lexed, Lexeme, Piece, Token};
use crate::suggest;
use crate::tree::{Body, FilterCall, Macro, Node, Span, Tree};

/// Tags of Pebble that Kestra takes away, since a flow has no other templates to refer to.
const REMOVED: [&str; 9] =
    ["autoescape", "cache", "embed", "extends", "flush", "from", "import", "include", "parallel"];
const TAGS: [&str; 8] = ["if", "for", "set", "macro", "block", "filter", "verbatim", "raw"];

pub(crate) fn parse(source: &str) -> Lexed<Tree> {
    let mut parser = Parser {
        pieces: lexer::pieces(source)?.into_iter(),
        tree: Tree::default(),
        calls: Vec::new(),
        depth: 0,
    };
    let (body, end) = parser.body(&[])?;
    debug_assert!(end.is_none(), "a body without terminators ends with the source");
    let mut tree = parser.tree;
    tree.body = body;
    for (name, span) in parser.calls {
        if !tree.macros.contains_key(&name) {
            return Err((unknown_function(&name, &tree.macros), span));
        }
    }
    Ok(tree)
}

fn unknown_function(name: &str, macros: &HashMap<String, Macro>) -> Fault {
    let functions = crate::functions::names().map(|name| -> &str { name });
    let known = functions.chain(macros.keys().map(String::as_str));
    let fault = Fault::new(format!("the function `{name}` does not exist"));
    if let Some(nearest) = suggest::nearest(name, known) {
        return fault.with_hint(format!("did you mean `{nearest}()`?"));
    }
    if matches!(name, "today" | "date" | "currentDate") {
        return fault.with_hint("use `now()`, as in `now() | date('yyyy-MM-dd')`");
    }
    match crate::filters::find(name) {
        Some(_) => fault.with_hint(format!("it is a filter: write `value | {name}`")),
        None => fault,
    }
}

struct Parser<'s> {
    pieces: std::vec::IntoIter<Piece<'s>>,
    tree: Tree,
    /// Calls of what is not a function: each has to be a macro of this template.
    calls: Vec<(String, Span)>,
    depth: usize,
}

/// A tag's tokens after its name.
struct Tag<'s> {
    name: &'s str,
    name_span: Span,
    tokens: Vec<Token<'s>>,
    span: Span,
}

impl<'s> Parser<'s> {
    /// Nodes up to a tag named in `until`, which is handed back; `None` is the end of the template.
    fn body(&mut self, until: &[&str]) -> Lexed<(Body, Option<Tag<'s>>)> {
        let mut body = Body::new();
        while let Some(piece) = self.pieces.next() {
            match piece {
                Piece::Text(span) => body.push(Node::Text(span)),
                Piece::Raw { whole, inside } => body.push(Node::Raw { whole, inside }),
                Piece::Print(tokens, span) => {
                    let mut expressions = Expressions::new(tokens, span, &mut self.calls);
                    let value = expressions.expression()?;
                    expressions.finish()?;
                    body.push(Node::Print(value));
                }
                Piece::Tag(tokens, span) => {
                    let tag = Tag::new(tokens, span)?;
                    if until.contains(&tag.name) {
                        return Ok((body, Some(tag)));
                    }
                    body.extend(self.tag(tag)?);
                }
            }
        }
        Ok((body, None))
    }

    /// The nodes up to a closing tag, which has to be there.
    fn closed_body(&mut self, opened: &str, span: Span, until: &[&str]) -> Lexed<(Body, Tag<'s>)> {
        if self.depth == MAX_NESTING {
            return Err((Fault::new(format!("tags are nested more than {MAX_NESTING} deep")), span));
        }
        self.depth += 1;
        let (body, end) = self.body(until)?;
        self.depth -= 1;
        match end {
            Some(tag) => Ok((body, tag)),
            None => {
                let closing = until.last().copied().unwrap_or_default();
                let fault = Fault::new(format!("`{opened}` is not closed"))
                    .with_hint(format!("add `{{% {closing} %}}`"));
                Err((fault, span))
            }
        }
    }

    fn tag(&mut self, tag: Tag<'s>) -> Lexed<Option<Node>> {
        match tag.name {
            "if" => self.branches(tag).map(Some),
            "for" => self.looped(tag).map(Some),
            "set" => self.set(tag).map(Some),
            "macro" => self.define(tag).map(|()| None),
            "block" => self.block(tag).map(Some),
            "filter" => self.filtered(tag).map(Some),
            name => Err((unknown_tag(name), tag.name_span)),
        }
    }

    fn branches(&mut self, tag: Tag<'s>) -> Lexed<Node> {
        let span = tag.span;
        let mut branches = Vec::new();
        let mut tag = tag;
        loop {
            let mut expressions = Expressions::new(tag.tokens, tag.span, &mut self.calls);
            let condition = expressions.expression()?;
            expressions.finish()?;
            let (body, end) = self.closed_body("if", span, &["elseif", "else", "endif"])?;
            branches.push((condition, body));
            if end.name == "elseif" {
                tag = end;
                continue;
            }
            let otherwise = match end.name {
                "else" => {
                    end.no_condition()?;
                    end.bare(&mut self.calls)?;
                    let (body, end) = self.closed_body("if", span, &["endif"])?;
                    end.bare(&mut self.calls)?;
                    body
                }
                _ => {
                    end.bare(&mut self.calls)?;
                    Body::new()
                }
            };
            return Ok(Node::If { branches, otherwise });
        }
    }

    fn looped(&mut self, tag: Tag<'s>) -> Lexed<Node> {
        let span = tag.span;
        let mut expressions = Expressions::new(tag.tokens, span, &mut self.calls);
        let variable = expressions.new_name("a name for the element")?;
        if expressions.takes_symbol(",") {
            let fault = Fault::new("`for` has one variable");
            return Err((
                fault.with_hint("over a map it is an entry: `{% for e in map %}{{ e.key }}: {{ e.value }}`"),
                span,
            ));
        }
        expressions.word("in")?;
        let over = expressions.expression()?;
        expressions.finish()?;
        let (body, end) = self.closed_body("for", span, &["else", "endfor"])?;
        let is_else = end.name == "else";
        end.bare(&mut self.calls)?;
        let otherwise = if is_else {
            let (otherwise, end) = self.closed_body("for", span, &["endfor"])?;
            end.bare(&mut self.calls)?;
            otherwise
        } else {
            Body::new()
        };
        Ok(Node::For { variable, over, body, otherwise })
    }

    fn set(&mut self, tag: Tag<'s>) -> Lexed<Node> {
        let mut expressions = Expressions::new(tag.tokens, tag.span, &mut self.calls);
        let name = expressions.new_name("a name")?;
        expressions.symbol("=")?;
        let value = expressions.expression()?;
        expressions.finish()?;
        Ok(Node::Set { name, value })
    }

    fn define(&mut self, tag: Tag<'s>) -> Lexed<()> {
        let span = tag.span;
        let mut expressions = Expressions::new(tag.tokens, span, &mut self.calls);
        let name_span = expressions.here();
        let name = expressions.new_name("the macro's name")?;
        let parameters = expressions.parameters()?;
        expressions.finish()?;
        let (body, end) = self.closed_body("macro", span, &["endmacro"])?;
        end.maybe_named(&name, &mut self.calls)?;
        if self.tree.macros.contains_key(&name) {
            return Err((Fault::new(format!("the macro `{name}` is defined twice")), name_span));
        }
        self.tree.macros.insert(name, Macro { parameters, body });
        Ok(())
    }

    fn block(&mut self, tag: Tag<'s>) -> Lexed<Node> {
        let span = tag.span;
        let mut expressions = Expressions::new(tag.tokens, span, &mut self.calls);
        let name = expressions.name_or_text("the block's name")?;
        expressions.finish()?;
        let (body, end) = self.closed_body("block", span, &["endblock"])?;
        end.maybe_named(&name, &mut self.calls)?;
        if self.tree.blocks.contains_key(&name) {
            return Err((Fault::new(format!("the block `{name}` is defined twice")), span));
        }
        self.tree.blocks.insert(name.clone(), body);
        Ok(Node::Block(name, span))
    }

    fn filtered(&mut self, tag: Tag<'s>) -> Lexed<Node> {
        let span = tag.span;
        let mut expressions = Expressions::new(tag.tokens, span, &mut self.calls);
        let mut filters: Vec<FilterCall> = vec![expressions.filter_call()?];
        while expressions.takes_symbol("|") {
            filters.push(expressions.filter_call()?);
        }
        expressions.finish()?;
        let (body, end) = self.closed_body("filter", span, &["endfilter"])?;
        end.bare(&mut self.calls)?;
        Ok(Node::Filtered { filters, body })
    }
}

impl<'s> Tag<'s> {
    fn new(mut tokens: Vec<Token<'s>>, span: Span) -> Lexed<Self> {
        match tokens.first().map(|token| token.kind.clone()) {
            Some(Lexeme::Name(name)) => {
                let name_span = tokens.remove(0).span;
                Ok(Self { name, name_span, tokens, span })
            }
            _ => {
                let fault = Fault::new("expected a tag's name after `{%`");
                Err((
                    fault.with_hint(format!("tags are {}; values are printed with `{{{{ }}}}`", list(&TAGS))),
                    span,
                ))
            }
        }
    }

    /// Fails for `else if`, which is one word here.
    fn no_condition(&self) -> Lexed<()> {
        match self.tokens.first() {
            Some(Token { kind: Lexeme::Name("if"), span }) => {
                let fault = Fault::new("expected the end of the tag after `else`, found `if`");
                Err((fault.with_hint("write `{% elseif ... %}`"), *span))
            }
            _ => Ok(()),
        }
    }

    /// Fails if anything follows the tag's name.
    fn bare(self, calls: &mut Vec<(String, Span)>) -> Lexed<()> {
        Expressions::new(self.tokens, self.span, calls).finish()
    }

    /// `{% endmacro %}` and `{% endmacro name %}`.
    fn maybe_named(self, name: &str, calls: &mut Vec<(String, Span)>) -> Lexed<()> {
        let mut expressions = Expressions::new(self.tokens, self.span, calls);
        if !expressions.is_empty() {
            let span = expressions.here();
            let written = expressions.name_or_text("a name")?;
            if written != name {
                return Err((Fault::new(format!("expected `{name}`, found `{written}`")), span));
            }
        }
        expressions.finish()
    }
}

fn unknown_tag(name: &str) -> Fault {
    let fault = Fault::new(format!("the tag `{name}` does not exist"));
    if REMOVED.contains(&name) {
        return Fault::new(format!("the tag `{name}` is not available"))
            .with_hint("a flow has no other templates to refer to");
    }
    match name {
        "elif" | "elsif" => fault.with_hint("write `elseif`"),
        "endraw" => fault.with_hint("`raw` and `endraw` have to be on one line; `verbatim` may span several"),
        "elseif" | "else" => fault.with_hint(format!("`{name}` belongs between `if` and `endif`")),
        _ if name.starts_with("end") => Fault::new(format!("`{name}` closes nothing"))
            .with_hint(format!("open it with `{{% {} %}}`", &name[3..])),
        _ => match suggest::nearest(name, TAGS) {
            Some(nearest) => fault.with_hint(format!("did you mean `{nearest}`?")),
            None => fault.with_hint(format!("tags are {}", list(&TAGS))),
        },
    }
}

fn list(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
