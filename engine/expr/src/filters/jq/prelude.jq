# What jq 1.6 defines and jaq does not.
def leaf_paths: paths(scalars);
def recurse_down: recurse;
def isvalid(f): try (f | true) catch false;
def toarray: if isarray then . else [.] end;
def ascii: [.] | implode;

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
