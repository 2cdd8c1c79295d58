//! The functions: on data, on the execution, on the world, and templates in values.

use crate::world::{context, fails, renders};
use weft_expr::{NoEnvironment, Template};

#[test]
fn data() {
    renders(&[
        ("{{ fromJson('{\"a\": [1, 2.5, null]}').a }}", "[1,2.5,null]"),
        ("{{ json('[1]')[0] }}{{ fromJson(nothing) }}", "1"),
        ("{{ yaml('a: [1, b]') }}", r#"{"a":[1,"b"]}"#),
        ("{{ yaml(\"k:\n  - 1: x\n\").k[0]['1'] }}", "x"),
        ("{{ fromIon('{date:2024-04-21T23:00:00.000Z, title:\"Main\", views:1_000}').title }}", "Main"),
        ("{{ fromIon('{id:1}\n{id:2} {id:3}', allRows=true) | jq('.[].id') }}", "[1,2,3]"),
        (
            "{{ fromIon('// c\n[1.5e0, -2, true, null.int, sym, \\'q s\\', a::\"x\\u00e9\\n\", 1d1, 2024T]') }}",
            r#"[1.5,-2,true,null,"sym","q s","xé\n",10.0,"2024T"]"#,
        ),
        ("{{ fromIon(map | toIon) == map }}", "true"),
        ("{{ fromIon('') ?? 'none' }}", "none"),
    ]);
    fails(&[
        ("{{ fromJson('{a}') }}", "the text is not JSON"),
        ("{{ fromJson('') }}", "hint: the text is empty"),
        ("{{ yaml('a: [') }}", "the text is not YAML"),
        ("{{ fromIon('{not: ion') }}", "the text is not Ion: expected `,` or `}`, found the end in line 1"),
        ("{{ fromIon('{{aGk=}}') }}", "a value that is no blob or clob"),
    ]);
}

#[test]
fn the_execution() {
    renders(&[
        ("{{ currentEachOutput(outputs.make).value }}", "inner"),
        ("{{ currentEachOutput(outputs['my-task']).value ?? 'U' }}", "U"),
        ("{% set taskrun = {'id': 'a'} %}{{ currentEachOutput(outputs.make).value ?? 'U' }}", "U"),
        (
            "{{ tasksWithState('failed') }}",
            r#"[{"taskId":"two","state":"FAILED"},{"taskId":"each","value":"p","state":"FAILED"}]"#,
        ),
        ("{{ errorLogs()[0].message }}", "no such file"),
        ("{{ printContext().count }}{{ fetchContext().text }}", "42hello World"),
        ("{% set extra = 1 %}{{ fetchContext().extra }}", "1"),
        ("{{ loopOutputs([{'outputs': {'a': 1}}, {'x': 2}], 'a') }}", "[1,null]"),
    ]);
    fails(&[
        ("{{ currentEachOutput(outputs['my-task']) }}", "no outputs for the iteration `b`"),
        (
            "{% set taskrun = {'id': 'a'} %}{{ currentEachOutput(outputs.make).value }}",
            "there is no current iteration",
        ),
        ("{{ currentEachOutput(count) }}", "needs a task's outputs"),
    ]);
}

#[test]
fn the_world() {
    renders(&[
        ("{{ now() }}", "2024-02-29T12:30:45.123456+01:00"),
        ("{{ now(format='sql_seq', timeZone='UTC') }}", "2024-02-29 11:30:45"),
        ("{{ now('yyyy') | number + 1 }}", "2025"),
        ("{{ secret('TOKEN') }} {{ secret('TOKEN', namespace='a.b') }}", "s3cret s3cret"),
        ("{{ secret('JSON', subkey='user') }} {{ secret('JSON', subkey='port') }}", "ann 5432"),
        ("{{ kv('answer').n }} {{ kv('answer', 'other').namespace }}", "42 other"),
        ("{{ kv('answer').none ?? 'd' }}{{ kv('none', errorOnMissing=false) }}", "d"),
        ("{{ read('a/b.sql') }}", "content of a/b.sql"),
        ("{{ read('b.sql', namespace='x.y') }}", "content of kestra:///x/y/_files/b.sql"),
        ("{{ fileURI('a.txt') }}", "kestra:///company/team/_files/a.txt"),
        ("{{ fileSize('kestra:///f') }} {{ fileExists('kestra:///missing') }}", "7 false"),
        ("{{ fileEmpty('kestra:///empty') }} {{ isFileEmpty('kestra:///f') }}", "true false"),
        ("{{ uuid() }}", "00000000-0000-4007-8000-000000000007"),
        (
            "{{ id() | length }} {{ randomPort() }} {{ randomInt(10, 15) }} {{ randomInt(3, 3) }}",
            "22 49152 12 3",
        ),
        ("{{ encrypt('k', 'text') }}", "k(text)"),
        (
            "{{ http('http://x', method='POST', body={'a': 1}) }}",
            r#"{"uri":"http://x","method":"POST","body":{"a":1}}"#,
        ),
    ]);
    fails(&[
        ("{{ secret('NONE') }}", "cannot find the secret `NONE`"),
        ("{{ secret('TOKEN', subkey='x') }}", "the secret `TOKEN` is not JSON"),
        ("{{ secret('JSON', subkey='x') }}", "the secret `JSON` has no key `x`"),
        ("{{ kv('none') }}", "there is no stored value `none`"),
        ("{{ decrypt('k', 't') }}", "decrypt() is not available here"),
        ("{{ randomInt(3, 1) }}", "is empty"),
        ("{{ isPublicHoliday('2024-01-01', 'FR') }}", "`isPublicHoliday` is not available"),
    ]);
}

#[test]
fn without_a_world_nothing_is_available() {
    for call in [
        "now()",
        "secret('A')",
        "read('a')",
        "kv('a')",
        "fileSize('a')",
        "fileExists('a')",
        "fileEmpty('a')",
        "fileURI('a')",
        "uuid()",
        "randomPort()",
        "encrypt('a', 'b')",
        "decrypt('a', 'b')",
        "errorLogs()",
        "http('a')",
    ] {
        let template = Template::parse(&format!("{{{{ {call} }}}}")).unwrap();
        let error = template.render(&context(), &NoEnvironment).unwrap_err();
        assert!(error.message.ends_with("is not available here"), "{call}: {error}");
    }
}

#[test]
fn the_calendar() {
    renders(&[
        ("{{ dayOfWeek('2025-01-06T00:30:00+02:00') }} {{ dayOfMonth('2025-01-06') }}", "MONDAY 6"),
        ("{{ monthOfYear('2025-01-06') }} {{ hourOfDay('2025-01-06T14:30:00') }}", "1 14"),
        ("{{ isWeekend('2025-01-05') }} {{ isWeekend('2025-01-06') }}", "true false"),
        ("{{ isDayWeekInMonth('2025-01-13', 'monday', 'SECOND') }}", "true"),
        ("{{ isDayWeekInMonth('2025-01-27', 'MONDAY', 'LAST') }}", "true"),
        (
            "{{ isLastWorkingDay('2025-08-29') }} {{ isLastWorkingDay('2025-08-31', 'SUNDAY, MONDAY') }}",
            "true true",
        ),
    ]);
    fails(&[
        ("{{ hourOfDay('2025-01-06') }}", "needs a date with a time"),
        ("{{ isDayWeekInMonth('2025-01-13', 'LUNDI', 'FIRST') }}", "`LUNDI` is not a day of the week"),
        ("{{ dayOfWeek('soon') }}", "`soon` is not a date in ISO 8601"),
    ]);
}

#[test]
fn templates_in_values() {
    renders(&[
        ("{{ third }}", "{{ second }}"),
        ("{{ render(third) }}", "1"),
        ("{{ renderOnce(third) }} {{ render(third, recursive=false) }}", "{{ first }} {{ first }}"),
        ("{{ render({'k': [third, 2]}) }}", r#"{"k":["1",2]}"#),
        ("{{ render({'k': second}) | jq('.k') }}", r#"["1"]"#),
        ("{{ render(rawed) }}", "{{ first }}"),
        ("{{ rawed }}", "{% raw %}{{ first }}{% endraw %}"),
        ("{% set x = 'set' %}{{ render('{{ x }}') }}", "set"),
        ("{{ render(count) }}{{ render(nothing) }}", "42"),
    ]);
    fails(&[
        ("{{ render(ping) }}", "more than 100 templates in templates"),
        (
            "{{ render(self) }}",
            "more than 100 templates in templates in the rendered `{{ render(self) }}` in the expression",
        ),
        (
            "{{ render('{{ missing }}') }}",
            "unable to find `missing` in the rendered `{{ missing }}` in the expression",
        ),
        ("{{ render('{{ missing }}') ?? 'd' }}", "unable to find `missing`"),
        ("{{ render('{{') }}", "the expression is not closed in the rendered `{{`"),
    ]);
}
