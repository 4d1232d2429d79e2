-- What a run does about a loss or a gradient that is not finite: always an event and one line on stderr, and then, as
-- on_nonfinite says, it goes on ("continue"), leaves that optimiser step out ("skip"), or ends ("stop").
--
-- Whether the gradient is finite is asked before each step of a registered optimiser, from what is known already: the
-- norm that clipping found, the probes' norm; only without these the gradients are read once more.
local Nonfinite = {}
Nonfinite.__index = Nonfinite

local function is_finite(x) return x - x == 0 end

local function show(x) return x ~= x and "NaN" or ("%g"):format(x) end

function Nonfinite.new(reaction, events, say)
  return setmetatable({ reaction = reaction, events = events, say = say, said = {}, was = {} }, Nonfinite)
end

local consequences = { continue = "going on", skip = "such steps are left out", stop = "the run ends" }

-- An event; the first of its kind is said aloud.
function Nonfinite:report(step, code, text, value, probe)
  self.events:add(step, code, text, value, probe)
  self.reported = step
  if self.said[code] then return end
  self.said[code] = true
  self.say(('step %d: %s; %s (on_nonfinite = "%s")'):format(step, text, consequences[self.reaction], self.reaction))
end

-- Where a number that is not finite came from: what the numerics watch found (core.numbers.found).
local function origin_text(found)
  local layer = found.layer and (" in '%s' (%s)"):format(found.layer, found.module) or ""
  local read = found.low == found.low and (", reading numbers from %.3g to %.3g"):format(found.low, found.high) or ""
  if found.origin == "forward" then
    return ("the operator '%s'%s made it in the forward pass%s"):format(found.op, layer, read)
  elseif found.origin == "backward" then
    return ("the backward pass of '%s'%s made it, from a gradient%s"):format(found.op, layer,
      read:gsub(", reading numbers", "", 1))
  elseif found.parameter then
    return ("the parameter '%s' held it already when '%s'%s read it: an update or the recipe put it there")
      :format(found.parameter, found.op, layer)
  end
  return ("the operator '%s'%s read it: the data, or a constant, held it already"):format(found.op, layer)
end

-- An event for the first operator that made such a number, until all is finite again. found: nil if unknown.
function Nonfinite:trace(step, found)
  if not found then return end
  self:report(step, "nonfinite_origin", "where it began: " .. origin_text(found), found.n_nonfinite)
end

-- Notes a loss or a norm; reports it when it becomes non-finite. True while it is finite (or unknown).
function Nonfinite:watch(step, code, name, value)
  local finite = value == nil or is_finite(value)
  if not finite and not self.was[code] then
    self:report(step, code, ("the %s is %s"):format(name, show(value)), value)
  end
  self.was[code] = not finite
  return finite
end

-- Before an optimiser's step. norm: of the gradients (nil: unknown); loss: as far as it was put. Takes the gradients
-- away, so that the step changes nothing, where the reaction says so.
function Nonfinite:before_step(step, optimizer, norm, loss)
  local bad = norm and not is_finite(norm) and norm or loss and not is_finite(loss) and loss or nil
  if not bad or self.reaction == "continue" then return end
  optimizer:zero_grad(true)
  if self.reaction == "skip" then
    self:report(step, "step_skipped", ("the optimiser's step is left out: the %s is %s"):format(
      norm == bad and "norm of the gradient" or "loss", show(bad)), bad)
  else
    self.stop = bad
  end
end

-- After the row of a step. Returns the reason to end the run, or nil.
function Nonfinite:after_step(step, loss)
  if self.reaction ~= "stop" then return nil end
  if loss and not is_finite(loss) then self.stop = self.stop or loss end
  if not self.stop then return nil end
  local what = loss and not is_finite(loss) and "the loss is " .. show(loss)
    or "the norm of the gradient is " .. show(self.stop)
  self.events:add(step, "stopped", what, self.stop)
  return ('stopped at step %d: %s (on_nonfinite = "stop")'):format(step, what)
end

return Nonfinite
