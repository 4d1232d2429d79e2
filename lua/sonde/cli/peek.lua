-- sonde peek RECIPE: what the network looks like after one batch, forward and back. No file is written.
local cli = require "sonde.cli"
local run_command = require "sonde.cli.run"

local command = {
  usage = "RECIPE [--set k=v]…",
  summary = "build the network, push one batch forward and back, print the layer table",
}

function command.parser(parser)
  parser:argument("recipe", "The recipe: a Lua file.")
  parser:option("--set", "Set a parameter of the recipe. May be given several times."):argname("NAME=VALUE"):count("*")
  parser:option("--seed", "All random numbers follow from it (default 1)."):argname("N")
    :convert(require "sonde.cli.parse".whole("--seed", 0))
  parser:option("--data", "Look for data files in this folder too. May be given several times.")
    :argname("DIR"):count("*")
end

function command.run(options)
  local prepared, code = run_command.prepare(options)
  if not prepared then return code end
  local table_text, message, exit = require "sonde.run".peek(prepared.recipe, prepared.values, options.seed)
  if not table_text then return cli.fail(message, exit) end
  print(table_text)
  return 0
end

return command
