-- The command line: finds the command, runs it, turns what happens into an exit code. One file per command.
--
-- Exit codes: 0 done, 1 failed, 2 wrong usage, 129, 130 and 143 interrupted. `lua` is on the fast way: nothing is
-- loaded for it.
local cli = {}

-- In the order of `help`. Each is sonde.cli.<name>: a table { usage =, summary =, parser = function(parser), run =
-- function(options), apart = runs in a process of its own } or, without a parser, { usage =, summary =, main =
-- function(arguments) }; both return an exit code.
cli.commands = { "run", "peek", "list", "diagnose", "show", "diff", "check", "recover", "lua", "help", "version" }

local function find(name)
  for _, command in ipairs(cli.commands) do
    if command == name then return require("sonde.cli." .. command) end
  end
end
cli.find = find

-- A message on stderr; returns the exit code.
function cli.fail(message, code)
  io.stderr:write("sonde: ", message, "\n")
  return code or 1
end

local aliases = { ["--help"] = "help", ["-h"] = "help", ["--version"] = "version", ["-V"] = "version" }

-- Runs a command that reads a file. HDF5 does not check all it reads: what crashes it must not look like a crash.
local function run_apart(command, options)
  local code, crashed = require "sonde.core".system.apart()
  if crashed then return cli.fail("the file is damaged: reading it crashes HDF5") end
  return code or command.run(options)
end

-- arguments: [1..n] as typed. Returns the exit code.
function cli.main(arguments)
  local name = arguments[1]
  if not name then
    io.stderr:write(require "sonde.cli.help".overview(), "\n")
    return 2
  end
  local command = find(aliases[name] or name)
  if not command then
    local names = require "sonde.cli.help".names()
    return cli.fail(require "sonde.suggest".unknown("command", name, names) .. "\nsee: sonde help", 2)
  end
  local rest = table.move(arguments, 2, #arguments, 1, {})
  rest[0] = arguments[0]
  if command.main then return command.main(rest) end
  local options, code = require "sonde.cli.parse"(name, command, rest)
  if not options then return code end
  if command.apart then return run_apart(command, options) end
  return command.run(options)
end

return cli
