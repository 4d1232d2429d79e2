-- Mistakes of order in a hand-written loop, said aloud in the first steps: clipping after the update, gradients never
-- zeroed, an update from an earlier step's gradients, training in eval mode. Each is said once.
local Order = {}
Order.__index = Order

local watched_steps = 3 -- a loop does in its first steps what it does in all

-- say(text): a warning. step(): number of the open step.
function Order.new(say, step)
  return setmetatable({ say = say, step = step, optimizers = {}, said = {} }, Order)
end

function Order:warn(kind, text)
  if self.said[kind] then return end
  self.said[kind] = true
  self.say(("step %d: %s"):format(self.step(), text))
end

local function first_parameter(optimizer)
  for group = 1, optimizer:groups() do
    for _, parameter in ipairs(optimizer:group_parameters(group)) do
      if parameter.requires_grad then return parameter end
    end
  end
end

-- Watches the backward passes by the first parameter of an optimiser.
function Order:watch(optimizer)
  local parameter = first_parameter(optimizer)
  if not parameter then return end
  local state = { parameter = parameter, updated = false }
  self.optimizers[optimizer] = state
  state.hook = parameter:register_hook(function()
    local old = parameter.grad
    local empty = not old or old:ne(0):sum():item() == 0
    state.added = not empty and (state.added or state.updated)
    state.updated = false
  end)
end

-- An optimiser is about to step. nets: those that run:model knows.
function Order:update(optimizer, nets)
  local state = self.optimizers[optimizer]
  if not state then return end
  if state.updated and state.parameter.grad then
    self:warn("stale", "the optimiser steps by gradients that it has used already: loss:backward() was not called "
      .. "since its last step")
  end
  -- Said here, not in the backward: where two networks train each other, gradients of one pass through the other and
  -- are zeroed before they are used.
  if state.added and state.parameter.grad then
    self:warn("zero", "gradients were added to those of the step before, which were used already: call "
      .. "optimizer:zero_grad() before loss:backward()")
  end
  state.updated, state.added = true, false
  local training = #nets == 0
  for _, net in ipairs(nets) do training = training or net.training end
  if not training then
    self:warn("eval", "the network is trained in eval mode, in which dropout does nothing and batch normalisation "
      .. "keeps its statistics: call net:train() first")
  end
end

-- Gradients are being clipped.
function Order:clip()
  local all_used = next(self.optimizers) ~= nil
  for _, state in next, self.optimizers do all_used = all_used and state.updated end
  if all_used then
    self:warn("clip", "gradients are clipped after the optimiser's step, where it has no effect: clip between "
      .. "loss:backward() and optimizer:step()")
  end
end

-- The open step has ended.
function Order:end_step()
  if self.step() > watched_steps then self:release() end
end

function Order:release()
  for _, state in next, self.optimizers do state.hook:remove() end
  self.optimizers = {}
end

return Order
