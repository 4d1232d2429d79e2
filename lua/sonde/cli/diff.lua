-- sonde diff A B: what differs between two runs.
local cli = require "sonde.cli"

local command = {
  usage = "A B [--json]",
  summary = "what differs between two runs: parameters, source, numbers",
  apart = true,
  about = "Compares two runs: parameters, source, environment, and every number, rows by their step and probes by\n"
    .. "their names. Clock readings, the command and the number of threads are left out. Exits 1 if anything differs.",
}

function command.parser(parser)
  parser:argument("a", "The first file.")
  parser:argument("b", "The second file.")
  parser:flag("--json", "One JSON document.")
end

function command.run(options)
  local open = require "sonde.history.open"
  local a, path_a = open.file(options.a)
  if not a then return cli.fail(path_a) end
  local _ <close> = a
  local b, path_b = open.file(options.b)
  if not b then return cli.fail(path_b) end
  local _ <close> = b
  local found, compared = require "sonde.history.diff"(a, b)
  if options.json then
    local json = require "sonde.json"
    print(json.encode({ a = path_a, b = path_b, equal = #found == 0, compared = compared,
                        differences = json.array(found) }, "  "))
    return #found == 0 and 0 or 1
  end
  local section
  if #found == 0 then print(("no difference: %d columns are equal bit for bit"):format(compared)) return 0 end
  print(("%s | %s"):format(path_a, path_b))
  for _, difference in ipairs(found) do
    if difference.section ~= section then print(difference.section) end
    section = difference.section
    print(("  %s: %s"):format(difference.name, difference.text))
  end
  return 1
end

return command
