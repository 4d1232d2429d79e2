-- The steps of a run: collecting the open row, ending it, ending the run between two of them.
local core = require "sonde.core"
local Run = require "sonde.run.object"
local Stop = require "sonde.run.stop"

-- Adds numbers to the open row without ending the step.
function Run:put(values) self.rows:put(values, "run:put") end

-- Adds numbers to the open row and ends the step: one row is written everywhere.
function Run:log(values)
  if values ~= nil then self.rows:put(values, "run:log") end
  if self.first_backward then self.first_backward() end
  self:end_step()
  self:check_end()
end

-- Raises what ends the run, if something does: a signal, or on_nonfinite = "stop".
function Run:check_end()
  if not self.stopped then
    local signal = core.system.signal()
    if not signal then return end
    self.stopped = Stop.new("interrupted", "interrupted by signal " .. signal, 128 + signal)
  end
  error(self.stopped, 0)
end

-- ---- gradients as a whole ----------------------------------------------------------------------------------------

local function root_of_squares(numbers)
  local sum = nil
  for _, x in ipairs(numbers) do sum = (sum or 0) + x * x end
  return sum and sum ^ 0.5
end

-- L2 norm of the gradients of this step before clipping, as clipping knows it; nil if it does not.
function Run:clipped_norm()
  local totals = {}
  for _, clip in ipairs(self.clips) do totals[#totals + 1] = clip.total end
  if totals[1] and #totals >= #self.optimizers then return root_of_squares(totals) end
end

-- The same as the probes know it.
function Run:probed_norm() return self.probes and self.probes:grad_norm() end

-- All parameters of an optimiser, kept until it gets another group.
local function all_parameters(cache, optimizer)
  local known = cache[optimizer]
  if known and known.groups == optimizer:groups() then return known end
  known = { groups = optimizer:groups() }
  for i = 1, known.groups do
    for _, parameter in ipairs(optimizer:group_parameters(i)) do known[#known + 1] = parameter end
  end
  cache[optimizer] = known
  return known
end

function Run:registered_nets()
  local nets = {}
  for i, model in ipairs(self.models) do nets[i] = model.net end
  return nets
end

function Run:before_optimizer_step(optimizer)
  if self.first_backward then self.first_backward() end
  if next(self.order.optimizers) then self.order:update(optimizer, self:registered_nets()) end
  local norm = self:clipped_norm() or self:probed_norm()
  if norm then
    self.norms = { norm } -- kept, for a step that is left out clears the gradients
  else
    norm = core.nn.utils.total_norm(all_parameters(self.parameters, optimizer))
    if #self.clips == 0 then self.norms[#self.norms + 1] = norm end -- else it is no longer the norm before clipping
  end
  self.nonfinite:before_step(self.step + 1, optimizer, norm, self.rows.open.loss)
end

-- Told of each clip_grad_norm_ while the run goes.
function Run:on_clip(total, coef, norm_type)
  self.order:clip()
  self.clips[#self.clips + 1] = { total = norm_type == 2 and total or nil, coef = coef }
end

-- ---- the end of a step -------------------------------------------------------------------------------------------

local function smallest_coef(clips)
  local coef = nil
  for _, clip in ipairs(clips) do
    if not coef or clip.coef < coef or clip.coef ~= clip.coef then coef = clip.coef end
  end
  return coef
end

-- If something became non-finite in this step, an event for where it began. What a step made and nobody saw in its loss
-- or gradients (a mask of -inf, an evaluation) is forgotten.
function Run:trace_nonfinite(step)
  if self.nonfinite.reported == step then
    self.nonfinite:trace(step, core.numbers.found(table.unpack(self:registered_nets())))
  end
  core.numbers.reset()
end

local group_codes = { weight_grad = "nonfinite_weight_grad", activation_grad = "nonfinite_activation_grad" }

-- Events for what is not finite in the step that just ended. seen: probes have measured all of its gradients.
function Run:report_nonfinite(step, loss, norm, seen)
  self.nonfinite:watch(step, "nonfinite_loss", "loss", loss)
  if self.probes then
    for _, event in ipairs(self.probes:events()) do
      local text = ("%d elements of the gradient at '%s' are not finite"):format(event.value, event.name)
      self.nonfinite:report(step, group_codes[event.group], text, event.value, event.probe)
    end
  end
  if not seen then self.nonfinite:watch(step, "nonfinite_grad_norm", "norm of the gradient", norm) end
  self:trace_nonfinite(step)
  local reason = self.nonfinite:after_step(step, loss)
  if reason then self.stopped = Stop.new("failed", reason, 1) end
end

-- The first row leaves memory when it is on file; the picture of run:summary needs it at the end.
function Run:keep_first_gradients()
  local group = self.history:find("weight_grad")
  self.first_gradients = group and group:read("l2_norm")
end

-- Ends the step: writes the open row and what the probes measured.
function Run:end_step()
  local step, open, optimizer = self.step + 1, self.rows.open, self.optimizers[1]
  local own = self:fill_columns(step)
  local loss, probed = open.loss, self:probed_norm()
  local norm = self:clipped_norm() or probed or root_of_squares(self.norms)
  local known = { lr = optimizer and optimizer:get(1, "lr"), grad_norm = norm, clip_coef = smallest_coef(self.clips) }
  for name, value in next, known do
    if open[name] == nil then open[name] = value end
  end
  local seconds = self:seconds()
  local first = not self.rows.columns
  if first then self.rows:declare() end
  self.rows:write(step, seconds, self.epoch, self.output)
  self.step, self.clips, self.norms = step, {}, {}
  self.order:end_step()
  if self.probes then self.cadence:end_step(seconds) end
  self.measures:end_step(step, seconds)
  local measured = self.measures:costs()
  table.move(own, 1, #own, #measured + 1, measured)
  self.costs:end_step(step, seconds, self.probes and self.probes:costs() or {}, measured)
  if not self.first_gradients then self:keep_first_gradients() end
  if first and self.output then self.output:start(self) end
  self:report_nonfinite(step, loss, norm, probed ~= nil)
  if self.output then self.output:check() end
  self:judge(step, loss)
  self.progress:advance(step, loss)
end

return Run
