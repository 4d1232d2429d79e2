std = "lua54"
max_line_length = 120
unused_args = false
ignore = { "542", "581" } -- an empty branch says in a comment why it is one; not (x > y) is meant to catch NaN
files["tests"] = { std = "+busted" }
files["lua/sonde/meta"] = { max_line_length = false, ignore = { "241" } } -- stubs for editors: classes nobody calls here
files["lua/sonde/cli/lua.lua"] = { globals = { "arg" } } -- hands the script its arguments
files["tests/support/spec.lua"] = { globals = { "arg" } } -- what Busted reads its options from
