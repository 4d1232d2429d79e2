-- What a costly measure works with: the network, a batch, gradients of its loss; and what makes training not notice.
-- While a context is open no probe listens and random numbers come from elsewhere; when it is closed parameters, their
-- gradients, buffers, modes and random streams hold the bits they held before, and graphs made before are still whole.
-- Hooks run as in any forward and backward.
local core = require "sonde.core"
local fail = require "sonde.fail"
local keep_modes = require "sonde.nn.modes"

local Context = {}
Context.__index = Context

local is_open = false

-- Is something being measured? Then its own forwards are not to be measured.
function Context.is_open() return is_open end

-- Forwards till the returned function is called are no part of the training either.
function Context.hold()
  local was = is_open
  is_open = true
  return function() is_open = was end
end

-- fields: where (how messages begin), net, inputs (what the network is called with, { n = }), target, loss.
function Context.open(fields)
  local self = setmetatable({}, Context)
  for name, value in next, fields do self[name] = value end
  self.aside = core.probe.aside(self.net, true)
  self.modes, self.gradients = keep_modes(self.net), {}
  for i, parameter in ipairs(self.net:parameters()) do
    self.gradients[i] = { parameter, parameter.grad }
    parameter.grad = nil -- a hook on it sees none of the training's
  end
  self.grad_enabled = core.autograd.set_grad_enabled(true)
  self.watched = core.numbers.watch(false)
  self.paused = core.probe.pause(true)
  self.restore_random = core.random.use(0)
  is_open = true
  return self
end

function Context:__close()
  is_open = false
  self.restore_random()
  core.probe.pause(self.paused)
  core.numbers.watch(self.watched)
  core.autograd.set_grad_enabled(self.grad_enabled)
  self.modes.restore()
  for _, entry in ipairs(self.gradients) do entry[1].grad = entry[2] end
  self.aside:restore()
  self.aside:close()
end

-- From here on a forward draws the random numbers that the first one drew.
function Context:rewind()
  self.aside:rewind()
  core.random.use(0)
end

local function wide(value)
  return core.tensor.is_tensor(value) and value.dtype == "float32" and value:to("float64") or value
end

-- The network, the batch and the loss in float64, till the returned value is closed. Forwards may raise then: where a
-- layer written in Lua has numbers of its own in float32.
function Context:widen()
  local inputs, target = self.inputs, self.target
  local loss = getmetatable(self.loss) == "Module" and core.probe.aside(self.loss, true)
  local function narrow()
    if loss then loss:close() end
    self.aside:narrow()
    self.inputs, self.target = inputs, target
  end
  self.inputs, self.target = { n = inputs.n }, wide(target)
  for i = 1, inputs.n do self.inputs[i] = wide(inputs[i]) end
  if loss then loss:widen() end
  self.aside:widen()
  return setmetatable({}, { __close = narrow })
end

-- The parameters that a gradient can come to, each once.
function Context:parameters()
  local found = {}
  for _, parameter in ipairs(self.net:parameters()) do
    if parameter.requires_grad then found[#found + 1] = parameter end
  end
  if #found == 0 then fail("%s: no parameter of the network needs a gradient", self.where) end
  return found
end

-- The loss, and its gradient by the parameters as a list, false for those that it does not depend on. inputs, target:
-- instead of the batch.
function Context:gradient(parameters, inputs, target)
  inputs = inputs or self.inputs
  if target == nil then target = self.target end
  local output = self.net(table.unpack(inputs, 1, inputs.n))
  local loss = self.loss(output, target)
  if not core.tensor.is_tensor(loss) or loss:numel() ~= 1 then
    fail("%s: the loss must be a tensor of one element", self.where)
  end
  return loss:item(), core.autograd.gradients(loss, parameters)
end

-- Does a module below mix the samples of a batch?
function Context.mixes_samples(module)
  for _, below in module:named_modules() do
    if below:class_name():match "^BatchNorm" and below.training then return true end
  end
  return false
end

-- The modules for which is_wanted(module) is true in the order of their first calls in a forward of the batch: each
-- { path =, module =, inputs = { n = }, output = }. Inputs are what they were before the call. Without a batch: in the
-- order of the tree, and only path and module.
function Context:called_modules(is_wanted)
  local found, seen, handles = {}, {}, {}
  for path, module in self.net:named_modules() do
    if is_wanted(module) then
      local entry = { path = path, module = module }
      if not self.inputs then found[#found + 1] = entry end
      handles[#handles + 1] = module:register_forward_pre_hook(function(_, inputs)
        if seen[entry] then return end
        seen[entry] = true
        found[#found + 1] = entry
        if core.tensor.is_tensor(inputs) then inputs = { inputs, n = 1 } end
        entry.inputs = { n = inputs.n }
        for i = 1, inputs.n do entry.inputs[i] = inputs[i] and inputs[i]:detach():clone() end
      end)
      handles[#handles + 1] = module:register_forward_hook(function(_, _, output)
        if not core.tensor.is_tensor(output) then output = output[1] end
        entry.output = entry.output or output:detach()
      end)
    end
  end
  local _ <close> = setmetatable({}, { __close = function()
    for _, handle in ipairs(handles) do handle:remove() end
    core.autograd.set_grad_enabled(true)
  end })
  core.autograd.set_grad_enabled(false)
  if self.inputs then self.net(table.unpack(self.inputs, 1, self.inputs.n)) end
  self:rewind()
  return found
end

-- The name of a module's probe.
function Context:probe_name(path)
  return self.name and self.name .. "." .. path or path
end

-- The place of the network as a whole along an axis of probes.
function Context:whole()
  return { probe = self.label, layer = "", module = self.net:class_name(), role = "network" }
end

return Context
