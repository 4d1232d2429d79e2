-- sonde.optim.swa_utils: averages of weights over the training: SWA (Izmailov et al. 2018, "Averaging weights leads to
-- wider optima and better generalization") and EMA (Polyak & Juditsky 1992), with PyTorch's names.
local autograd = require "sonde.autograd"
local base = require "sonde.optim.lr_scheduler.base"
local fail = require "sonde.fail"
local suggest = require "sonde.suggest"

local swa_utils = {}

-- avg_fn(average, value, n): the new average of n + 1 values. Equal weights:
function swa_utils.get_swa_avg_fn()
  return function(average, value, n) return average + (value - average) / (n + 1) end
end

-- decay · average + (1 - decay) · value
function swa_utils.get_ema_avg_fn(decay)
  decay = decay or 0.999
  if type(decay) ~= "number" or not (decay >= 0 and decay <= 1) then
    fail("get_ema_avg_fn: decay must be a number between 0 and 1, got %s", decay)
  end
  return function(average, value) return average * decay + value * (1 - decay) end
end

-- ---- AveragedModel ---------------------------------------------------------------------------------------------

local AveragedModel = { __name = "AveragedModel" }
AveragedModel.__index = AveragedModel

local function check_module(where, value)
  if getmetatable(value) == "Module" then return end
  fail("bad argument 'model' to %s: expected Module, got %s", where, type(value))
end

-- The tensors that are averaged, by name: { name, tensor } in the network's order.
local function tensors(self, model)
  local list = {}
  for name, p in model:named_parameters() do list[#list + 1] = { name, p:detach() } end
  if self.use_buffers then
    for name, b in model:named_buffers() do list[#list + 1] = { name, b:detach() } end
  end
  return list
end

-- The average of a network's weights, beside the network. options: avg_fn (equal weights), use_buffers = false (running
-- statistics too). Unlike PyTorch's it holds no second network: average_parameters() lends the averages to the first.
function swa_utils.AveragedModel(model, options)
  local where = "AveragedModel"
  check_module(where, model)
  options = suggest.check_options(where, options, { "avg_fn", "use_buffers" })
  if options.avg_fn ~= nil and type(options.avg_fn) ~= "function" then
    fail("bad argument 'avg_fn' to %s: expected function, got %s", where, type(options.avg_fn))
  end
  local self = setmetatable({
    module = model, n_averaged = 0, averages = {}, avg_fn = options.avg_fn or swa_utils.get_swa_avg_fn(),
    use_buffers = options.use_buffers == true,
  }, AveragedModel)
  for _, entry in ipairs(tensors(self, model)) do self.averages[entry[1]] = entry[2]:clone() end
  return self
end

-- Takes the weights as they are now into the average. model: another network whose weights have the same names; nil:
-- its own.
function AveragedModel:update_parameters(model)
  model = model or self.module
  check_module("update_parameters", model)
  local _ <close> = autograd.no_grad()
  for _, entry in ipairs(tensors(self, model)) do
    local name, value = entry[1], entry[2]
    local average = self.averages[name]
    if not average then fail("update_parameters: this network has '%s', the averaged one has not", name) end
    if self.n_averaged > 0 and value.dtype ~= "int64" then value = self.avg_fn(average, value, self.n_averaged) end
    average:copy_(value)
  end
  self.n_averaged = self.n_averaged + 1
end

-- Copies the averages into a network (nil: its own) for good.
function AveragedModel:copy_to(model)
  model = model or self.module
  check_module("copy_to", model)
  local _ <close> = autograd.no_grad()
  for _, entry in ipairs(tensors(self, model)) do
    local average = self.averages[entry[1]] or fail("copy_to: there is no average of '%s'", entry[1])
    entry[2]:copy_(average)
  end
end

-- The network has the averages until the returned value is closed, then its own weights again, bit for bit:
-- do local _ <close> = averaged:average_parameters() … run:evaluate(net, valid) … end
function AveragedModel:average_parameters()
  local saved = {}
  for i, entry in ipairs(tensors(self, self.module)) do saved[i] = { entry[2], entry[2]:clone() } end
  self:copy_to()
  return setmetatable({}, { __close = function()
    local _ <close> = autograd.no_grad()
    for _, pair in ipairs(saved) do pair[1]:copy_(pair[2]) end
  end })
end

-- averaged(x): the network's outputs with the averages, without gradients.
function AveragedModel:__call(...)
  local _ <close> = autograd.no_grad()
  local _ <close> = self:average_parameters()
  return table.unpack(table.pack(self.module(...))) -- no tail call: the averages stay until it returns
end

function AveragedModel:state_dict()
  local averages = {}
  for name, average in pairs(self.averages) do averages[name] = average:clone() end
  return { n_averaged = self.n_averaged, averages = averages }
end

function AveragedModel:load_state_dict(state)
  if type(state) ~= "table" or math.type(state.n_averaged) ~= "integer" or type(state.averages) ~= "table" then
    fail("AveragedModel: load_state_dict: expected a table with n_averaged and averages")
  end
  for name, average in pairs(self.averages) do
    local value = state.averages[name] or fail("AveragedModel: load_state_dict: '%s' is missing", name)
    local got, want = table.concat(value:shape(), ", "), table.concat(average:shape(), ", ")
    if got ~= want then fail("AveragedModel: load_state_dict: %s: expected [%s], got [%s]", name, want, got) end
  end
  for name, average in pairs(self.averages) do average:copy_(state.averages[name]) end
  self.n_averaged = state.n_averaged
end

-- ---- running statistics of the averaged weights ----------------------------------------------------------------

-- Mean and unbiased variance of each channel, in double.
local function channel_statistics(x)
  local axes = { 1 }
  for axis = 3, x.ndim do axes[#axes + 1] = axis end
  x = x:detach():to "float64"
  return x:mean(axes), x:var(axes)
end

-- Recomputes the running statistics of every BatchNorm as the mean over the batches: once, after the averages were
-- copied into the network. batches: an iterator, as of data.batches; a batch's first value is the input.
function swa_utils.update_bn(batches, model)
  check_module("update_bn", model)
  if type(batches) ~= "function" then fail("update_bn: expected an iterator of batches, got %s", type(batches)) end
  local sums, handles = {}, {}
  for _, module in model:named_modules() do
    if module:class_name():match "^BatchNorm" and module.running_mean then
      local sum = { module = module, n = 0 }
      sums[#sums + 1] = sum
      handles[#handles + 1] = module:register_forward_pre_hook(function(_, x)
        local mean, var = channel_statistics(type(x) == "table" and x[1] or x)
        sum.mean, sum.var = sum.mean and sum.mean + mean or mean, sum.var and sum.var + var or var
        sum.n = sum.n + 1
      end)
    end
  end
  local was_training = model.training
  local _ <close> = autograd.no_grad()
  local _ <close> = setmetatable({}, { __close = function()
    for _, handle in ipairs(handles) do handle:remove() end
    model:train(was_training)
  end })
  if #sums == 0 then return end
  model:train()
  for x in batches do model(x) end
  for _, sum in ipairs(sums) do
    if sum.n > 0 then
      sum.module.running_mean:copy_(sum.mean / sum.n)
      sum.module.running_var:copy_(sum.var / sum.n)
      sum.module.num_batches_tracked:copy_(sum.module.num_batches_tracked * 0 + sum.n)
    end
  end
end

-- ---- SWALR: to the rate of the averaging phase, over anneal_epochs ---------------------------------------------

local SWALR
SWALR, swa_utils.SWALR = base.class("SWALR", {
  { "swa_lr", base.per_group(base.number(0)) }, { "anneal_epochs", base.whole(0), 10 },
  { "anneal_strategy", base.choice("cos", "linear"), "cos" },
})

-- How much of swa_lr is in the rate after so many epochs.
local function share(self, epoch)
  local t = math.max(0, math.min(1, epoch / math.max(1, self.anneal_epochs)))
  return self.anneal_strategy == "cos" and (1 - math.cos(math.pi * t)) / 2 or t
end

function SWALR:rate(lr, _, i)
  local epoch = self.anneal_epochs == 0 and math.max(1, self.last_epoch) or self.last_epoch
  local before, now, target = share(self, epoch - 1), share(self, epoch), self.swa_lr[i]
  local from = before == 1 and target or (lr - before * target) / (1 - before)
  return target * now + from * (1 - now)
end

return suggest.namespace("sonde.optim.swa_utils", swa_utils)
