//! The filters, by subject.

use crate::world::{fails, renders};

#[test]
fn texts() {
    renders(&[
        ("{{ text | lower }} {{ text | upper }}", "hello world HELLO WORLD"),
        (
            "{{ text | capitalize }}|{{ '  abc dEf' | capitalize }}|{{ '' | capitalize }}",
            "Hello World|  Abc dEf|",
        ),
        ("{{ 'ab cD  e' | title }}", "Ab CD  E"),
        ("{{ '  x y ' | trim }}", "x y"),
        ("{{ text | length }}{{ 'é' | length }}{{ nothing | length }}", "1110"),
        ("{{ text | first }}{{ text | last }}", "hd"),
        ("{{ text | slice(6) }} {{ text | slice(0, 5) }}", "World hello"),
        (
            "{{ 'hello world' | abbreviate(8) }} {{ 'ab' | abbreviate(8) }} {{ 'abcd' | abbreviate(2) }}",
            "hello... ab ab",
        ),
        ("{{ 'a.b.c' | substringBefore('.') }} {{ 'a.b.c' | substringBeforeLast('.') }}", "a a.b"),
        ("{{ 'a.b.c' | substringAfter(separator='.') }} {{ 'a.b.c' | substringAfterLast('.') }}", "b.c c"),
        ("{{ 'abc' | substringBefore('x') }} {{ 'abc' | substringAfter('x') }}", "abc "),
        ("{{ text | startsWith('hello') }} {{ text | endsWith('x') }}", "true false"),
        ("{{ 'Été à Paris_2' | slugify }}", "ete-a-paris-2"),
        (
            "{{ \"it's\" | escapeChar('single') }} {{ \"it's\" | escapeChar('shell') }} {{ \"it's\" | sh }}",
            r"it\'s it'\''s it'\''s",
        ),
        (r#"{{ ['"a"', {'k': '"'}] | escapeChar('double') | toJson }}"#, r#"["\\\"a\\\"",{"k":"\\\""}]"#),
        ("{{ \"a\nb\" | indent(2) }}", "a\n  b"),
        ("{{ \"a\nb\" | nindent(2, '-') }}", "\n--a\n--b"),
        ("{{ '' | nindent(2) }}", ""),
        ("{{ \"a\nb\" | condenseString }}", "ab"),
        ("{{ nothing | upper }}{{ nothing | split(',') }}", ""),
    ]);
    fails(&[
        ("{{ text | slice(0, 99) }}", "`slice` to 99 is beyond the length, which is 11"),
        ("{{ text | slice(-1) }}", "it takes no negative positions"),
        ("{{ text | slice(3, 3) }}", "is empty"),
        ("{{ text | escapeChar('triple') }}", "the types are `single`, `double` and `shell`"),
        ("{{ text | indent(-1) }}", "needs an amount of 0 or more"),
        (
            "{{ text | abbreviate('x') }}",
            "the argument `length` of `abbreviate` has to be an integer, not a text",
        ),
    ]);
}

#[test]
fn replacing_and_splitting() {
    renders(&[
        ("{{ text | replace({'hello': 'bye', 'World': 'all'}) }}", "bye all"),
        (r"{{ 'aa1bb2' | replace({'(\d)': '-$1-'}, regexp=true) }}", "aa-1-bb-2-"),
        ("{{ ['a1', {'k': 'a2', 'n': 3}] | replace({'a': 'b'}) }}", r#"["b1",{"k":"b2","n":"3"}]"#),
        ("{{ 'a,b,c' | split(',') }}", r#"["a","b","c"]"#),
        ("{{ 'a,b,,' | split(',') }}", r#"["a","b"]"#),
        ("{{ 'a,b,,' | split(',', -1) }}", r#"["a","b","",""]"#),
        ("{{ 'a,b,c' | split(',', 2) }}", r#"["a","b,c"]"#),
        ("{{ 'a.b' | split('.') }}", "[]"),
        (r"{{ 'a.b' | split('\.') }}", r#"["a","b"]"#),
        ("{{ 'abc' | split('') }}", r#"["a","b","c"]"#),
        ("{{ '' | split(',') }} {{ ',' | split(',') }}", r#"[""] []"#),
        (r"{{ 'a1  b2' | split('\s+') }}", r#"["a1","b2"]"#),
        (r"{{ 'order-123' | regexExtract('\d+') }} {{ 'k=v' | regexExtract('(\w)=(\w)', 2) }}", "123 v"),
        (r"{{ 'none' | regexExtract('\d+') ?? 'no digits' }}", "no digits"),
        (r"{{ 'hello' | regexMatch('l+') }} {{ nothing | regexMatch('x') }}", "true false"),
        (r"{{ 'john smith' | regexReplace('(\w+) (\w+)', '$2, $1') }}", "smith, john"),
        (r"{{ 'a1' | regexReplace('(?<n>\d)', '${n}${n}\$') }}", "a11$"),
        (r"{{ 'ab' | regexReplace('(a)', '$10') }}", "a0b"),
    ]);
    fails(&[
        ("{{ text | replace('a') }}", "`replace` needs a map of texts, not a text"),
        ("{{ text | split('[') }}", "is not a regular expression"),
        (r"{{ text | regexReplace('(?=x)', '') }}", "is not a regular expression: look-around"),
        ("{{ text | regexReplace('l', '$1') }}", "has no group `1`"),
        ("{{ text | regexExtract('l', 3) }}", "the regular expression has 0 groups"),
        ("{{ count | split(',') }}", "`split` needs a text, not a number"),
    ]);
}

#[test]
fn lists_and_maps() {
    renders(&[
        ("{{ numbers | sort }} {{ numbers | rsort }} {{ numbers | reverse }}", "[1,2,3] [3,2,1] [2,1,3]"),
        ("{{ numbers }}", "[3,1,2]"),
        (
            "{{ words | sort | join('-') }} {{ [1, nothing, [2]] | join(',') }} {{ numbers | join }}",
            "a-b-c 1,null,[2] 312",
        ),
        ("{{ numbers | first }}{{ numbers | last }}{{ none_of_it | first ?? '-' }}", "32-"),
        ("{{ numbers | length }}{{ map | length }}{{ count | length }}", "340"),
        ("{{ numbers | slice(1) }} {{ numbers | slice(0, 2) }}", "[1,2] [3,1]"),
        ("{{ [1, 2, 3, 4, 5] | chunk(2) }}", "[[1,2],[3,4],[5]]"),
        ("{{ [1, [2, [3]], 4] | flatten }}", "[1,2,[3],4]"),
        (
            "{{ [1, 2, 1, '1', 1.0] | distinct }} {{ [2, 2] | uniq }} {{ 'a' | uniq }}",
            r#"[1,2,"1",1.0] [2] a"#,
        ),
        ("{{ map | keys }} {{ numbers | keys }}", r#"["a","b-c","nil","deep"] [0,1,2]"#),
        ("{{ map.deep | values }}", r#"["v"]"#),
        (
            "{{ [1] | merge([2]) }} {{ {'a': 1} | merge({'a': 2, 'b': 3}) }} {{ nothing | merge([1]) }}",
            r#"[1,2] {"a":2,"b":3} [1]"#,
        ),
        ("{{ {'a': 1} | merge(['x']) }}", r#"{"a":1,"x":"x"}"#),
        ("{{ max(3, 7, 5) }} {{ min(3, 1.5) }}", "7 1.5"),
    ]);
    fails(&[
        ("{{ text | rsort }}", "`rsort` needs a list, not a text"),
        ("{{ [1, 'a'] | sort }}", "`sort` cannot compare a number with a text"),
        ("{{ [[1]] | sort }}", "`sort` cannot order a list"),
        ("{{ numbers | chunk(0) }}", "`chunk` needs a size of 1 or more"),
        ("{{ numbers | values }}", "`values` needs a map, not a list"),
        ("{{ nothing | merge(nothing) }}", "both sides of `merge` are null"),
    ]);
}

#[test]
fn numbers() {
    renders(&[
        ("{{ -3 | abs }} {{ -1.5 | abs }}", "3 1.5"),
        (
            "{{ '12' | number + 1 }} {{ '1.5' | number }} {{ '0x1F' | number }} {{ '08' | number }}",
            "13 1.5 31 8",
        ),
        (
            "{{ '7' | number('INT') }} {{ '7' | number('DOUBLE') }} {{ '7' | number('BIGINTEGER') }}",
            "7 7.0 7",
        ),
        ("{{ '9223372036854775808' | number }}", "9223372036854775808"),
        ("{{ 3.14159 | numberFormat('#.##') }} {{ 1234.5 | numberformat('#,##0.00') }}", "3.14 1,234.50"),
        ("{{ 1234567.891 | numberFormat }}", "1,234,567.891"),
        ("{{ 12345 | numberFormat('0.##E0') }} {{ 0.00012 | numberFormat('0.##E0') }}", "1.23E4 1.2E-4"),
        ("{{ -99.99 | numberFormat('0.0E00') }} {{ 0 | numberFormat('0.##E0') }}", "-1.0E02 0E0"),
        ("{{ 12345 | numberFormat('00.00E0 m') }}", "12.34E3 m"),
        ("{{ 12 | string ~ '|' ~ ('1.50' | string) }}", "12|1.50"),
        (
            "{{ count | className }} {{ text | className }} {{ 5000000000 | className }}",
            "java.lang.Integer java.lang.String java.lang.Long",
        ),
    ]);
    fails(&[
        ("{{ 'abc' | number }}", "`abc` is not a number"),
        ("{{ 5000000000 | number }}", "`number` needs a text, not a number"),
        ("{{ '5000000000' | number('INT') }}", "use `number('LONG')`"),
        ("{{ '5' | number('WORD') }}", "the types are INT, LONG"),
        ("{{ text | numberFormat('0') }}", "hint: make a number of a text with `| number`"),
        (
            "{{ 1 | numberFormat('##0.#E0') }}",
            "with an exponent, there are only `0`s before the decimal point",
        ),
        ("{{ 1 | numberFormat('abc') }}", "is not a format of a number"),
        ("{{ nothing | abs }}", "`abs` needs a number, not null"),
        ("{{ 'x' | string }}", "`string` needs a number or the text of one"),
    ]);
}

#[test]
fn notations() {
    renders(&[
        ("{{ map | toJson }}", r#"{"a":1,"b-c":"dash","nil":null,"deep":{"k":"v"}}"#),
        ("{{ text | toJson }} {{ nothing | toJson }} {{ price | json }}", r#""hello World" null 3.65"#),
        ("{{ 'a b&ü' | urlencode }} {{ 'a+b%26' | urldecode }}", "a+b%26%C3%BC a b&"),
        ("{{ text | base64encode }} {{ 'aGk=' | base64decode }}", "aGVsbG8gV29ybGQ= hi"),
        ("{{ 'test' | md5 }}", "098f6bcd4621d373cade4e832627b4f6"),
        ("{{ 'test' | sha1 }}", "a94a8fe5ccb19ba61c4c0873d391e987982fbbd3"),
        ("{{ 'test' | sha256 }}", "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"),
        ("{{ 'test' | sha512 | slice(0, 16) }}", "ee26b0dd4af7e749"),
        ("{{ {'a': 1.5, 'b c': [true, null], 'n': 'x'} | toIon }}", r#"{a:1.5e0,'b c':[true,null],n:"x"}"#),
        ("{{ ['string', 1, 1.123] | yaml }}", " - string\n - 1\n - 1.123\n"),
        (
            "{{ {'a': {'b': [1, {'c': 2, 'd': []}]}, 'e': \"x\ny\", 'f': 'true', 'g': null} | yaml }}",
            "a:\n  b:\n   - 1\n   - c: 2\n     d: []\ne: |-\n  x\n  y\nf: 'true'\ng: null\n",
        ),
        ("{{ text | yaml }}{{ nothing | yaml }}", "hello World\nnull"),
    ]);
    fails(&[
        ("{{ '***' | base64decode }}", "the text is not base64"),
        ("{{ '%zz' | urldecode }}", "not followed by two hexadecimal digits"),
    ]);
}

#[test]
fn jq_yields_lists() {
    renders(&[
        ("{{ rows | jq('.[].uri') }}", r#"["u1","u2"]"#),
        ("{{ rows | jq('.[].uri') | first }}", "u1"),
        ("{{ rows | jq('map(.size) | add') | first }}", "30"),
        ("{{ '{\"x\":[1,2]}' | jq('.x[]') }}", "[1,2]"),
        ("{{ map | jq('.\"b-c\"') }} {{ map | jq('.none') }}", r#"["dash"] [null]"#),
        ("{{ rows | jq('.[] | select(.size > 10) | .uri') }}", r#"["u2"]"#),
        ("{{ rows | jq('[.[] | .size * 2] | sort | reverse') }}", "[[40,20]]"),
        ("{{ map | jq('to_entries | map(.key) | join(\",\")') }}", r#"["a,b-c,nil,deep"]"#),
        ("{{ map | jq('.a += 1 | del(.deep) | .a') }} {{ map | jq('.a *= 3 | .a') }}", "[2] [3]"),
        ("{{ map | jq('[paths]') | first | length }}", "5"),
        ("{{ 0 | jq('[limit(3; repeat(1))]') }} {{ 0 | jq('[range(0; 6; 2)]') }}", "[[1,1,1]] [[0,2,4]]"),
        ("{{ 0 | jq('reduce range(5) as $i (0; . + $i)') }}", "[10]"),
        ("{{ 0 | jq('def f(x): x * 2; f(21)') }}", "[42]"),
        ("{{ 0 | jq('try error(\"x\") catch .') }}", r#"["x"]"#),
        ("{{ 0 | jq('empty') }}", "[]"),
        (r#"{{ [1, 'a"b', null, true] | jq('@csv') | first }}"#, r#"1,"a""b",,true"#),
        (r#"{{ ['a\b', "x	y", 2] | jq('@tsv') | first }}"#, "a\\\\b\tx\\ty\t2"),
        ("{{ rows | jq('INDEX(.uri) | keys') }} {{ 2 | jq('IN(1, 2)') }}", r#"[["u1","u2"]] [true]"#),
        ("{{ map | jq('[leaf_paths] | length') }} {{ 65 | jq('ascii') }}", r#"[3] ["A"]"#),
        (r#"{{ {'n': 1} | jq('"n is \(.n)"') | first }}"#, "n is 1"),
        ("{{ [1, 2.5, '9223372036854775808' | number] | jq('.') | first }}", "[1,2.5,9223372036854775808]"),
        ("{{ nothing | jq('.') ?? 'null' }}", "null"),
    ]);
    fails(&[
        ("{{ map | jq('.[') }}", "`.[` is not a program of jq"),
        ("{{ map | jq('nope') }}", "`nope` is not defined"),
        ("{{ map | jq('.a.b') }}", "the `jq` program failed: cannot index 1"),
        ("{{ 'x' | jq('.') }}", "`jq` reads a text as JSON, but this is none"),
        ("{{ map | jq('halt') }}", "`halt` is not defined"),
    ]);
}

#[test]
fn dates() {
    renders(&[
        ("{{ date | date }}", "2013-09-08T17:19:12.123456+02:00"),
        ("{{ date | date('iso_sec', timeZone='UTC') }}", "2013-09-08T15:19:12Z"),
        (
            "{{ date | date('sql') }} | {{ date | date('sql_seq') }}",
            "2013-09-08 17:19:12.123456 | 2013-09-08 17:19:12",
        ),
        ("{{ date | date(\"EEEE, d MMMM yyyy 'at' h:mm a\") }}", "Sunday, 8 September 2013 at 5:19 PM"),
        ("{{ date | date('yy/M/dd E D') }}", "13/9/08 Sun 251"),
        (
            "{{ date | date('HH:mm:ss.SSS X XX XXX x Z O z VV') }}",
            "17:19:12.123 +02 +0200 +02:00 +02 +0200 GMT+2 CEST Europe/Paris",
        ),
        ("{{ date | date(\"QQQ 'Q'q ww e k K n A\") }}", "Q3 Q3 36 7 17 5 123456000 62352123"),
        ("{{ date | date('[yyyy][-MM]') }}", "2013-09"),
        ("{{ '2024-01-15' | date('EEEE', locale='fr') }}", "lundi"),
        ("{{ '2024-08-14' | date('EEE d MMM yyyy, MMMMM, a', locale='fr-FR') }}", "mer. 14 août 2024, A, AM"),
        (
            "{{ '2024-03-02' | date('EEEE, d. MMMM | EEE MMM', locale='de_DE') }}",
            "Samstag, 2. März | Sa. März",
        ),
        ("{{ '2024-03-06' | date('EEEE MMMM EEEEE', locale='es') }}", "miércoles marzo X"),
        ("{{ '2024-03-08' | date('EEEE MMMM', locale='it') }}", "venerdì marzo"),
        ("{{ '2024-03-05' | date('EEEE MMMM', locale='pt-BR') }}", "terça-feira março"),
        ("{{ '2024-03-05' | date('EEEE MMMM', locale='nl') }}", "dinsdag maart"),
        (
            "{{ '2024-03-05' | date('rfc_1123_date_time', 'UTC', locale='nl') }}",
            "Tue, 5 Mar 2024 00:00:00 GMT",
        ),
        ("{{ date | date('iso_local_date') }} {{ date | date('iso_date') }}", "2013-09-08 2013-09-08+02:00"),
        (
            "{{ date | date('iso_local_date_time') }} {{ date | date('iso_local_time') }}",
            "2013-09-08T17:19:12.123456 17:19:12.123456",
        ),
        ("{{ date | date('iso_date_time') }}", "2013-09-08T17:19:12.123456+02:00[Europe/Paris]"),
        (
            "{{ date | date('iso_instant') }} {{ date | date('iso_time') }}",
            "2013-09-08T15:19:12.123456Z 17:19:12.123456+02:00",
        ),
        (
            "{{ date | date('iso_ordinal_date') }} {{ date | date('iso_week_date') }}",
            "2013-251+02:00 2013-W36-7+02:00",
        ),
        ("{{ date | date('rfc_1123_date_time') }}", "Sun, 8 Sep 2013 17:19:12 +0200"),
        ("{{ date | date('medium') }} {{ date | date('short') }}", "Sep 8, 2013, 5:19:12 PM 9/8/13, 5:19 PM"),
        ("{{ '2013-09-08T17:19:12' | date }}", "2013-09-08T17:19:12.000000+02:00"),
        ("{{ '2013-09-08' | date('iso', 'UTC') }}", "2013-09-08T00:00:00.000000Z"),
        ("{{ 1378653552 | date('iso_sec', timeZone='+02:00') }}", "2013-09-08T17:19:12+02:00"),
        ("{{ 0 | date('iso_sec', 'GMT-3') }}", "1969-12-31T21:00:00-03:00"),
        ("{{ 'July 24, 2001' | date('yyyy-MM-dd', existingFormat='MMMM dd, yyyy') }}", "2001-07-24"),
        (
            "{{ '24.7.2001 5:06 pm' | date('sql_seq', existingFormat='d.M.yyyy h:mm a') }}",
            "2001-07-24 17:06:00",
        ),
        ("{{ '20010724170605' | date('sql_seq', existingFormat='yyyyMMddHHmmss') }}", "2001-07-24 17:06:05"),
        ("{{ '2001-07-24' | date('sql_seq', existingFormat='yyyy-MM-dd[ HH:mm]') }}", "2001-07-24 00:00:00"),
        (
            "{{ '2001-07-24 10:00 +0500' | date('iso_sec', 'UTC', 'yyyy-MM-dd HH:mm Z') }}",
            "2001-07-24T05:00:00Z",
        ),
        (
            "{{ 'Tue, 08 Feb 2022 19:38:26 GMT' | date(existingFormat='rfc_1123_date_time') }}",
            "2022-02-08T20:38:26.000000+01:00",
        ),
        ("{{ date | dateAdd(-1, 'DAYS') }}", "2013-09-07T17:19:12.123456+02:00"),
        ("{{ '2024-01-31' | dateAdd(1, 'MONTHS', 'yyyy-MM-dd') }}", "2024-02-29"),
        ("{{ '2024-03-30T12:00:00' | dateAdd(1, 'DAYS', 'iso_sec') }}", "2024-03-31T12:00:00+02:00"),
        ("{{ '2024-03-30T12:00:00' | dateAdd(24, 'HOURS', 'iso_sec') }}", "2024-03-31T13:00:00+02:00"),
        ("{{ (date | timestamp) > (date | dateAdd(-1, 'DAYS') | timestamp) }}", "true"),
        ("{{ date | timestamp }} {{ date | timestampMilli }}", "1378653552 1378653552123"),
        ("{{ date | timestampMicro }} {{ date | timestampNano }}", "1378653552123456 1378653552123456000"),
        ("{{ '2013-09-08T17:19:12+02:00[Europe/Paris]' | timestamp }}", "1378653552"),
        ("{{ nothing | date }}", ""),
    ]);
    fails(&[
        ("{{ 'yesterday' | date }}", "hint: say how it is written with the argument `existingFormat`"),
        ("{{ date | date('HHH') }}", "is not a format of a date: `H` cannot be repeated 3 times"),
        ("{{ date | date('yyyy-MM-ddTHH') }}", "the letter `T` means nothing"),
        ("{{ date | date(timeZone='Mars/Phobos') }}", "`Mars/Phobos` is not a time zone"),
        ("{{ '24.13.2001' | date('iso', existingFormat='dd.MM.yyyy') }}", "not a date of the format"),
        ("{{ date | date('yyyy', locale='xx') }}", "not available in the language `xx`"),
        ("{{ date | date('full', locale='fr') }}", "the format `full` is available in English only"),
        ("{{ date | dateAdd(1, 'FORTNIGHTS') }}", "`dateAdd` knows no unit `FORTNIGHTS`"),
        ("{{ date | dateAdd(999999999, 'YEARS') }}", "beyond all dates"),
        ("{{ numbers | date }}", "`date` needs a date as a text or a number of seconds, not a list"),
    ]);
}
