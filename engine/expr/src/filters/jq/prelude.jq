# What jq 1.6 defines otherwise than jaq.
def reverse: length as $n | [.[$n - 1 - range(0; $n)]];
def ltrimstr($start):
  if isstring and ($start | isstring) and startswith($start) then .[$start | length:] else . end;
def rtrimstr($end):
  if isstring and ($end | isstring) and endswith($end) then .[:length - ($end | length)] else . end;
def delpaths($paths): __delete($paths | sort);
def del(f): delpaths([path(f)]);

# jaq keeps fractions of seconds, and its `todate` takes no parts of a time.
def mktime: if isarray then strftime("%s") | tonumber else error("mktime needs the parts of a time") end;
def todateiso8601: strftime("%Y-%m-%dT%H:%M:%SZ");
def todate: todateiso8601;
def date: todate;
def dateadd(unit; $n): . + $n;
def datesub(unit; $n): . - $n;

# A regular expression may be a list of it and its flags.
def test($re; $flags): matches($re; $flags) | length > 0;
def test($re): if $re | isarray then test($re[0]; $re[1]) else test($re; null) end;
def match($re): if $re | isarray then match($re[0]; $re[1]) else match($re; null) end;
def capture($re): if $re | isarray then capture($re[0]; $re[1]) else capture($re; null) end;
def scan($re; $flags):
  match($re; "g" + $flags) | if .captures == [] then .string else [.captures[].string] end;
def scan($re): if $re | isarray then scan($re[0]; $re[1]) else scan($re; null) end;

# There is one input and no terminal.
def input: error("No more inputs");
def inputs: empty;
def input_line_number: 0;
def debug: .;
def stderr: .;

# What jq 1.6 defines and jaq does not.
def leaf_paths: paths(scalars);
def recurse_down: recurse;
def isvalid(f): try (f | true) catch false;
def toarray: if isarray then . else [.] end;
def ascii: [.] | implode;

def tostream:
  path(def parts: (.[]? | parts), .; parts) as $path
  | getpath($path)
  | reduce path(.[]?) as $last ([$path, .]; [$path + $last]);
def fromstream(f): {value: null, whole: false} as $none | foreach f as $event ($none;
  if .whole then $none else . end |
  if $event | length == 2
  then .whole = ($event[0] | length == 0) | setpath(["value"] + $event[0]; $event[1])
  else .whole = ($event[0] | length == 1) end;
  if .whole then .value else empty end);
def truncate_stream(stream):
  . as $depth | null | stream | if .[0] | length > $depth then .[0] |= .[$depth:] else empty end;

def IN(source): any(source == .; .);
def IN(source; values): any(source == values; .);
def INDEX(stream; key): reduce stream as $row ({}; .[$row | key | tostring] = $row);
def INDEX(key): INDEX(.[]; key);

def @csv: [.[] |
    if . == null then ""
  elif isstring then "\"" + gsub("\""; "\"\"") + "\""
  elif . < [] then tostring
  else error("a row of CSV cannot have a list or map in it") end
] | join(",");
def @tsv: [.[] |
    if . == null then ""
  elif isstring then gsub("\\\\"; "\\\\") | gsub("\t"; "\\t") | gsub("\n"; "\\n") | gsub("\r"; "\\r")
  elif . < [] then tostring
  else error("a row of TSV cannot have a list or map in it") end
] | join("\t");
