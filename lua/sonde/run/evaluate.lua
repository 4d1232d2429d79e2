-- run:evaluate: a network's loss and accuracy on a data set, leaving everything as it was.
local Run = require "sonde.run.object"
local batches = require "sonde.data.batches"
local core = require "sonde.core"
local autograd = require "sonde.autograd"
local fail = require "sonde.fail"
local keep_modes = require "sonde.nn.modes"
local suggest = require "sonde.suggest"

local names = { "batch_size", "loss" }

-- How many samples' largest output is the label's; nil where the question makes no sense.
local function count_right(prediction, target)
  if target.dtype ~= "int64" or prediction.ndim ~= 2 or target.ndim ~= 1 then return nil end
  return prediction:argmax(2):eq(target):sum():item()
end

-- { loss =, accuracy = } over the data set, and one row of /validation: evaluation mode, no gradients, no probe row,
-- every module's mode restored. loss: for class labels nn.CrossEntropyLoss() if left out. A mean loss is weighted by
-- batch. The row's step is the open row's, as run:event's: between the rows of steps 10 and 11 it is 11, for row 11 of
-- /metrics too is about the weights that 10 steps have made; after the last step it is one more than there are.
function Run:evaluate(net, dataset, options)
  options = suggest.check_options("run:evaluate", options, names)
  local loss = options.loss
  if not loss then
    local _, y = dataset:batch(nil, 1, 1)
    if y == nil or y.dtype ~= "int64" then fail("run:evaluate: name the loss, as in { loss = nn.MSELoss() }") end
    loss = require "sonde.nn".CrossEntropyLoss()
  end
  local _ <close> = keep_modes(net)
  net:eval()
  local _ <close> = autograd.no_grad()
  local n, total, right = #dataset, 0, 0
  for x, y in batches(dataset, { batch_size = options.batch_size or 256, shuffle = false }) do
    self:check_end()
    local prediction = net(x)
    total = total + loss(prediction, y):item() * #y
    local n_right = right and count_right(prediction, y)
    right = n_right and right + n_right
  end
  local result = { loss = total / n, accuracy = right and right / n or core.nan }
  self.validation:append(self.step + 1, result)
  return result
end

return Run
