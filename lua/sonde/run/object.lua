-- The `run` that a recipe's function gets. Here: what takes part, and what is kept. Its steps are in steps.lua, its
-- loops in batches.lua, evaluate.lua and fit.lua, statistics of the recipe's own in columns.lua.
local core = require "sonde.core"
local Arrays = require "sonde.run.arrays"
local Cadence = require "sonde.probe.cadence"
local Costs = require "sonde.measure.costs"
local Events = require "sonde.run.events"
local Nonfinite = require "sonde.run.nonfinite"
local Order = require "sonde.run.order"
local Rows = require "sonde.run.rows"
local fail = require "sonde.fail"
local json = require "sonde.json"
local recipe = require "sonde.recipe"
local measure = require "sonde.measure"
local probe_plan = require "sonde.probe.options"
local samples = require "sonde.probe.samples"
local suggest = require "sonde.suggest"

local Run = {}
Run.__index = Run
Run.__name = "Run"

-- A name that a run does not have is an error in a recipe; the library's own files may ask for what is not there yet.
local library = debug.getinfo(1, "S").source:match("^(@.*)run/object%.lua$")
local optional = { file = true } -- nil in a run that writes none
setmetatable(Run, { __index = function(_, name)
  if type(name) ~= "string" or name:sub(1, 1) == "_" or optional[name] then return nil end
  local source = debug.getinfo(2, "S").source
  if source:sub(1, 1) ~= "@" or library and source:sub(1, #library) == library then return nil end
  local names = {}
  for method in next, Run do names[#names + 1] = method:sub(1, 1) ~= "_" and method or nil end
  table.sort(names)
  suggest.missing("run", name, names)
end })

-- options: recipe (checked), seed, file (nil: nothing is written), progress, on_nonfinite, first_backward (a function
-- called when the first backward has finished; everything is then measured whatever the recipe says: see peek).
function Run.new(options)
  local self = setmetatable({
    seed = options.seed, step = 0, file = options.file and options.file.path,
    recipe = options.recipe, output = options.file, progress = options.progress,
    first_backward = options.first_backward,
    history = core.record.history(), started = core.system.clock(), epoch = core.nan,
    models = {}, optimizers = {}, kept = {}, notes = {}, generators = {}, nets = {}, probed = {}, columns = {},
    filling = false, samples = {}, handles = {},
    clips = {}, norms = {}, parameters = {}, batch = {}, measured = {}, arrays = Arrays.new(),
  }, Run)
  self.data_stream = core.random.stream(self.seed, "data")
  self.rows = Rows.new(self.history, self.recipe.metrics, function(name)
    self:warn(("'%s' is logged for the first time at step %d, after the columns of /metrics were fixed; it is kept "
      .. "and becomes a column at the end of the run (name it in `metrics` to have it at once)"):format(name,
      self.step + 1))
  end)
  self.validation = self.history:group("validation")
  self.validation:variable("loss", "float64", "mean loss over the data set, in evaluation mode")
  self.validation:variable("accuracy", "float64", "share of samples whose largest output is the label's")
  self.events = Events.new(self.history, function() return self:seconds() end)
  self.nonfinite = Nonfinite.new(options.on_nonfinite or self.recipe.on_nonfinite, self.events,
    function(text) self:warn(text) end)
  self.measures = measure.new {
    history = self.history, clock = core.system.clock, batch = function() return self.batch[1], self.batch[2] end,
    step = function() return self.step + 1 end,
  }
  self.costs = Costs.new(self.history)
  self.order = Order.new(function(text) self:warn(text) end, function() return self.step + 1 end)
  return self
end

function Run:seconds() return core.system.clock() - self.started end

-- A line on stderr, with the recipe's line where there is one.
function Run:warn(text)
  local line = recipe.line(self.recipe.chunks, 2)
  self.progress:message((line and line .. ": " or "") .. text)
end

-- ---- what takes part -------------------------------------------------------------------------------------------

-- Registers a network and returns it.
function Run:model(net, name)
  name = name or "model"
  for _, model in ipairs(self.models) do
    if model.net == net then return net end
    if model.name == name then fail("run:model: there is a network '%s' already; name this one", name) end
  end
  self.models[#self.models + 1] = { name = name, net = net }
  if self.first_backward then self:attach(net, { name = #self.models > 1 and name or nil }) end
  return net
end

-- Registers an optimiser and returns it: its learning rate is logged, and steps with a non-finite gradient are noticed.
function Run:optimizer(optimizer)
  for _, known in ipairs(self.optimizers) do
    if known == optimizer then return optimizer end
  end
  local stepped = false
  local function before_step()
    -- Where no step ever ends by run:log, a signal ends the run between two of the optimiser's.
    if stepped and self.step == 0 then self:check_end() end
    stepped = true
    self:before_optimizer_step(optimizer)
  end
  self.handles[#self.handles + 1] = optimizer:_when_ready(before_step)
  self.optimizers[#self.optimizers + 1] = optimizer
  if self.step == 0 then self.order:watch(optimizer) end
  if self.probes then self.probes:observe_optimizer(optimizer) end
  return optimizer
end

local probe_options = { "budget", "every", "hist_every", "input", "loss", "name", "target", "what" }

function Run:check_first_step(where)
  if self.step > 0 then
    fail(where .. ": step %d is open, and what the file holds was fixed when the first step ended: call it before the "
      .. "first run:log (a network that is used later can be probed from the start; until then its rows are NaN)",
      self.step + 1)
  end
end

-- What networks are probed with.
function Run:begin_probes(where)
  if self.probes then return end
  self:check_first_step(where)
  self.probes = core.probe.new(self.history, self.step + 1)
  self.cadence = Cadence.new(self.probes)
  for _, optimizer in ipairs(self.optimizers) do self.probes:observe_optimizer(optimizer) end
end

-- Attaches a probe. self.nets knows the first one of each network: { prefix = of its names }.
function Run:attach(net, options, fixed)
  self:check_first_step("run:probe")
  self:begin_probes("run:probe")
  local number = self.cadence:attach(net, options)
  local entry = { net = net, prefix = options.name and options.name .. "." or "" }
  self.nets[net] = self.nets[net] or entry
  self.probed[#self.probed + 1] = entry
  if not fixed then return end
  self.samples[#self.samples + 1] = { net = net, given = fixed }
  self.handles[#self.handles + 1] = samples.watch(self.probes, number, net, fixed)
end
-- Measures a network's layers and parameters: run:probe(net, { every = 1, hist_every = 10, what = { groups }, name = of
-- a second network or of a second probe, input =, target =, loss =, budget = }). With input (and target) these samples
-- are measured instead of the batch, with the loss given here or else run:fit's: see probe/samples.lua. `what` names
-- costly measures too: see measure/init.lua.
function Run:probe(net, options)
  local rest, fixed, requests, given = probe_plan("run:probe",
    suggest.check_options("run:probe", options, probe_options))
  if self.first_backward then
    if not self.nets[net] then self:attach(net, {}) end -- to peek at it
    return
  end
  self:check_first_step("run:probe")
  if rest then self:attach(net, rest, fixed) end
  if #requests > 0 then self.measures:attach(net, requests, given) end
  self.measured[net] = true
end

-- Registers what belongs to the state of the training: an object with state_dict and load_state_dict, or a plain table.
function Run:keep(name, object)
  if type(name) ~= "string" then fail("run:keep: expected a name, got %s", type(name)) end
  local plain = type(object) == "table" and getmetatable(object) == nil
  if not plain and not (object ~= nil and object.state_dict and object.load_state_dict) then
    fail("run:keep: '%s' must have state_dict and load_state_dict, or be a plain table", name)
  end
  self.kept[name] = object
  return object
end

-- The generator of a name: its own stream of random numbers, derived from the seed.
function Run:generator(name)
  if type(name) ~= "string" then fail("run:generator: expected a name, got %s", type(name)) end
  self.generators[name] = self.generators[name] or core.random.stream(self.seed, "generator." .. name)
  return self.generators[name]
end

-- The run has ended: nothing is observed any more.
function Run:release()
  for _, handle in ipairs(self.handles) do handle:remove() end
  self.order:release()
  self.measures:release()
  if self.probes then self.probes:close() end
end

-- ---- what is kept ----------------------------------------------------------------------------------------------

local function check_name(where, name)
  if type(name) ~= "string" or not name:match("^[%a_][%w_]*$") then
    fail("%s: '%s' is no name (letters, digits, _)", where, tostring(name))
  end
end

-- Notes in /events, with its time, that something happened. Its step is the open row's: after the row of step 10 it is
-- 11, as run:evaluate's.
function Run:event(text)
  if type(text) ~= "string" then fail("run:event: expected a text, got %s", type(text)) end
  self.events:add(self.step + 1, "text", text)
end

-- A fact about the run: text, number or boolean, stored in /run/notes (JSON).
function Run:note(key, value)
  check_name("run:note", key)
  if type(value) ~= "string" and type(value) ~= "number" and type(value) ~= "boolean" then
    fail("run:note: '%s' must be a text, a number or a boolean, got %s", key, type(value))
  end
  self.notes[key] = value
  if self.output then self.output:put("/run/notes", json.encode(self.notes)) end
end

-- Stores a tensor in /arrays, as it is now: "first.weight", or in a group of /arrays: "teacher/first.weight". axes:
-- names of its axes. The last of a name counts.
function Run:save(name, tensor, axes)
  self.arrays:add(name, tensor, axes)
  if self.output then self.output:put("/arrays/" .. name, tensor, axes) end
end

-- One line per module of every network, as text.
function Run:model_text()
  local parts = {}
  for i, model in ipairs(self.models) do
    parts[i] = (#self.models > 1 and model.name .. ": " or "") .. tostring(model.net)
  end
  return table.concat(parts, "\n")
end

return Run
