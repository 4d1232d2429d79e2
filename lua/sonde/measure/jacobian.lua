-- The singular values of Jacobians d output / d input: of each leaf layer, and of the network end to end (its mean
-- squared singular value says whether gradients grow or vanish, the spread whether in all directions alike: Saxe et al.
-- 2014, Pennington et al. 2017). One matrix per sample, inputs and outputs flattened; axis 1 is the samples'. In the
-- mode the network has, at the weights before the step. With batch normalisation the way by the batch's statistics is
-- in it.
--
-- Left out: layers with several inputs, without a float tensor in or out, RNN, LSTM and GRU (see lyapunov), and what is
-- called with another number of samples than it returns. NaN: a matrix of more than max_elements.
local core = require "sonde.core"
local fail = require "sonde.fail"
local linalg = require "sonde.linalg"
local tensor = require "sonde.tensor"

local jacobian = {
  options = { "max_elements", "samples", "values" },
  takes = "layers with one float tensor in and one out, samples along axis 1",
  needs_loss = false,
  columns = {
    { "sigma_max", "largest singular value of d output / d input of a sample, mean over samples" },
    { "sigma_min", "smallest singular value, mean over samples" },
    { "condition", "sigma_max over sigma_min", units = "1" },
    { "mean_square", "mean squared singular value, mean over samples" },
    { "singular_values", "the largest singular values, largest first, means over samples", axis = "index" },
  },
}

-- samples: how many of the batch (4); values: how many singular values are kept of each (8), or "all"; max_elements: of
-- a matrix (2^20).
function jacobian.settings(where, options)
  local settings = { where = where }
  for name, default in next, { samples = 4, values = 8, max_elements = 2 ^ 20 | 0 } do
    local value = options[name] == nil and default or options[name]
    if not (name == "values" and value == "all") and (math.type(value) ~= "integer" or value < 1) then
      fail("%s: %s must be a whole number of at least 1%s, got %s", where, name,
        name == "values" and " or \"all\"" or "", value)
    end
    settings[name] = value
  end
  return settings
end

-- ---- what has a Jacobian ------------------------------------------------------------------------------------------

local through_time = { RNN = true, LSTM = true, GRU = true }

local function is_leaf(module)
  return #module:children() == 0 and not through_time[module:class_name()]
end

local function is_float(t) return core.tensor.is_tensor(t) and t.dtype ~= "int64" end

local function per_sample(inputs, output)
  return inputs.n == 1 and is_float(inputs[1]) and is_float(output) and inputs[1].ndim > 0 and output.ndim > 0
    and inputs[1]:size(1) == output:size(1) and inputs[1]:numel() > 0 and output:numel() > 0
end

-- Elements of one sample.
local function width(t) return t:numel() // t:size(1) end

-- A sequence is along axis 1 unless a recurrent layer is told that samples are.
local function puts_samples_first(net)
  for _, module in net:named_modules() do
    if through_time[module:class_name()] and not tostring(module):find "batch_first=true" then return false end
  end
  return true
end

function jacobian.layout(context)
  local layout = {}
  local function add(entry, place)
    if entry.output and not per_sample(entry.inputs, entry.output) then return end
    place.rank = entry.output and math.min(width(entry.inputs[1]), width(entry.output)) or 1
    place.of = entry.module
    layout[#layout + 1] = place
  end
  for _, entry in ipairs(context:called_modules(is_leaf)) do
    if entry.path ~= "" then
      add(entry, { probe = context:probe_name(entry.path), layer = entry.path, module = entry.module:class_name(),
                   role = "output" })
    end
  end
  if puts_samples_first(context.net) then
    local whole = context:called_modules(function(module) return module == context.net end)[1]
    if whole then add(whole, context:whole()) end
  end
  return layout
end

function jacobian.axis_length(settings, layout)
  local most = 1
  for _, place in ipairs(layout) do most = math.max(most, place.rank) end
  return settings.values == "all" and most or math.min(settings.values, most)
end

-- ---- the matrices -------------------------------------------------------------------------------------------------

-- Row by row from one forward: `together` if no sample's output depends on another's input.
local function by_rows(module, x, n, outputs, together)
  x = x:clone():requires_grad_()
  local y = module(x * 1) -- a copy: the module may work in place
  local flat, rows = y:reshape(x:size(1), -1), {}
  for s = 1, together and 1 or n do
    for i = 1, outputs do
      local seed = tensor.zeros_like(flat)
      seed[{ together and {} or s, i }] = 1
      local gradient = core.autograd.gradients(flat, { x }, { gradient = seed, retain_graph = true })[1]
      rows[#rows + 1] = gradient and gradient:reshape(x:size(1), -1) or tensor.zeros_like(x):reshape(x:size(1), -1)
      rows[#rows] = rows[#rows]:narrow(1, together and 1 or s, together and n or 1)
    end
  end
  local matrix = tensor.stack(rows) -- [outputs, n, inputs], or [n · outputs, 1, inputs]
  return together and matrix:transpose(1, 2) or matrix:view(n, outputs, -1)
end

-- All rows of a sample at once: as many copies of it as there are rows.
local function by_copies(module, x, n, outputs)
  local found, sizes = {}, x:shape()
  sizes[1] = outputs
  for s = 1, n do
    local copies = x:narrow(1, s, 1):expand(sizes):clone():requires_grad_()
    local y = module(copies * 1)
    local gradient = core.autograd.gradients(y, { copies },
      { gradient = tensor.eye(outputs, outputs, { dtype = y.dtype }):reshape(y:shape()) })[1]
    found[s] = (gradient or tensor.zeros_like(copies)):reshape(outputs, -1)
  end
  return tensor.stack(found)
end

-- Does a forward of it draw random numbers?
local function draws(module)
  local aside = core.probe.aside(module, false)
  local found = aside:draws()
  aside:close()
  return found
end

-- [n, outputs, inputs] of the first n samples.
local function matrices(context, entry, n)
  local module, x, outputs = entry.module, entry.inputs[1], width(entry.output)
  if context.mixes_samples(module) then return by_rows(module, x, n, outputs, false) end
  x = x:narrow(1, 1, n)
  if draws(module) then return by_rows(module, x, n, outputs, true) end -- copies would draw each for itself
  return by_copies(module, x, n, outputs)
end

-- The numbers of [n, outputs, inputs]; none where elements are not finite.
local function describe(matrix)
  if not (matrix:abs():max():item() < math.huge) then return {} end
  local values = linalg.svdvals(matrix)
  local means = values:mean(1):totable()
  return { sigma_max = means[1], sigma_min = means[#means], condition = means[1] / means[#means],
           mean_square = values:square():mean():item(), singular_values = means }
end

function jacobian.measure(settings, context, layout)
  local wanted, entries, result = {}, {}, {}
  for _, place in ipairs(layout) do wanted[place.of] = true end
  for _, entry in ipairs(context:called_modules(function(module) return wanted[module] end)) do
    entries[entry.module] = entry
  end
  for _, column in ipairs(jacobian.columns) do result[column[1]] = {} end
  for i, place in ipairs(layout) do
    local entry = entries[place.of]
    local fits = entry and entry.output and per_sample(entry.inputs, entry.output)
    if fits and width(entry.inputs[1]) * width(entry.output) <= settings.max_elements then
      context:rewind()
      local n = math.min(settings.samples, entry.inputs[1]:size(1))
      local found = describe(matrices(context, entry, n):to("float64"))
      for name, value in next, found do result[name][i] = value end
    end
  end
  return result
end

function jacobian.new(settings) return settings end

return jacobian
