-- sonde.probe: measuring a network outside a run, into memory.
local core = require "sonde.core"
local Cadence = require "sonde.probe.cadence"
local Costs = require "sonde.measure.costs"
local fail = require "sonde.fail"
local measure = require "sonde.measure"
local layer_table = require "sonde.probe.layers"
local plan = require "sonde.probe.options"
local samples = require "sonde.probe.samples"
local suggest = require "sonde.suggest"

local probe = {}

local names = { "budget", "every", "hist_every", "input", "loss", "name", "optimizer", "target", "what" }

local Probe = { __name = "Probe" }
Probe.__index = Probe

-- Measures every parameter and every layer of a network from now on. options: every = 1, hist_every = 10, what = {
-- groups }, name = prefix of its probes, optimizer = whose steps fill /weight; input, target, loss = samples to be
-- measured instead of the batches (see probe/samples.lua); costly measures in `what` and their budget: see
-- measure/init.lua.
function probe.attach(net, options)
  local given = suggest.check_options("sonde.probe.attach", options, names)
  local rest, fixed, requests, source = plan("sonde.probe.attach", given)
  local history = core.record.history()
  local self = setmetatable({ history = history, measure = core.probe.new(history), started = core.system.clock() },
    Probe)
  self.measures = measure.new {
    history = history, clock = core.system.clock, step = function() return self.measure:step() end,
  }
  self.costs, self.cadence = Costs.new(history), Cadence.new(self.measure)
  if rest then
    rest.optimizer = nil
    local number = self.cadence:attach(net, rest)
    if fixed then self.handle = samples.watch(self.measure, number, net, fixed) end
  end
  if #requests > 0 then self.measures:attach(net, requests, source) end
  if given.optimizer then self.measure:observe_optimizer(given.optimizer) end
  return self
end

local function check_open(self)
  if not self.measure then fail("this probe was removed") end
end

-- Ends the step: one more row of everything.
function Probe:step()
  check_open(self)
  local step, seconds = self.measure:step(), core.system.clock() - self.started
  self.cadence:end_step(seconds)
  self.measures:end_step(step, seconds)
  self.costs:end_step(step, seconds, self.measure:costs(), self.measures:costs())
end

-- Ends the measuring. The rows stay.
function Probe:remove()
  if not self.measure then return end
  if self.handle then self.handle:remove() end
  self.measures:release()
  self.layers = self.measure:layers()
  self.measure:finish()
  self.measure:close()
  self.measure = nil
end
Probe.__close = Probe.remove -- local p <close> = sonde.probe.attach(net)

local LABELS = { "layer", "module", "role", "depth", "n_elements" }

-- One group's newest row: probe → { statistic or label → value }, with several axes a flat list.
local function last_of(group)
  local probes, row = group:coordinate("probe"), {}
  for _, name in ipairs(probes) do row[name] = {} end
  for _, label in ipairs(LABELS) do
    for i, value in ipairs(group:coordinate(label) or {}) do row[probes[i]][label] = value end
  end
  for _, variable in ipairs(group:variables()) do
    local cells = group:read(variable.name)
    if cells and #variable.axes == 1 then
      for i, name in ipairs(probes) do row[name][variable.name] = cells[i] end
    elseif cells and #variable.axes > 1 then
      local size = #cells // #probes
      for i, name in ipairs(probes) do
        row[name][variable.name] = table.move(cells, (i - 1) * size + 1, i * size, 1, {})
      end
    end
  end
  return row
end

-- The newest row of every group: p:last().weight_grad["h1.weight"].l2_norm. A group without a row is absent.
function Probe:last()
  local rows = {}
  for _, name in ipairs(self.history:names()) do
    local group = self.history:find(name)
    if group:rows() > 0 then rows[name] = last_of(group) end
  end
  return rows
end

-- Writes everything measured so far as a file of the format sonde-history. true, or nil, message, code.
function Probe:save(path)
  if self.measure then self.measure:finish() end
  local steps = 0
  for _, name in ipairs(self.history:names()) do steps = math.max(steps, self.history:find(name):step() or 0) end
  return core.h5.save_history(self.history, { path = path, name = "probe", command = "sonde.probe", force = true },
    { status = "complete", n_steps = steps, wall_seconds = core.system.clock() - self.started })
end

function Probe:__tostring()
  return layer_table(self.history, self.measure and self.measure:layers() or self.layers)
end

return probe
