-- sonde.probe: measuring a network outside a run, into memory; and the layer table.
local core = require "sonde.core"
local fail = require "sonde.fail"
local suggest = require "sonde.suggest"
local text = require "sonde.text"

local probe = {}

local Probe = { __name = "Probe" }
Probe.__index = Probe

-- Measures every parameter and every layer of a network from now on. options: every = 1, hist_every = 10, what = { groups },
-- name = prefix of its probes, optimizer = whose steps fill /weight.
function probe.attach(net, options)
  local given = suggest.check_options("sonde.probe.attach", options, { "every", "hist_every", "name", "optimizer", "what" })
  local history = core.record.history()
  local self = setmetatable({ history = history, measure = core.probe.new(history), started = core.system.clock() }, Probe)
  self.measure:attach(net, { every = given.every, hist_every = given.hist_every, what = given.what, name = given.name })
  if given.optimizer then self.measure:observe_optimizer(given.optimizer) end
  return self
end

local function check_open(self)
  if not self.measure then fail("this probe was removed") end
end

-- Ends the step: one more row of everything.
function Probe:step()
  check_open(self)
  self.measure:end_step(core.system.clock() - self.started)
end

-- Ends the measuring. The rows stay.
function Probe:remove()
  if not self.measure then return end
  self.layers = self.measure:layers()
  self.measure:finish()
  self.measure:close()
  self.measure = nil
end
Probe.__close = Probe.remove -- local p <close> = sonde.probe.attach(net)

local LABELS = { "layer", "module", "role", "depth", "n_elements" }

-- One group's newest row: probe → { statistic or label → value }, with several axes a flat list.
local function last_of(group)
  local names, row = group:coordinate("probe"), {}
  for _, name in ipairs(names) do row[name] = {} end
  for _, label in ipairs(LABELS) do
    for i, value in ipairs(group:coordinate(label) or {}) do row[names[i]][label] = value end
  end
  for _, variable in ipairs(group:variables()) do
    local cells = group:read(variable.name)
    if cells and #variable.axes == 1 then
      for i, name in ipairs(names) do row[name][variable.name] = cells[i] end
    elseif cells and #variable.axes > 1 then
      local size = #cells // #names
      for i, name in ipairs(names) do row[name][variable.name] = table.move(cells, (i - 1) * size + 1, i * size, 1, {}) end
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

-- ---- the layer table ---------------------------------------------------------------------------------------------

-- name along the probe axis → value of the newest row
local function column(history, group_name, variable)
  local group = history:find(group_name)
  local cells = group and group:rows() > 0 and group:read(variable)
  local values = {}
  for i, name in ipairs(cells and group:coordinate("probe") or {}) do values[name] = cells[i] end
  return values
end

-- One line per layer: path, module, output shape, parameters, mean and deviation of its output, and the L2 norm of the
-- gradient that arrives there as a bar on a log scale. layers: as core.probe lists them.
function probe.layer_table(history, layers)
  local mean, std = column(history, "activation", "mean"), column(history, "activation", "std")
  local gradient, numbers = column(history, "activation_grad", "l2_norm"), {}
  for _, value in next, gradient do numbers[#numbers + 1] = value end
  local scale = text.log_scale(numbers)
  local lines = { { "layer", "module", "output", "parameters", "mean", "std", "gradient", "" } }
  local total = 0
  for _, layer in ipairs(layers) do
    local g = gradient[layer.probe]
    total = total + layer.n_parameters
    lines[#lines + 1] = {
      layer.probe, layer.module, layer.shape and table.concat(layer.shape, "×") or "not called",
      layer.n_parameters > 0 and text.count(layer.n_parameters) or "", text.number(mean[layer.probe]),
      text.number(std[layer.probe]), text.number(g), g and text.bar(scale.share(g), 24) or "",
    }
  end
  return text.columns(lines, "lllrrrrl") .. ("\n%s parameters; gradient: L2 norm of dLoss/d(output); bars on a log scale, "
    .. "1e%d to 1e%d"):format(text.count(total), scale.low, scale.high)
end

function Probe:__tostring()
  return probe.layer_table(self.history, self.measure and self.measure:layers() or self.layers)
end

return probe
