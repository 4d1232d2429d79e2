-- Running a recipe from its first line to a whole file: sonde.run(recipe, { set =, seed =, out = }).
require "sonde" -- so that errors name the lines of recipes, not of the library
local core = require "sonde.core"
local File = require "sonde.run.file"
local Stop = require "sonde.run.stop"
local exit_guard = require "sonde.run.exit"
local fail = require "sonde.fail"
local find = require "sonde.data.find"
local params = require "sonde.recipe.params"
local progress = require "sonde.progress"
local recipes = require "sonde.recipe"
local sorted_pairs = require "sonde.recipe.environment".sorted_pairs
local suggest = require "sonde.suggest"
local Run = require "sonde.run.object"
require "sonde.run.steps"
require "sonde.run.batches"
require "sonde.run.columns"
require "sonde.run.command"
require "sonde.run.evaluate"
require "sonde.run.fit"
require "sonde.run.on"
require "sonde.run.summary"

local run = {}

run.default_seed = 1 -- so that the same command gives the same bits

-- Progress on stderr, as the terminal allows.
function run.new_progress(quiet)
  return progress.new {
    quiet = quiet, clock = core.system.clock, width = core.system.width,
    terminal = progress.on_terminal(core.system.isatty),
  }
end

local function is_result(value)
  if type(value) ~= "table" then return type(value) == "number" or core.tensor.is_tensor(value) end
  for _, item in ipairs(value) do
    if type(item) ~= "number" then return false end
  end
  return #value > 0
end

-- What a recipe may return: nothing, or a table of numbers, lists of numbers and tensors by name. A message if not.
local function check_result(result)
  if result == nil then return nil end
  if type(result) ~= "table" then
    return ("run returned a %s; it may return nothing, or a table of numbers by name"):format(type(result))
  end
  for name, value in sorted_pairs(result) do
    if type(name) ~= "string" or not name:match("^[%a_][%w_]*$") then
      return ("run returned a table with the key '%s'; keys are names (letters, digits, _)"):format(tostring(name))
    end
    if not is_result(value) then
      return ("run returned a %s as '%s'; it must be a number, a list of numbers or a tensor"):format(type(value), name)
    end
  end
end

-- What is different while a run goes: signals wait for the end of a step, and random numbers come from its seed. Until
-- the returned value is closed.
local function surroundings(seed)
  local restore_random = core.random.use(seed)
  core.system.watch_signals()
  return setmetatable({}, { __close = function()
    core.system.unwatch_signals()
    restore_random()
  end })
end

-- While the recipe runs `object` is told of each clipping, a second signal stops the recipe's own code, and data files
-- are found beside the recipe too. Until the returned value is closed: then the run around this one, if there is one,
-- has all of it back.
local function attention(object)
  local outer_folder = find.recipe_folder
  find.recipe_folder = object.recipe.folder
  local outer_clip = core.nn.utils._on_clip(function(...) object:on_clip(...) end)
  local outer_interrupt = core.system.on_interrupt(function() object:check_end() end)
  local outer_watch = core.numbers.watch(true)
  return setmetatable({}, { __close = function()
    find.recipe_folder = outer_folder
    core.nn.utils._on_clip(outer_clip)
    core.system.on_interrupt(outer_interrupt)
    core.numbers.watch(outer_watch)
  end })
end

-- Calls the recipe; the error is nil, a Stop, or { reason =, trace = }.
local function call(recipe, values, object)
  local _ <close> = attention(object)
  local _ <close> = exit_guard(object)
  local ok, result = xpcall(recipe.run, function(problem)
    if Stop.is(problem) then return problem end
    return { reason = recipes.reason(problem, recipe.chunks), trace = debug.traceback(tostring(problem), 2) }
  end, values, object)
  if not ok then return nil, object.stopped or result end
  if object.stopped then return nil, object.stopped end
  local wrong = check_result(result)
  if wrong then return nil, { reason = recipe.where .. ": " .. wrong } end
  return result
end

-- Writes what is still open and finishes the file. If there is no new file then, a message, and whether that failed:
-- what ended before its first step leaves the old file as it is.
local function finish(object, file, ending, result)
  if object.step == 0 and ending.status ~= "complete" and file.replaces then
    file:abandon()
    return ("no step was made, so '%s' is still the one of the run before"):format(file.path), false
  end
  local ok, message = pcall(function()
    if object.rows:is_open() then object:end_step() end
    if object.probes then object.probes:finish() end
    file:finish(object, ending, result)
  end)
  if ok then return nil end
  file:abandon()
  return message, true
end

-- Runs a recipe (checked, see sonde.recipe). options: values, set, seed, out, force, command, quiet.
-- Returns { status = "complete"|"interrupted"|"failed", exit = 0|1|129|130|143, error =, trace =, file = (nil if there
-- is none), steps =, seconds =, result =, quits = (the recipe called os.exit) }.
function run.execute(recipe, options)
  local seed = options.seed or run.default_seed
  local path = options.out or recipe.name .. ".h5"
  local file, refused = File.open {
    path = path, force = options.force, recipe = recipe, command = options.command, seed = seed,
    threads = core.threads(), values = options.values, set = options.set,
  }
  if not file then return { status = "failed", exit = 1, error = refused, steps = 0 } end
  local _ <close> = setmetatable({}, { __close = function(_, problem)
    if problem ~= nil then file:abandon() end
  end })
  local _ <close> = surroundings(seed)
  local bar = run.new_progress(options.quiet)
  local object = Run.new { recipe = recipe, seed = seed, file = file, progress = bar }
  object.overrides = options.set
  recipe.bar = bar -- what a print in the recipe clears first

  local result, problem = call(recipe, options.values, object)
  local ending = { status = problem and (problem.status or "failed") or "complete", error = problem and problem.reason }
  local message, failed = finish(object, file, ending, result)
  object:release()
  bar:finish()
  local outcome = {
    status = ending.status, exit = problem and (problem.exit or 1) or 0, error = ending.error,
    trace = problem and problem.trace, file = path, steps = object.step, seconds = object:seconds(), result = result,
    quits = problem and problem.quits,
  }
  if message then
    outcome.file = nil
    if failed then outcome.status, outcome.exit = "failed", 1 end
    local told = outcome.error and outcome.error:find(message, 1, true)
    outcome.error = told and outcome.error or (outcome.error and outcome.error .. "; and " or "") .. message
  end
  return outcome
end

-- Runs a recipe until its first backward has finished, measuring everything and writing nothing. Returns the layer
-- table; or nil, a message and the exit code.
function run.peek(recipe, values, seed)
  local object
  local peeked = Stop.new("peeked", "the first backward has finished")
  local function first_backward()
    if not object.probes then error("the recipe registers no network: run:model(net)", 0) end
    object.probes:end_step(object:seconds())
    object.stopped = peeked
    error(peeked, 0)
  end
  seed = seed or run.default_seed
  local _ <close> = surroundings(seed)
  object = Run.new { recipe = recipe, seed = seed, progress = run.new_progress(true), first_backward = first_backward }
  local _, problem = call(recipe, values, object)
  local layers = problem == peeked and object.probes:layers()
  object:release()
  if layers then return require "sonde.probe.layers"(object.history, layers) end
  if problem then return nil, problem.reason, problem.exit or 1 end
  return nil, recipe.where .. ": run ended before an optimiser's step or run:log: there is nothing to look at", 1
end

-- sonde.run(recipe, { set = { depth = 5 }, seed = 1, out = "file.h5", force = false, quiet = true }): `recipe` is a
-- file or a table as a recipe file returns. Raises if it fails; otherwise returns what run.execute does.
local function call_from_script(_, given, options)
  options = suggest.check_options("sonde.run", options, { "force", "out", "quiet", "seed", "set" })
  if options.seed ~= nil and not math.tointeger(options.seed) then
    fail("sonde.run: seed must be a whole number, got %s", tostring(options.seed))
  end
  local recipe, message
  if type(given) == "string" then
    recipe, message = run.load(given)
  else
    recipe, message = recipes.from_table(given)
  end
  if not recipe then fail("%s", message) end
  local values
  values, message = params.resolve(recipe.declarations, options.set, recipe.folder)
  if not values then fail("sonde.run: %s", message) end
  local outcome = run.execute(recipe, {
    values = values, set = options.set, seed = options.seed, out = options.out, force = options.force,
    quiet = options.quiet ~= false, command = "sonde.run",
  })
  if outcome.quits then os.exit(outcome.exit, true) end
  if outcome.status == "failed" then error(outcome.error, 0) end
  return outcome
end

-- Loads a recipe file with the environment of runs: math.random draws from the run's user stream, and print clears the
-- progress bar first.
function run.load(path)
  local recipe, message
  recipe, message = recipes.load(path, {
    random = require "sonde.recipe.random",
    on_print = function()
      if recipe and recipe.bar then recipe.bar:clear() end
    end,
  })
  return recipe, message
end

return setmetatable(run, { __call = call_from_script })
