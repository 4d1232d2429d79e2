-- run:measure: statistics of the recipe's own, as columns of the probes' groups. What they are of is copied when the
-- probe comes by it, and the recipe's function sees the copies when the step ends: it can change nothing.
local core = require "sonde.core"
local Context = require "sonde.measure.context"
local Run = require "sonde.run.object"
local autograd = require "sonde.autograd"
local fail = require "sonde.fail"
local is_callable = require "sonde.callable"
local schedule = require "sonde.measure.schedule"
local shown = require "sonde.shown"
local suggest = require "sonde.suggest"

local groups = { "weight_grad", "activation", "activation_grad" }
local option_names = { "every", "fn", "modules", "on" }

-- ---- asking for one ----------------------------------------------------------------------------------------------

-- path along the axis, and without its network's prefix → module; and all paths.
local function modules_by_path(probed)
  local by_path, paths = {}, {}
  for _, entry in ipairs(probed) do
    for path, module in entry.net:named_modules() do
      local full = path == "" and entry.prefix:sub(1, -2) or entry.prefix .. path
      if full ~= "" then paths[#paths + 1] = full end
      by_path[full] = by_path[full] or module
      by_path[path] = by_path[path] or module
    end
  end
  return by_path, paths
end

-- The modules that `modules` names; nil: the networks.
local function wanted(where, probed, modules)
  local found = {}
  if modules == nil then
    for i, entry in ipairs(probed) do found[i] = { "the network", entry.net } end
    return found
  end
  if type(modules) ~= "table" or getmetatable(modules) ~= nil or #modules == 0 then
    fail("%s: modules must be a list of modules or of their paths, as in { \"h1\", \"h2\" }, got %s", where,
      type(modules) == "table" and getmetatable(modules) == nil and "an empty table" or modules)
  end
  local by_path, paths = modules_by_path(probed)
  for i, one in ipairs(modules) do
    local module = one
    if type(one) == "string" then
      module = by_path[one]
      if not module then fail("%s: %s", where, suggest.unknown("module", one, paths)) end
    elseif getmetatable(one) ~= "Module" then
      fail("%s: modules: expected a module or its path, got %s", where, one)
    end
    found[i] = { type(one) == "string" and ("'%s'"):format(one) or shown(one:class_name()), module }
  end
  return found
end

local function check(where, options)
  options = suggest.check_options(where, options, option_names)
  local known = false
  for _, group in ipairs(groups) do known = known or options.on == group end
  if options.on == nil then fail("%s: on = \"%s\" says what it is of", where, table.concat(groups, '" | "')) end
  if not known then fail("%s: on: %s", where, suggest.unknown("group", options.on, groups)) end
  if not is_callable(options.fn) then
    fail("%s: fn must be a function that takes a tensor and returns a number, got %s", where, options.fn)
  end
  return options
end

-- Adds a column `name` to the group `on` (weight_grad: p.grad when the step's last backward has returned, before
-- clipping; activation, activation_grad: the output of a leaf module and dLoss/d(it)): fn(t, ctx), a number for each
-- probe of the group. options: on, fn, modules = list of modules or paths (with all below them; default all of the
-- networks probed so far), every = 1 (a number, { log = n } or a function, as of run:probe; of the steps the probe
-- measures). t is a detached copy; of several calls in a step their samples one after another (all elements where
-- shapes differ). ctx: step, probe ("h1.weight"), layer ("h1"), role, module, parameter (weight_grad; nil for a weight
-- that a parametrisation makes). fn runs without gradients, and its random numbers are none of the run's.
function Run:measure(name, options)
  if type(name) ~= "string" or not name:match("^[%a_][%w_]*$") then
    fail("run:measure: '%s' is no name (letters, digits, _)", name)
  end
  local where = ("run:measure: '%s'"):format(name)
  options = check(where, options)
  self:check_first_step("run:measure")
  if #self.probed == 0 then
    fail("%s: it becomes a column of a probe's group, and no network is probed yet: call run:probe(net) first", where)
  end
  local list = wanted(where, self.probed, options.modules)
  local is_due = schedule(where .. ": every", options.every == nil and 1 or options.every)
  local column = self.probes:add_column(options.on, name, "a statistic of the recipe's own")
  for _, entry in ipairs(list) do
    local n = 0
    for _, module in entry[2]:named_modules() do n = n + self.probes:select(column, module) end
    if n == 0 then
      fail("%s: no probe of %s stands in %s: it has no %s, or run:probe's `what` leaves the group out", where, entry[1],
        options.on, options.on == "weight_grad" and "parameters" or "leaf modules")
    end
  end
  local entry = { column = column, where = where, fn = options.fn, part = options.on .. "." .. name }
  self.columns[#self.columns + 1] = entry
  self.cadence:schedule(is_due, function(due)
    entry.due = due
    self.probes:column_due(column, due)
  end)
end

-- ---- the end of a step -------------------------------------------------------------------------------------------

-- Several calls as one: along the axis of the samples, or where that cannot be all elements in a row.
local function pooled(tensors)
  if #tensors == 1 then return tensors[1]:clone() end
  local first = tensors[1]:shape()
  for i = 2, #tensors do
    local shape, same = tensors[i]:shape(), #first > 0
    same = same and #shape == #first
    for d = 2, #first do same = same and shape[d] == first[d] end
    if not same then
      for k, t in ipairs(tensors) do tensors[k] = t:reshape(-1) end
      break
    end
  end
  return core.tensor.cat(tensors, 1)
end

-- While the recipe's functions look, nothing listens.
local function aside()
  local go_on, paused, watched = Context.hold(), core.probe.pause(true), core.numbers.watch(false)
  local restore_random = core.random.use(0)
  return setmetatable({}, { __close = function()
    restore_random()
    core.numbers.watch(watched)
    core.probe.pause(paused)
    go_on()
  end })
end

local function fill(self, entry, step)
  for _, sight in ipairs(self.probes:look(entry.column)) do
    local value = entry.fn(pooled(sight), {
      step = step, probe = sight.probe, layer = sight.layer, role = sight.role, module = sight.module,
      parameter = sight.parameter,
    })
    if type(value) ~= "number" then
      fail("%s: fn must return a number, and returned %s for '%s'%s", entry.where, value, sight.probe,
        core.tensor.is_tensor(value) and " (t:item() is the number in a tensor of one element)" or "")
    end
    self.probes:put(entry.column, sight.place, value)
  end
end

-- Before a step's row is written: returns what each column took, { { name =, seconds = }, … }. A function that raises
-- ends the run, and none is asked again for the row that is open then.
function Run:fill_columns(step)
  local parts = {}
  if #self.columns == 0 then return parts end
  local asks = not self.filling
  self.filling = true -- and stays so if one raises
  local _ <close> = aside()
  local _ <close> = autograd.no_grad()
  for i, entry in ipairs(self.columns) do
    local begun = core.system.clock()
    if asks and entry.due then fill(self, entry, step) end
    parts[i] = { name = entry.part, seconds = core.system.clock() - begun }
  end
  self.filling = not asks
  return parts
end

-- ---- taps ----------------------------------------------------------------------------------------------------------

-- Measures any tensor on its way through a forward, like the output of a layer called `name`: rows of /activation,
-- /activation_grad and its histograms. options: time = t (from 1): the tensor is the state of a recurrence at that
-- step, and the norm of its gradient, all paths summed, also goes to /hidden_grad. Several of a name (and time) in a
-- step pool. Where gradients are disabled it does nothing. Returns the tensor. From the first step on.
function Run:watch(name, tensor, options)
  if type(name) ~= "string" or name == "" then
    fail("run:watch: expected a name, got %s", name == "" and "an empty text" or type(name))
  end
  if not core.tensor.is_tensor(tensor) then fail("run:watch: '%s': expected a tensor, got %s", name, tensor) end
  local where = ("run:watch: '%s'"):format(name)
  local time = suggest.check_options(where, options, { "time" }).time
  if time ~= nil and (math.type(time) ~= "integer" or time < 1) then
    fail("%s: time counts the steps of a recurrence from 1, got %s", where, time)
  end
  self:begin_probes("run:watch")
  self.probes:show(name, tensor, time or 0)
  return tensor
end
