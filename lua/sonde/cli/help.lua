-- sonde help [COMMAND]
local help = { usage = "[COMMAND]", summary = "this list, or all about one command" }

function help.overview()
  local cli = require "sonde.cli"
  local rows = {}
  for i, name in ipairs(cli.commands) do
    local command = cli.find(name)
    rows[i] = { "  " .. name .. " " .. command.usage, command.summary }
  end
  return "sonde: trains networks, probes every layer, and writes it all to one HDF5 file\n\n"
    .. "Usage: sonde COMMAND …\n\n"
    .. require "sonde.text".columns(rows, "ll")
    .. "\n\nsonde COMMAND --help tells all about one.\n"
    .. "Exit codes: 0 done, 1 failed, 2 wrong usage, 130 and 143 interrupted."
end

function help.main(arguments)
  local cli = require "sonde.cli"
  local name = arguments[1]
  if not name or name:sub(1, 1) == "-" then
    print(help.overview())
    return 0
  end
  local command = cli.find(name)
  if not command then
    return cli.fail(require "sonde.suggest".unknown("command", name, cli.commands), 2)
  end
  if command.parser then
    print(require "sonde.cli.parse".help(name, command))
  else
    print(("Usage: sonde %s %s\n\n%s"):format(name, command.usage, command.about or command.summary))
  end
  return 0
end

return help
