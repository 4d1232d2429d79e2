-- Schedules that go one way: steps, powers, lines, a user's own function.
local base = require "sonde.optim.lr_scheduler.base"
local fail = require "sonde.fail"

local decay = {}
local number, whole = base.number, base.whole

-- lr · gamma every step_size epochs.
local StepLR
StepLR, decay.StepLR = base.class("StepLR", { { "step_size", whole(1) }, { "gamma", number(0), 0.1 } })
function StepLR:rate(lr)
  return self.last_epoch > 0 and self.last_epoch % self.step_size == 0 and lr * self.gamma or lr
end

-- lr · gamma at each milestone (twice where it stands twice).
local MultiStepLR
MultiStepLR, decay.MultiStepLR = base.class("MultiStepLR",
  { { "milestones", base.milestones(0) }, { "gamma", number(0), 0.1 } })
function MultiStepLR:rate(lr)
  local n = 0
  for _, milestone in ipairs(self.milestones) do
    if milestone == self.last_epoch then n = n + 1 end
  end
  return n > 0 and lr * self.gamma ^ n or lr
end

-- base · gamma^epoch
local ExponentialLR
ExponentialLR, decay.ExponentialLR = base.class("ExponentialLR", { { "gamma", number(0) } })
function ExponentialLR:rate(lr) return self.last_epoch > 0 and lr * self.gamma or lr end

-- base · (1 - epoch/total_iters)^power, then 0
local PolynomialLR
PolynomialLR, decay.PolynomialLR = base.class("PolynomialLR",
  { { "total_iters", whole(1), 5 }, { "power", number(0), 1.0 } })
function PolynomialLR:rate(lr)
  local epoch, total = self.last_epoch, self.total_iters
  if epoch == 0 or epoch > total then return lr end
  return lr * ((1 - epoch / total) / (1 - (epoch - 1) / total)) ^ self.power
end

-- base · factor up to epoch total_iters, then base
local ConstantLR
ConstantLR, decay.ConstantLR = base.class("ConstantLR",
  { { "factor", number(0, 1), 1 / 3 }, { "total_iters", whole(0), 5 } })
function ConstantLR:rate(lr, base_lr)
  local epoch = self.last_epoch
  if epoch == 0 and self.total_iters > 0 then return lr * self.factor end
  if epoch == 0 or epoch ~= self.total_iters then return lr end
  return self.factor > 0 and lr / self.factor or base_lr
end

-- From base · start_factor in a line to base · end_factor at epoch total_iters: also the usual warm-up.
local LinearLR
LinearLR, decay.LinearLR = base.class("LinearLR",
  { { "start_factor", number(0, 1), 1 / 3 }, { "end_factor", number(0, 1), 1.0 }, { "total_iters", whole(1), 5 } })
function LinearLR:prepare()
  if self.start_factor == 0 then fail("bad argument 'start_factor' to %s: it must be above 0", self.where) end
end
function LinearLR:rate(lr)
  local epoch, slope = self.last_epoch, self.end_factor - self.start_factor
  if epoch == 0 then return lr * self.start_factor end
  if epoch > self.total_iters then return lr end
  return lr * (1 + slope / (self.total_iters * self.start_factor + (epoch - 1) * slope))
end

-- What a group's lr_lambda says.
local function factor(self, i)
  local value = self.lr_lambda[i](self.last_epoch)
  if type(value) == "number" then return value end
  fail("%s: lr_lambda must return a number, got %s at epoch %d", self.where, value, self.last_epoch)
end

-- base · lr_lambda(epoch); one function, or one for each group
local LambdaLR
LambdaLR, decay.LambdaLR = base.class("LambdaLR", { { "lr_lambda", base.per_group "function" } })
function LambdaLR:rate(_, base_lr, i) return base_lr * factor(self, i) end

-- lr · lr_lambda(epoch), from epoch 1 on
local MultiplicativeLR
MultiplicativeLR, decay.MultiplicativeLR = base.class("MultiplicativeLR",
  { { "lr_lambda", base.per_group "function" } })
function MultiplicativeLR:rate(lr, _, i)
  return self.last_epoch > 0 and lr * factor(self, i) or lr
end

return decay
