//! The language itself: operators, literals, access, tags, blanks and printing.

use crate::world::{World, context, fails, renders};
use weft_expr::{Template, Value};

#[test]
fn operators_bind_as_in_pebble() {
    renders(&[
        ("{{ 1 + 2 * 3 }}", "7"),
        ("{{ (1 + 2) * 3 }}", "9"),
        ("{{ 2 + 3 ~ 4 }}", "234"),
        ("{{ -7 | abs }}", "7"),
        ("{{ 6 / 2 | abs }}", "3"),
        ("{{ count | default(1) + 1 }}", "43"),
        ("{{ text ~ '!' | upper }}", "HELLO WORLD!"),
        ("{{ missing ?? text | upper }}", "HELLO WORLD"),
        ("{{ missing ?? 'a' ~ 'b' }}", "ab"),
        ("{{ text ?? 'x' == 'x' }}", "false"),
        ("{{ not missing ?? true }}", "true"),
        ("{{ yes and not no or no }}", "true"),
        ("{{ no and missing or yes }}", "true"),
        ("{{ 1 is even ? 'even' : 'odd' }}", "odd"),
        ("{{ yes ? no ? 1 : 2 : 3 }}", "2"),
        ("{{ text contains 'hello' and count == 42 ? 'ok' : 'no' }}", "ok"),
        ("{{ text | slice(0, 3) ~ '!' }}", "hel!"),
        ("{{ 10 - 4 - 3 }}", "3"),
        ("{{ - - 3 }}", "3"),
    ]);
}

#[test]
fn arithmetic_is_javas() {
    renders(&[
        ("{{ 7 / 2 }}", "3"),
        ("{{ -7 / 2 }}", "-3"),
        ("{{ -7 % 3 }}", "-1"),
        ("{{ 7.0 / 2 }}", "3.5"),
        ("{{ 1.50 }}", "1.5"),
        ("{{ 0.1 + 0.2 }}", "0.30000000000000004"),
        ("{{ 1.0 / 0 }}", "Infinity"),
        ("{{ 12345678.0 }}", "1.2345678E7"),
        ("{{ 9223372036854775807 + 1 }}", "-9223372036854775808"),
        ("{{ 10L * 2 }}", "20"),
        ("{{ 'a' + 'b' }}", "ab"),
        ("{{ 1 + '2' }}", "12"),
        ("{{ 'a' + nothing }}", "anull"),
        ("{{ numbers + 4 }}", "[3,1,2,4]"),
        ("{{ numbers + [4, 5] }}", "[3,1,2,4,5]"),
        ("{{ numbers - 1 }}", "[3,2]"),
        ("{{ +count }} {{ -count }}", "42 -42"),
    ]);
    fails(&[
        ("{{ 1 / 0 }}", "division by zero"),
        ("{{ 1 % 0 }}", "division by zero"),
        ("{{ 1 + true }}", "`+` needs two numbers, not a number and a boolean"),
        ("{{ 'a' * 2 }}", "hint: make a number of a text with `| number`"),
        ("{{ -'a' }}", "`-` needs a number, not a text"),
    ]);
}

#[test]
fn comparisons_convert_nothing_but_numbers() {
    renders(&[
        ("{{ 1 == 1.0 }}", "true"),
        ("{{ '1' == 1 }}", "false"),
        ("{{ 1 == true }}", "false"),
        ("{{ count equals 42 }}", "true"),
        ("{{ nothing == null }}", "true"),
        ("{{ nothing != 1 }}", "true"),
        ("{{ nothing < 1 }}", "false"),
        ("{{ numbers == [3, 1, 2] }}", "true"),
        ("{{ map.deep == {'k': 'v'} }}", "true"),
        ("{{ 2 < 2.5 }}", "true"),
        ("{{ 3 >= 3 }}", "true"),
        ("{{ 9007199254740993 > 9007199254740992.0 }}", "true"),
    ]);
    fails(&[("{{ 'a' < 'b' }}", "`<` compares numbers, not a text with a text")]);
}

#[test]
fn containment_and_ranges() {
    renders(&[
        ("{{ numbers contains 1 }}", "true"),
        ("{{ numbers contains [1, 2] }}", "true"),
        ("{{ numbers contains [1, 9] }}", "false"),
        ("{{ map contains 'b-c' }}", "true"),
        ("{{ text contains 'World' }}", "true"),
        ("{{ nothing contains missing }}", "false"),
        ("{{ 1..3 }}", "[1,2,3]"),
        ("{{ 3..1 }}", "[]"),
        ("{{ 'a'..'c' }}", r#"["a","b","c"]"#),
        ("{{ range(0, 6, 3) }}", "[0,3,6]"),
        ("{{ range(3, 1, -1) }}", "[3,2,1]"),
    ]);
    fails(&[
        ("{{ 1 contains 1 }}", "`contains` needs a list, a map or a text, not a number"),
        ("{{ range(1, 2, 0) }}", "cannot be 0"),
        ("{{ 'ab'..'c' }}", "a range needs two integers or two texts of one character"),
    ]);
}

#[test]
fn attributes_and_indexes() {
    renders(&[
        ("{{ map.a }}{{ map['b-c'] }}{{ map.deep.k }}", "1dashv"),
        ("{{ numbers[0] }}{{ numbers['1'] }}", "31"),
        ("{{ outputs['my-task'].value }}", "dashed"),
        ("{{ outputs.make['b'][taskrun.value].value }}", "inner"),
        ("{{ (map).a }}", "1"),
        ("{{ map.nil }}", ""),
        ("{{ _context['with-dash'] }}", "root"),
        ("{{ locale }}", "en"),
        ("{{ text.toUpperCase() }} {{ text.length() }}", "HELLO WORLD 11"),
    ]);
    fails(&[
        ("{{ map.aa }}", "unable to find `map.aa` used in the expression `{{ map.aa }}` at line 1 column 4"),
        ("{{ map.zzz }}", "hint: `map` has `a`, `b-c`, `nil`, `deep`"),
        ("{{ map.nil.x }}", "hint: `map.nil` is null"),
        ("{{ numbers[9] }}", "hint: `numbers` has 3 elements, from `[0]` to `[2]`"),
        ("{{ numbers[-1] }}", "unable to find `numbers[-1]`"),
        ("{{ none_of_it[0] }}", "hint: `none_of_it` is an empty list"),
        ("{{ rows.uri }}", "take an element first, as `rows[0].uri`"),
        ("{{ text.length }}", "write `text | length`"),
        (
            "{{ outputs.my-task.value }}",
            "hint: `-` subtracts; a name with a dash is written `outputs['my-task']`",
        ),
        ("{{ with-dash }}", "a name with a dash is written `_context['with-dash']`"),
        ("{{ cuont }}", "hint: did you mean `count`?"),
        ("{{ text.replace('a', 'b') }}", "hint: write `value | replace({'from': 'to'})`"),
        ("{{ text.frobnicate() }}", "methods cannot be called: `.frobnicate()`"),
    ]);
}

#[test]
fn what_is_missing_or_null() {
    renders(&[
        ("{{ missing ?? 'd' }}", "d"),
        ("{{ map.zzz.y ?? 'd' }}", "d"),
        ("{{ nothing.x.y ?? 'd' }}", "d"),
        ("{{ nothing ?? 'd' }}", "d"),
        ("{{ numbers[9] ?? 'd' }}", "d"),
        ("{{ blank ?? 'd' }}", ""),
        ("{{ missing ?? missing ?? 'd' }}", "d"),
        ("{{ missing ?? nothing }}", ""),
        ("{{ (missing | upper) ?? 'd' }}", "d"),
        ("{{ max(missing, 1) ?? 'd' }}", "d"),
        ("{{ map[missing] ?? 'd' }}", "d"),
        ("{{ text ?? missing }}", "hello World"),
        ("{{ missing ??? 'd' }}", "d"),
        ("{{ nothing ??? 'd' }}", ""),
        ("{{ missing | default('d') }}", "d"),
        ("{{ blank | default('d') }}", "d"),
        ("{{ none_of_it | default([1]) }}", "[1]"),
        ("{{ no | default(true) }}", "false"),
        ("{{ missing is defined }} {{ nothing is defined }} {{ map.a is defined }}", "false false true"),
        ("{{ missing is not defined }}", "true"),
        ("{{ kv('none', errorOnMissing=false) ?? 'd' }}", "d"),
    ]);
    fails(&[
        ("{{ missing }}", "unable to find `missing`"),
        ("{{ missing is null }}", "unable to find `missing`"),
        ("{{ missing is empty }}", "unable to find `missing`"),
        ("{{ missing ?? other }}", "unable to find `other`"),
        ("{{ ('a' < 'b') ?? 'd' }}", "`<` compares numbers"),
        ("{{ secret('NONE') ?? 'd' }}", "cannot find the secret `NONE`"),
    ]);
}

#[test]
fn tests_of_values() {
    renders(&[
        ("{{ nothing is null }} {{ text is not null }}", "true true"),
        (
            "{{ blank is empty }} {{ '  ' is empty }} {{ none_of_it is empty }} {{ {} is empty }}",
            "true true true true",
        ),
        ("{{ numbers is empty }} {{ 0 is empty }}", "false false"),
        ("{{ count is even }} {{ 3 is odd }}", "true true"),
        ("{{ numbers is iterable }} {{ text is iterable }} {{ map is map }}", "true false true"),
        ("{{ '{\"a\":1}' is json }} {{ 'nope{' is json }} {{ map is json }}", "true false true"),
        ("{{ 3 is equalTo(3.0) }}", "true"),
    ]);
    fails(&[
        ("{{ text is even }}", "`even` needs an integer, not a text"),
        ("{{ text is defind }}", "hint: did you mean `is defined`?"),
    ]);
}

#[test]
fn literals() {
    renders(&[
        ("{{ [1, 'a', null, true, [2]] }}", r#"[1,"a",null,true,[2]]"#),
        ("{{ {'a': 1, 'b': {'c': []}, 3: 4} }}", r#"{"a":1,"b":{"c":[]},"3":4}"#),
        (
            r#"{{ "n = #{count + 1}, #{map}" }}"#,
            r#"n = 43, {"a":1,"b-c":"dash","nil":null,"deep":{"k":"v"}}"#,
        ),
        (r#"{{ "a # b" }}"#, "a # b"),
        (r"{{ 'it\'s' }}", "it's"),
        (r#"{{ "say \"x\"" }}"#, r#"say "x""#),
        (r"{{ 'a\nb' }}", r"a\nb"),
        ("{{ \"#{'#{}'}\" }}", "#{}"),
        ("{{ TRUE }}{{ none }}", "true"),
        ("{{ ['\"\\\n\u{1}é'] }}", "[\"\\\"\\\\\\n\\u0001é\"]"),
    ]);
    fails(&[
        ("{{ {'a': 1}.a }}", "hint: a literal has no attributes"),
        ("{{ 'it''s' }}", "expected the end of the expression, found a text in quotes"),
        ("{{ 99999999999999999999 }}", "too large for a 64-bit integer"),
        ("{{ 'open }}", "the text in quotes has no end"),
        ("{{ [1, 2 }}", "expected `]`, found `}`"),
    ]);
}

#[test]
fn conditions() {
    renders(&[
        ("{% if count > 40 %}big{% elseif count > 10 %}mid{% else %}small{% endif %}", "big"),
        ("{% if count > 50 %}big{% elseif count > 10 %}mid{% else %}small{% endif %}", "mid"),
        ("{% if no %}a{% endif %}", ""),
        ("{% if 'false' %}text{% endif %}{% if 0 %}zero{% endif %}{% if blank %}blank{% endif %}", "text"),
        ("{% if missing ?? false %}a{% else %}b{% endif %}", "b"),
        ("{{ nothing ? 'a' : 'b' }}", "b"),
    ]);
    fails(&[
        ("{% if numbers %}a{% endif %}", "`if` needs a boolean, a number or a text, not a list"),
        ("{% if nothing %}a{% endif %}", "hint: ask `is null`"),
        ("{% if missing %}a{% endif %}", "unable to find `missing`"),
        ("{{ nothing and yes }}", "`and` needs a boolean"),
        ("{{ not map }}", "`not` needs a boolean"),
        ("{% if yes %}", "`if` is not closed"),
        ("{% if yes %}{% endfor %}", "`endfor` closes nothing"),
        ("{% elif yes %}", "hint: write `elseif`"),
    ]);
}

#[test]
fn loops() {
    renders(&[
        (
            "{% for x in numbers %}{{ loop.index }}:{{ x }}{% if not loop.last %},{% endif %}{% endfor %}",
            "0:3,1:1,2:2",
        ),
        (
            "{% for x in words %}{{ loop.length }}{{ loop.revindex }}{{ loop.first }} {% endfor %}",
            "32true 31false 30false ",
        ),
        ("{% for e in map.deep %}{{ e.key }}:{{ e.value }} {{ e }}{% endfor %}", "k:v k=v"),
        ("{% for e in {'a': {'k': [1, null]}} %}{{ e }}{% endfor %}", "a={k=[1, null]}"),
        ("{% for x in none_of_it %}a{% else %}empty{% endfor %}", "empty"),
        ("{% for x in nothing %}a{% else %}empty{% endfor %}", ""),
        (
            "{% for x in [1, 2] %}{% for y in [loop.index] %}{{ y }}{{ loop.length }} {% endfor %}{% endfor %}",
            "01 11 ",
        ),
        ("{% set n = 0 %}{% for x in numbers %}{% set n = n + x %}{% endfor %}{{ n }}", "6"),
        ("{% for x in [1] %}{% set count = x %}{% endfor %}{{ count }}", "1"),
        (
            "{% for x in [1, 2] %}{% set t = (t ?? '') ~ x %}{{ t }} {% endfor %}{{ t ?? 'gone' }}",
            "1 12 gone",
        ),
        ("{% set loop = 'mine' %}{% for x in [1] %}{% endfor %}{{ loop }}", "mine"),
    ]);
    fails(&[
        ("{% for x in text %}{% endfor %}", "`for` needs a list or a map, not a text"),
        ("{% for k, v in map %}{% endfor %}", "`for` has one variable"),
        ("{% for x of numbers %}{% endfor %}", "expected `in`, found `of`"),
        ("{% for true in numbers %}{% endfor %}", "`true` cannot be the name of a variable"),
    ]);
}

#[test]
fn macros_blocks_and_filter_tags() {
    renders(&[
        (
            "{% macro hi(name='bob', end) %}hi {{ name }}{{ end }}{% endmacro %}{{ hi() }} {{ hi('al', '!') }} {{ hi(name='z') }}",
            "hi bob hi al! hi z",
        ),
        ("{{ later(1) }}{% macro later(n) %}{{ n + 1 }}{% endmacro later %}", "2"),
        (
            "{% macro down(n) %}{{ n }}{% if n > 0 %}{{ down(n - 1) }}{% endif %}{% endmacro %}{{ down(3) }}",
            "3210",
        ),
        ("{% block a %}x{% endblock %}{{ block('a') }}{{ block('a') | upper }}", "xxX"),
        ("{% filter upper | slice(0, 3) %}abc{{ text }}{% endfilter %}", "ABC"),
        ("{% macro m() %}{{ count ?? 'unseen' }}{% endmacro %}{{ m() }}", "unseen"),
    ]);
    fails(&[
        ("{% macro m() %}{{ count }}{% endmacro %}{{ m() }}", "hint: a macro sees nothing but its arguments"),
        ("{% macro m() %}{% endmacro %}{{ m(1) }}", "the macro `m` takes 0 arguments"),
        ("{% macro m(a) %}{% endmacro %}{{ m(b=1) }}", "the macro `m` has no argument `b`"),
        ("{% macro m() %}{% endmacro %}{% macro m() %}{% endmacro %}", "defined twice"),
        ("{{ block('none') }}", "there is no block `none`"),
        ("{% include 'x' %}", "the tag `include` is not available"),
        ("{{ parent() }}", "needs a template that extends another"),
    ]);
}

#[test]
fn blanks_comments_and_text_left_alone() {
    renders(&[
        ("a  {{- text -}}  b", "ahello Worldb"),
        ("a  {{- 1 }}  b", "a1  b"),
        ("a  {{-1}}  b", "a  -1  b"),
        ("a {%- if yes -%} b {%- endif -%} c", "abc"),
        ("a {# b #} c", "a  c"),
        ("a {#- b -#} c", "ac"),
        ("line\n{% if yes %}\nx\n{% endif %}\nend\n", "line\n\nx\n\nend\n"),
        ("{% raw %}{{ no }} {% x %}{% endraw %}!", "{{ no }} {% x %}!"),
        ("{%- raw -%}{{ a }}{%- endraw -%} {% raw %}b{% endraw %}", "{{ a }} b"),
        ("{% verbatim %}\n {{ no }}\n{% endverbatim %}", "{{ no }}\n"),
        ("a { b } c }} d", "a { b } c }} d"),
        ("$5 is {{ 5 }}", "$5 is 5"),
        ("", ""),
        ("é{{ 'ß' }}→", "éß→"),
    ]);
    fails(&[
        ("{{ unclosed", "the expression is not closed"),
        ("{# unclosed", "the comment has no end"),
        ("{% raw %}\n{% endraw %}", "hint: add `{% endraw %}`, or use `{% verbatim %}"),
        ("{% verbatim %}", "`verbatim` has no end"),
        ("{{ }}", "expected a value, found the end of the expression"),
        ("{% %}", "expected a tag's name"),
    ]);
}

#[test]
fn operators_of_other_languages_are_explained() {
    fails(&[
        ("{{ yes && no }}", "hint: use `and`"),
        ("{{ !yes }}", "hint: use `not`"),
        ("{{ 2 ** 3 }}", "there is no power operator"),
        ("{{ 7 // 2 }}", "`/` of two integers is already without a remainder"),
        ("{{ 'x' in words }}", "hint: write `list contains element`"),
        ("{{ text matches 'x' }}", "hint: write `text | regexMatch('...')`"),
        ("{{ count = 1 }}", "hint: compare with `==`"),
        ("{{ 1 if yes else 2 }}", "hint: write `condition ? value : other`"),
        ("{{ $count }}", "variables have no `$`"),
        ("{{ text | uper }}", "hint: did you mean `upper`?"),
        ("{{ upper(text) }}", "hint: it is a filter: write `value | upper`"),
        ("{{ numbers | max }}", "hint: it is a function: write `max(value)`"),
        ("{{ secrt('A') }}", "hint: did you mean `secret()`?"),
        ("{{ text | join(1, 2) }}", "`join` takes at most 1 arguments: separator"),
        ("{{ text | join(seperator=',') }}", "hint: did you mean `separator`?"),
        ("{{ text | split }}", "`split` needs the argument `delimiter`"),
        ("{{ text | split(delimiter=',', ',') }}", "hint: put arguments without names first"),
        ("{{ text | split(',', delimiter=',') }}", "the argument `delimiter` is given twice"),
    ]);
}

#[test]
fn errors_point_to_the_character() {
    let error = Template::parse("line one\n  é {{ text | uper }}").unwrap_err();
    assert_eq!((error.line, error.column, error.span.clone()), (2, 15, 24..28));
    assert_eq!(&*error.expression, "{{ text | uper }}");

    let template = Template::parse("a\n{{ map.a }} {% if map.nope == 1 %}{% endif %}").unwrap();
    let error = template.render(&context(), &World).unwrap_err();
    assert_eq!((error.line, error.column, error.span.clone()), (2, 19, 20..28));
    assert_eq!(&*error.expression, "{% if map.nope == 1 %}");
    assert!(error.undefined);
}

#[test]
fn one_expression_keeps_its_type() {
    for (template, expected) in [
        ("{{ count }}", Value::from(42)),
        ("{{ numbers }}", Value::from(vec![3, 1, 2])),
        ("{{ nothing }}", Value::from(())),
        ("{{ yes }}", Value::from(true)),
        ("{{ count }} ", Value::from("42 ")),
        ("{{ count }}{{ count }}", Value::from("4242")),
        ("plain", Value::from("plain")),
        ("{{ render(rawed) }}", Value::from("{{ first }}")),
    ] {
        let value = Template::parse(template).unwrap().render_typed(&context(), &World).unwrap();
        assert_eq!(value, expected, "{template}");
    }
}

#[test]
fn json_is_rendered_inside_out() {
    let json =
        serde_json::json!({"{{ text | upper }}": ["{{ count }}", 1, null, {"k": "{{ map }}"}], "x": true});
    let expected = serde_json::json!({
        "HELLO WORLD": ["42", 1, null, {"k": r#"{"a":1,"b-c":"dash","nil":null,"deep":{"k":"v"}}"#}], "x": true,
    });
    assert_eq!(weft_expr::render_json(&json, &context(), &World).unwrap(), expected);

    let json = serde_json::json!({"env": {"KEY": ["a", "{{ missing }}"]}});
    let error = weft_expr::render_json(&json, &context(), &World).unwrap_err();
    assert_eq!(&*error.path, "env.KEY[1]");
    assert!(error.to_string().contains(" of `env.KEY[1]` at line 1 column 4"), "{error}");
}
