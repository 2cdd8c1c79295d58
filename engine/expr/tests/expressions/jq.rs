//! `jq` beside jq 1.6: programs, what they are given, and the list of what they yield.

use weft_expr::{Environment, Limits, NoEnvironment, Template, Value};

use crate::world::World;

/// Steps for small programs only.
struct Small;

impl Environment for Small {
    fn limits(&self) -> Limits {
        Limits { iterations: 10_000, ..NoEnvironment.limits() }
    }
}

fn run(program: &str, input: &str) -> Result<String, String> {
    run_in(&World, program, input)
}

fn run_in(environment: &dyn Environment, program: &str, input: &str) -> Result<String, String> {
    let context = [("program", program), ("input", input)].map(|(name, value)| (name, Value::from(value)));
    let template = Template::parse("{{ input | jq(program) }}").map_err(|error| error.to_string())?;
    template.render(&Value::from_pairs(context), environment).map_err(|error| error.to_string())
}

#[track_caller]
fn yields(rows: &[(&str, &str, &str)]) {
    for (program, input, expected) in rows {
        assert_eq!(run(program, input).as_deref(), Ok(*expected), "{program} of {input}");
    }
}

#[track_caller]
fn fails(rows: &[(&str, &str, &str)]) {
    for (program, input, expected) in rows {
        let error = run(program, input).expect_err(program);
        assert!(error.contains(expected), "{program} of {input}: {error}");
    }
}

#[test]
fn whole_numbers_are_integers() {
    yields(&[
        ("add/length", "[2,4]", "[3]"),
        ("8/4, (4|sqrt), pow(2;3), 6*0.5, 0.5+0.5, 2.5-0.5, -(1.0)", "0", "[2,2,8,3,1,2,-1]"),
        (r#""\(8/4)", ([8/4]|@csv), (2.0|tojson), ([1.0]|tostring)"#, "0", r#"["2","2","2","[1]"]"#),
        (
            r#"("1e2"|tonumber), 1e3, 1.0, 1e17, ("[2.0,1e1]"|fromjson)"#,
            "0",
            "[100,1000,1,100000000000000000,[2,10]]",
        ),
        (".[0], .[1.7], .[1.2:2.5], .[4/2], has(4/2)", "[2.0,3.5,4]", "[2,3.5,[3.5,4],4,true]"),
        ("1/4, 0.1+0.2, 1e300", "0", "[0.25,0.30000000000000004,1.0E300]"),
        ("5.9%3, -5%3, 5%-3, (5%3.7)", "0", "[2,-2,2,2]"),
        (
            "infinite|tostring, (-infinite|tojson), infinite",
            "0",
            r#"["1.7976931348623157e+308","-1.7976931348623157e+308",1.7976931348623157E308]"#,
        ),
        (
            "[nan]|sort, ([nan,1,nan]|sort), (nan|tostring), nan, (nan|isnan), (nan < nan), (1|isnan)",
            "0",
            r#"[[null],[null,null,1],"null",null,true,true,false]"#,
        ),
        (
            "[infinite, 1|isinfinite], 9223372036854775807, 9223372036854775808",
            "0",
            "[[true,false],9223372036854775807,9223372036854775808]",
        ),
    ]);
    fails(&[
        ("1/0", "0", "cannot calculate 1 / 0"),
        ("1%0.5", "0", "cannot calculate 1 % 0"),
        ("1/.", "0", "cannot calculate"),
    ]);
}

#[test]
fn what_is_assigned_to_need_not_be_there() {
    yields(&[
        (".b.c=2", r#"{"a":1}"#, r#"[{"a":1,"b":{"c":2}}]"#),
        (
            ".[2]=1, .a=1, .[1].a |= 3, .[1:2]=[7], .a[1:]=[7]",
            "null",
            r#"[[null,null,1],{"a":1},[null,{"a":3}],[7],{"a":[7]}]"#,
        ),
        (".a += 1, .a //= 3, (.a.b.c |= 1)", "{}", r#"[{"a":1},{"a":3},{"a":{"b":{"c":1}}}]"#),
        (".[5]=1, .[-1]=9, .[2:4]=[7]", "[1,2,3]", "[[1,2,3,null,null,1],[1,2,9],[1,2,7]]"),
        ("setpath([\"a\",0,\"b\"]; 1), getpath([\"x\",\"y\"])", "{}", r#"[{"a":[{"b":1}]},null]"#),
        (".[] |= (., .), (.[0] |= empty)", "[1,2]", "[[1,2],[2]]"),
        ("map_values(empty), (.b |= empty)", r#"{"a":1,"b":2,"c":3}"#, r#"[{},{"a":1,"c":3}]"#),
        (".a? = 1", "[]", "[[]]"),
    ]);
    fails(&[
        (".[-3]=1", "[1]", "before the beginning of the list"),
        (".a=1", "[]", "cannot index [] with a"),
        (".[0]=1", "{}", "cannot index {} with 0"),
        (".[1000000000]=1", "[]", "too far behind the end of a list"),
        (
            "[range(100)] | map([] | try (.[900000] = 1) catch .) | .[5] | error",
            "[]",
            "too far behind the end of a list",
        ),
    ]);
}

#[test]
fn deletions_go_from_the_last_to_the_first() {
    yields(&[
        (
            "del(.[0,1]), delpaths([[0],[1]]), del(.[0],.[2]), del(.[-1],.[0]), del(.[9]), del(.[]), del(.[1:])",
            "[3,1,2]",
            "[[2],[2],[1],[1],[3,1,2],[],[3]]",
        ),
        (
            "del(.), del(..), del(.a), del(.x.y), del(.n.y), del(.a, .l[0])",
            r#"{"a":1,"n":null,"l":[1,2]}"#,
            r#"[null,null,{"n":null,"l":[1,2]},{"a":1,"n":null,"l":[1,2]},{"a":1,"n":null,"l":[1,2]},{"n":null,"l":[2]}]"#,
        ),
        ("del(.[] | select(. > 1)), del(.[1:3])", "[1,2,3,1]", "[[1,1],[1,1]]"),
        ("del(.a), del(.[1:2]), del(.a.b)", "null", "[null,null,null]"),
    ]);
    fails(&[
        ("del(.a)", "[1]", "cannot index [1] with a"),
        ("delpaths([[\"a\",\"b\"]])", r#"{"a":1}"#, "cannot index 1 with b"),
    ]);
}

#[test]
fn lists_and_maps() {
    yields(&[
        (
            "from_entries",
            r#"[{"name":"a","value":1},{"k":"b","v":2},{"Key":"c","Value":3},{"Name":"d","Value":null},{"key":1,"value":false}]"#,
            r#"[{"a":1,"b":2,"c":3,"d":null,"1":false}]"#,
        ),
        (
            "with_entries(.value += 1), to_entries, ([]|from_entries)",
            r#"{"a":1}"#,
            r#"[{"a":2},[{"key":"a","value":1}],{}]"#,
        ),
        (
            r#"join(","), ([]|join(",")), (["a","b"]|join(null))"#,
            r#"[1,null,"a",true]"#,
            r#"["1,,a,true","","ab"]"#,
        ),
        ("reverse, ([3,1,2]|reverse), ({}|reverse)", "null", "[[],[2,1,3],[]]"),
        (
            "[tostream], fromstream(tostream)",
            r#"{"a":[1,{"b":2}],"c":[]}"#,
            r#"[[[["a",0],1],[["a",1,"b"],2],[["a",1,"b"]],[["a",1]],[["c"],[]],[["c"]]],{"a":[1,{"b":2}],"c":[]}]"#,
        ),
        ("[1|truncate_stream([[0],1],[[1,0],2],[[1,0]],[[1]])]", "0", "[[[[0],2],[[0]]]]"),
        ("length, (.[]|length)", r#"[null,"é",[1],{"a":1},-3]"#, "[5,0,1,1,1,3]"),
        (
            r#"indices(1), indices([1,1]), ("éaéa"|indices("a")), index(1), rindex(1), ("a"|indices("")), (null|indices(1))"#,
            "[0,1,1]",
            "[[1,2],[1],[1,3],1,2,null,null]",
        ),
        ("bsearch(2), bsearch(0), contains([1]), inside([1,2,3,4])", "[1,2,3]", "[1,-1,true,true]"),
        (r#"contains({a:["b"]}), has("a"), contains({c:1})"#, r#"{"a":["abc"]}"#, "[true,true,false]"),
        (r#""a"*0, "a"*1.5, "ab"*2, ({a:{b:1}}*{a:{c:2}})"#, "0", r#"[null,"a","abab",{"a":{"b":1,"c":2}}]"#),
        ("[.[] as [$a,$b] | $a-$b], ([1,2,3]-[2])", "[[3,1],[5,2]]", "[[2,3],[1,3]]"),
        (
            "group_by(.a), unique_by(.a), min_by(.a), max_by(.a)",
            r#"[{"a":2},{"a":1}]"#,
            r#"[[[{"a":1}],[{"a":2}]],[{"a":1},{"a":2}],{"a":1},{"a":2}]"#,
        ),
        (
            "walk(if type==\"number\" then .+1 else . end), [paths], [leaf_paths], flatten, transpose",
            "[[1],[2,3]]",
            "[[[2],[3,4]],[[0],[0,0],[1],[1,0],[1,1]],[[0,0],[1,0],[1,1]],[1,2,3],[[1,2],[null,3]]]",
        ),
        (r#"debug, [inputs], input_line_number, (try input catch .)"#, "1", r#"[1,[],0,"No more inputs"]"#),
    ]);
    fails(&[
        (r#"join(",")"#, r#"["a",[1]]"#, r#"cannot calculate a, + [1]"#),
        ("{(.): 1}", "1", "cannot use 1 as key of a map"),
        ("has(0)", "{}", "cannot check whether {} has the key 0"),
        ("env", "0", "may not read the engine's environment"),
        ("$ENV", "0", "may not read the engine's environment"),
    ]);
}

#[test]
fn texts_and_regular_expressions() {
    yields(&[
        (
            r#"ltrimstr("a"), ltrimstr(1), rtrimstr("c"), rtrimstr(""), (1|ltrimstr("a"), rtrimstr(2))"#,
            r#""abc""#,
            r#"["bc","abc","ab","abc",1,1]"#,
        ),
        (r#"test("\\w{3}"), test("É";"i"), test("a.b";"x")"#, r#""aéb""#, "[true,true,true]"),
        (
            r#"test("o";null), test(["O","i"]), test("x"), (try test("o";"q") catch .)"#,
            r#""foo""#,
            r#"[true,true,false,"q is not a valid modifier of a regular expression"]"#,
        ),
        (
            r#"[match("(a)|(?<n>b)";"g")]"#,
            r#""éab""#,
            r#"[[{"offset":1,"length":1,"string":"a","captures":[{"offset":1,"length":1,"string":"a","name":null},{"offset":-1,"length":0,"string":null,"name":"n"}]},{"offset":2,"length":1,"string":"b","captures":[{"offset":-1,"length":0,"string":null,"name":null},{"offset":2,"length":1,"string":"b","name":"n"}]}]]"#,
        ),
        (
            r#"[scan("a|(b)")], [scan("[ab]")], capture("(?<x>a)|(?<n>b)")"#,
            r#""ab""#,
            r#"[[[null],["b"]],["a","b"],{"x":"a","n":null}]"#,
        ),
        (
            r#"sub("(?<x>a)";"\(.x)!"), gsub("a";"-"), gsub("A";"-";"i"), [splits("b")], split("b";null)"#,
            r#""aba""#,
            r#"["a!ba","-b-","-b-",["a","a"],["a","a"]]"#,
        ),
        (
            r#"test("a.c"), test("a.c";"p"), test("^c"), [match("";"g").offset]"#,
            r#""a\nc""#,
            "[false,true,false,[0,1,2,3]]",
        ),
    ]);
    fails(&[
        ("test(\"a\")", "1", "cannot use 1 as text"),
        ("test(\"(\")", "\"1\"", "( is not a regular expression"),
    ]);
}

#[test]
fn times() {
    yields(&[
        (
            "todate, gmtime, (gmtime|todate), (gmtime|mktime)",
            "1706696430.5",
            r#"["2024-01-31T10:20:30Z",[2024,0,31,10,20,30.5,3,30],"2024-01-31T10:20:30Z",1706696430]"#,
        ),
        (
            r#"(1706696430|gmtime|todate), fromdate, (strptime("%Y-%m-%dT%H:%M:%SZ")|mktime), (fromdate|strftime("%A %d %B %Y"))"#,
            r#""2024-01-31T10:20:30Z""#,
            r#"["2024-01-31T10:20:30Z",1706696430,1706696430,"Wednesday 31 January 2024"]"#,
        ),
        (r#"strptime("%H:%M")"#, r#""10:30""#, "[[1900,0,1,10,30,0,1,0]]"),
        ("now, (now|todate)", "0", r#"[1.709206245123456E9,"2024-02-29T11:30:45Z"]"#),
    ]);
}

#[test]
fn deep_values_are_survived() {
    let deep = "reduce range(50000) as $i (1; [.])";
    let path = "[range(20000) | \"a\"] as $p";
    for program in [
        format!("{deep} | tojson | length"),
        format!("{deep} | flatten | length"),
        format!("{deep} | . == . | not"),
        format!("{deep} | .a"),
        format!("{deep} | error"),
        format!("{deep} | [.] | contains([.])"),
        format!("{deep} | [tostream] | length"),
        format!("{path} | setpath($p; 1) | getpath($p)"),
        format!("{path} | setpath($p; 1) | delpaths([$p]) | length"),
        format!("{path} | setpath($p; setpath($p; 1)) | tojson | length"),
        "[range(100000) | \"[\"] | add | try fromjson catch length".to_string(),
        "[range(3000) | nan, 1, nan, 2] | sort | length".to_string(),
        "reduce range(100000) as $i ([]; .[$i] = $i) | length".to_string(),
    ] {
        let shown = run(&program, "null").unwrap_or_else(|error| error);
        assert!(shown.len() < 2000 && !shown.contains("failed on this program"), "{program}: {shown}");
    }
}

#[test]
fn values_of_shared_parts_end() {
    let shared = "reduce range(40) as $i (1; [., .])";
    for program in [
        "DAG|[.] - [.]",
        "sort_by(DAG)",
        "[1,2]|sort_by(DAG)",
        "contains(DAG)",
        "DAG|contains([DAG])",
        "indices(DAG)",
        "[DAG]|.[[DAG]]",
        "DAG|tostring",
        "[{key: DAG}]|from_entries",
        "DAG|.a",
        "try (DAG|.a) catch length",
        "DAG|error",
        "DAG|todate",
        "DAG|.[DAG:]",
        "[DAG]|bsearch(DAG)",
        "DAG+1",
        "DAG|has(DAG)",
        "DAG|join(\",\")",
        "DAG|flatten",
        "[DAG]|unique",
        "DAG|@text",
        "DAG|del(..)",
        "DAG|test(\"a\")",
    ] {
        let program = program.replace("DAG", &format!("({shared})"));
        let shown = run_in(&Small, &program, "0").unwrap_or_else(|error| error);
        assert!(shown.len() < 2000, "{program}");
    }
}
