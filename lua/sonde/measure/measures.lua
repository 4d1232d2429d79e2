-- The costly measures of a run, or of an attached probe: when they run, on which samples, and the rows they write.
--
-- They run at the weights before the optimiser's step: when the network is first called for training in a step, on
-- `input` where it is given, else on what it is called with, with the target that run:batches drew last. Where that
-- cannot be known (a loop that draws its own batches), the loss must be a module: its first call after the network's
-- tells the target, and what needs it is measured then.
local core = require "sonde.core"
local Context = require "sonde.measure.context"
local fail = require "sonde.fail"
local kinds = require "sonde.measure.kinds"

local Measures = {}
Measures.__index = Measures

-- options: history; clock() in seconds; batch() → the input and target that were drawn last, or nil; step() → the open
-- step.
function Measures.new(options)
  return setmetatable({
    history = options.history, clock = options.clock, batch = options.batch or function() end, step = options.step,
    started = options.clock(), subjects = {}, handles = {}, seconds = {},
  }, Measures)
end

-- ---- attaching --------------------------------------------------------------------------------------------------

local function is_module(value) return getmetatable(value) == "Module" end

local function check_free(self, where, label, requests)
  for _, subject in ipairs(self.subjects) do
    for _, old in ipairs(subject.requests) do
      for _, new in ipairs(requests) do
        if subject.label == label and old.name == new.name then
          fail("%s: '%s' is measured already under the name '%s'; give this probe a name of its own", where, new.name,
            label)
        end
      end
    end
  end
end

-- given: where, name (of the network, or nil), input, target, loss, budget. What belongs to `requests` is measured from
-- now on.
function Measures:attach(net, requests, given)
  local label = given.name or "network"
  if self.declared then
    fail("%s: what the file holds was fixed when the first step ended; attach a probe before", given.where)
  end
  check_free(self, given.where, label, requests)
  local subject = { net = net, label = label, given = given, requests = requests, step = 0, seconds = 0 }
  for _, request in ipairs(requests) do request.state = request.kind.new(request.settings) end
  self.subjects[#self.subjects + 1] = subject
  self.handles[#self.handles + 1] = net:register_forward_pre_hook(function(_, inputs)
    self:called(subject, inputs)
  end)
  self.handles[#self.handles + 1] = net:register_forward_hook(function(_, _, output)
    if subject.waiting and not subject.output then
      subject.output = core.tensor.is_tensor(output) and output or output[1]
    end
  end)
  if given.loss ~= nil then self:listen_to(subject, given.loss) end
end

-- The loss of a network whose probe has none of its own.
function Measures:give_loss(net, loss)
  for _, subject in ipairs(self.subjects) do
    if subject.net == net and subject.given.loss == nil then
      subject.given.loss = loss
      self:listen_to(subject, loss)
    end
  end
end

-- A loss that is a module tells the target it is called with.
function Measures:listen_to(subject, loss)
  if not is_module(loss) or subject.given.input ~= nil then return end
  self.handles[#self.handles + 1] = loss:register_forward_hook(function(_, values)
    if subject.waiting and not Context.is_open() then self:loss_called(subject, values) end
  end)
end

-- ---- when ---------------------------------------------------------------------------------------------------------

-- May it run, so that the probe's measures stay below their share of the run's time? Reckoned with what it cost last.
function Measures:is_affordable(subject, request)
  local budget = subject.given.budget
  if not budget or not request.cost then return true end
  return subject.seconds + request.cost <= budget * (self.clock() - self.started)
end

function Measures:is_due(subject, request, step)
  return request.is_due(step, self.last_step) and self:is_affordable(subject, request)
end

-- The last step, as far as is known: it is measured too.
function Measures:expect_end(step) self.last_step = step end

local function packed(inputs)
  if core.tensor.is_tensor(inputs) then return { inputs, n = 1 } end
  return inputs
end

-- The target of the batch; nothing where it will be known when the loss is called.
local function target_of(self, subject)
  local given = subject.given
  if given.input ~= nil then return given.target, true end
  local _, target = self.batch()
  if target ~= nil then return target, true end
  if not is_module(given.loss) then
    fail("%s: the target is not known here: draw batches with run:batches, or let loss be the module that the loop "
      .. "calls, or name samples, as in { input = x, target = y, loss = nn.CrossEntropyLoss() }", given.where)
  end
end

-- The network is called: in each step its first call for training counts.
function Measures:called(subject, inputs)
  local step = self.step()
  if subject.step == step or Context.is_open() then return end
  if not subject.net.training or not core.autograd.is_grad_enabled() then return end
  subject.step = step
  local given, waiting = subject.given, {}
  inputs = given.input ~= nil and { given.input, n = 1 } or packed(inputs)
  for _, request in ipairs(subject.requests) do
    if not request.layout then self:lay_out(subject, request, inputs) end
    if self:is_due(subject, request, step) then
      local target, known = nil, true
      if request.kind.needs_loss then
        if given.loss == nil then
          fail("%s: '%s' needs the loss: name it, as in { what = { \"%s\" }, loss = nn.CrossEntropyLoss() } (run:fit "
            .. "gives its own)", given.where, request.name, request.name)
        end
        target, known = target_of(self, subject)
      end
      if known then self:run(subject, request, inputs, target) else waiting[#waiting + 1] = request end
    end
  end
  if #waiting > 0 then subject.waiting, subject.inputs, subject.output = waiting, inputs, nil end
end

-- The loss that the loop calls was called: with the network's output, and the target that was missing.
function Measures:loss_called(subject, values)
  if not subject.output then return end
  values = packed(values)
  if values[1] ~= subject.output then
    fail("%s: the loss is not called with the network's output itself, so it cannot be told how they belong together: "
      .. "name samples and a function, { input = x, target = y, loss = function(output, target) … end }",
      subject.given.where)
  end
  local waiting = subject.waiting
  subject.waiting = nil
  for _, request in ipairs(waiting) do self:run(subject, request, subject.inputs, values[2]) end
  subject.inputs, subject.output = nil, nil
end

-- ---- measuring ----------------------------------------------------------------------------------------------------

local function open(subject, request, inputs, target)
  return Context.open { where = request.where, net = subject.net, label = subject.label, name = subject.given.name,
    inputs = inputs, target = target, loss = subject.given.loss }
end

-- What is measured there; without inputs as far as the tree tells.
function Measures:lay_out(subject, request, inputs)
  local context <close> = open(subject, request, inputs)
  request.layout = request.kind.layout(context, request.settings)
  if #request.layout == 0 then
    fail("%s: there is nothing to measure in this network: it takes %s", request.where, request.kind.takes)
  end
end

function Measures:run(subject, request, inputs, target)
  local begun = self.clock()
  do
    local context <close> = open(subject, request, inputs, target)
    request.result = request.kind.measure(request.state, context, request.layout)
  end
  local cost = self.clock() - begun
  request.cost, subject.seconds = cost, subject.seconds + cost
  self.seconds[request.name] = (self.seconds[request.name] or 0) + cost
end

-- The seconds that each kind took since this was asked last: { { name =, seconds = }, … }
function Measures:costs()
  local parts = {}
  for _, name in ipairs(kinds.names) do
    if self.declared[name] then parts[#parts + 1] = { name = name, seconds = self.seconds[name] or 0 } end
  end
  self.seconds = {}
  return parts
end

-- ---- rows ---------------------------------------------------------------------------------------------------------

-- The requests of one name with a layout, in order of attaching.
function Measures:requests_of(name)
  local found = {}
  for _, subject in ipairs(self.subjects) do
    for _, request in ipairs(subject.requests) do
      if request.name == name then
        if not request.layout then self:lay_out(subject, request) end
        found[#found + 1] = request
      end
    end
  end
  return found
end

local labels = { "layer", "module", "role" }

-- The group of one kind of measure: { group =, requests =, n = probes, lengths = { axis name → length } }
local function declare(history, name, requests)
  local kind, probes, entry = kinds[name], {}, { requests = requests, lengths = {} }
  local group = history:group(name)
  group:time_column("time", "float64", "time since the start of the run", "s")
  local along = {}
  for _, label in ipairs(labels) do along[label] = {} end
  for _, request in ipairs(requests) do
    for _, place in ipairs(request.layout) do
      probes[#probes + 1] = place.probe
      for _, label in ipairs(labels) do along[label][#probes] = place[label] end
    end
  end
  group:axis("probe", probes)
  for _, label in ipairs(labels) do group:coordinate_along("probe", label, along[label]) end
  for _, column in ipairs(kind.columns) do
    local axis = column.axis
    if axis and not entry.lengths[axis] then
      local n, indices = 1, {}
      for _, request in ipairs(requests) do n = math.max(n, kind.axis_length(request.settings, request.layout)) end
      for i = 1, n do indices[i] = i end
      group:axis(axis, indices)
      entry.lengths[axis] = n
    end
    group:variable(column[1], "float64", column[2], column.units, { "probe", axis })
  end
  entry.group, entry.n = group, #probes
  return entry
end

-- The cells of a column: those of all requests, NaN where nothing was measured.
local function cells_of(entry, column)
  local k = column.axis and entry.lengths[column.axis] or 1
  local cells = {}
  for _, request in ipairs(entry.requests) do
    local values = request.result and request.result[column[1]] or {}
    for i = 1, #request.layout do
      local value = values[i]
      for j = 1, k do
        local one = value
        if column.axis then one = value and value[j] end
        cells[#cells + 1] = one or core.nan
      end
    end
  end
  return cells
end

local function write(entry, kind, step, time)
  local row, measured = { time = time }, false
  for _, request in ipairs(entry.requests) do measured = measured or request.result ~= nil end
  if not measured then return end
  for _, column in ipairs(kind.columns) do row[column[1]] = cells_of(entry, column) end
  entry.group:append(step, row)
  for _, request in ipairs(entry.requests) do request.result = nil end
end

-- Ends a step: a row of what was measured in it. The first time the groups are declared.
function Measures:end_step(step, time)
  if not self.declared then
    self.declared = {}
    for _, name in ipairs(kinds.names) do
      local requests = self:requests_of(name)
      if #requests > 0 then self.declared[name] = declare(self.history, name, requests) end
    end
  end
  for _, subject in ipairs(self.subjects) do
    if subject.waiting and not subject.told then
      fail("%s: the network was called in step %d, but the loss that was named was not: name the module that the loop "
        .. "calls", subject.given.where, step)
    end
    subject.waiting, subject.inputs, subject.output = nil, nil, nil
    subject.told = true
  end
  for _, name in ipairs(kinds.names) do
    if self.declared[name] then write(self.declared[name], kinds[name], step, time) end
  end
end

function Measures:release()
  for _, handle in ipairs(self.handles) do handle:remove() end
  self.handles = {}
end

return Measures
