-- sonde help [COMMAND]
local help = { usage = "[COMMAND]", summary = "this list, or all about one command" }

-- Commands of ./sonde, the launcher in the source tree: it carries them out itself, and its --help of them too.
local launcher_commands = {
  { name = "test", usage = "[slow|asan] [PATTERN]…", summary = "the tests" },
  { name = "bench", usage = "[WHAT]…", summary = "the benchmarks" },
}

local function of_launcher()
  local launcher = os.getenv "SONDE_LAUNCHER"
  return launcher and launcher ~= "" and launcher_commands or {}
end

-- The names of all commands there are.
function help.names()
  local names = table.move(require "sonde.cli".commands, 1, #require "sonde.cli".commands, 1, {})
  for _, command in ipairs(of_launcher()) do names[#names + 1] = command.name end
  return names
end

function help.overview()
  local cli = require "sonde.cli"
  local rows = {}
  local function add(name, command) rows[#rows + 1] = { "  " .. name .. " " .. command.usage, command.summary } end
  for _, name in ipairs(cli.commands) do add(name, cli.find(name)) end
  for _, command in ipairs(of_launcher()) do add(command.name, command) end
  return "sonde: trains networks, probes every layer, and writes it all to one HDF5 file\n\n"
    .. "Usage: sonde COMMAND …\n\n"
    .. require "sonde.text".columns(rows, "ll")
    .. "\n\nsonde COMMAND --help tells all about one.\n"
    .. "Exit codes: 0 done, 1 failed, 2 wrong usage, 129, 130 and 143 interrupted."
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
    return cli.fail(require "sonde.suggest".unknown("command", name, help.names()), 2)
  end
  if command.parser then
    print(require "sonde.cli.parse".help(name, command))
  else
    print(("Usage: sonde %s %s\n\n%s"):format(name, command.usage, command.about or command.summary))
  end
  return 0
end

return help
