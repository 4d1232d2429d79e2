-- sonde run RECIPE: runs a recipe and writes its file.
local cli = require "sonde.cli"
local lfs = require "lfs"
local parse = require "sonde.cli.parse"

local command = { usage = "RECIPE [--set k=v]…", summary = "run a recipe and write what was measured" }

function command.parser(parser)
  parser:argument("recipe", "The recipe: a Lua file.")
  parser:option("--set", "Set a parameter of the recipe. May be given several times."):argname("NAME=VALUE"):count("*")
  parser:option("--seed", "All random numbers follow from it (default 1)."):argname("N")
    :convert(parse.whole("--seed", 0))
  parser:option("-o --output", "The file to write (default: the recipe's name, .h5, in the current folder).")
    :argname("FILE")
  parser:option("--threads", "Threads of this run (default 1); the results are the same for any number.")
    :argname("N"):convert(parse.whole("--threads", 1, 1024))
  parser:flag("--force", "Replace the file if it exists; the old one stays until the run has ended.")
  parser:flag("--quiet", "No progress.")
  parser:option("--data", "Look for data files in this folder too. May be given several times.")
    :argname("DIR"):count("*")
  parser:flag("--trust", "Let the recipe do what any script may (recipes are not confined yet).")
end

local function say_end(outcome)
  io.stdout:flush()
  if outcome.status == "complete" then
    print(("wrote %s: %d steps in %.3g s"):format(outcome.file, outcome.steps, outcome.seconds))
    return
  end
  local kept = outcome.steps == 0 and "; %s holds no step" or "; %s holds the %d steps before"
  cli.fail(outcome.error .. (outcome.file and kept:format(outcome.file, outcome.steps) or ""))
  if outcome.trace and os.getenv("SONDE_TRACE") then io.stderr:write(outcome.trace, "\n") end
end

-- The recipe and its parameters, the --data folders being known; nil and the exit code if there is something wrong with
-- them.
function command.prepare(options)
  local params = require "sonde.recipe.params"
  local folders = require "sonde.data.find".folders
  for _, folder in ipairs(options.data) do
    if lfs.attributes(folder, "mode") ~= "directory" then
      return nil, cli.fail(("--data: there is no folder '%s'"):format(folder), 2)
    end
  end
  table.move(options.data, 1, #options.data, #folders + 1, folders)
  local recipe, message = require "sonde.run".load(options.recipe)
  if not recipe then return nil, cli.fail(message) end
  local set, values
  set, message = params.parse_set(options.set)
  if set then values, message = params.resolve(recipe.declarations, set, recipe.folder) end
  if not values then return nil, cli.fail((next(options.set) and "--set: " or "") .. message, 2) end
  return { recipe = recipe, values = values, set = set }
end

function command.run(options)
  local prepared, code = command.prepare(options)
  if not prepared then return code end
  if options.threads then require "sonde.core".threads(options.threads) end
  local command_line = require "sonde.run.command"
  local launcher = os.getenv "SONDE_LAUNCHER"
  command_line.program = launcher and launcher ~= "" and launcher or arg[0]
  local outcome = require "sonde.run".execute(prepared.recipe, {
    values = prepared.values, set = prepared.set, seed = options.seed, out = options.output, force = options.force,
    quiet = options.quiet, command = command_line.text("sonde", options),
  })
  say_end(outcome)
  return outcome.exit
end

return command
