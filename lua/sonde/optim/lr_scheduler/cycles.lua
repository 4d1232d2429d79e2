-- Schedules that go up and down: cosines, cycles, one cycle.
local base = require "sonde.optim.lr_scheduler.base"
local fail = require "sonde.fail"

local cycles = {}
local number, whole = base.number, base.whole
local cos, pi = math.cos, math.pi

-- From base down to eta_min at epoch T_max and back: eta_min + (base - eta_min)(1 + cos(π epoch/T_max))/2 (Loshchilov &
-- Hutter 2017, without restarts), in the form that goes on from the present rate.
local CosineAnnealingLR
CosineAnnealingLR, cycles.CosineAnnealingLR = base.class("CosineAnnealingLR",
  { { "T_max", whole(1) }, { "eta_min", number(0), 0.0 } })
function CosineAnnealingLR:rate(lr, base_lr)
  local epoch, T, low = self.last_epoch, self.T_max, self.eta_min
  if epoch == 0 then return lr end
  if (epoch - 1 - T) % (2 * T) == 0 then return lr + (base_lr - low) * (1 - cos(pi / T)) / 2 end
  return (1 + cos(pi * epoch / T)) / (1 + cos(pi * (epoch - 1) / T)) * (lr - low) + low
end

-- The same downwards only, again and again: the first time over T_0 epochs, each time T_mult times as long (Loshchilov
-- & Hutter 2017).
local WarmRestarts
WarmRestarts, cycles.CosineAnnealingWarmRestarts = base.class("CosineAnnealingWarmRestarts",
  { { "T_0", whole(1) }, { "T_mult", whole(1), 1 }, { "eta_min", number(0), 0.0 } })
function WarmRestarts:begin()
  self.T_cur, self.T_i = -1, self.T_0
  base.Scheduler.begin(self)
end
function WarmRestarts:step()
  self.T_cur = self.T_cur + 1
  if self.T_cur >= self.T_i then self.T_cur, self.T_i = self.T_cur - self.T_i, self.T_i * self.T_mult end
  base.Scheduler.step(self)
end
function WarmRestarts:rate(_, base_lr)
  return self.eta_min + (base_lr - self.eta_min) * (1 + cos(pi * self.T_cur / self.T_i)) / 2
end

local rates = base.per_group(number(0))
local momenta = base.per_group(number(0, 1))

-- Sets the momentum of every group to what it is at this epoch: momentum(self, i).
local function cycle_momentum(self, momentum)
  if not self.cycle_momentum then return end
  local list = {}
  for i in ipairs(self.base_lrs) do list[i] = momentum(self, i) end
  base.set_all(self.optimizer, self.momentum_name, list)
end

-- ---- CyclicLR: between base_lr and max_lr in triangles (Smith 2017) ------------------------------------------------

local CyclicLR
local function any_function(where, name, value)
  if type(value) == "function" then return value end
  fail("bad argument '%s' to %s: expected function, got %s", name, where, type(value))
end

-- The height of the triangle: always the same, halved each cycle, or times gamma^epoch; or scale_fn of the cycle (from
-- 1) or the epoch.
CyclicLR, cycles.CyclicLR = base.class("CyclicLR", {
  { "base_lr", rates }, { "max_lr", rates }, { "step_size_up", whole(1), 2000 },
  { "step_size_down", base.optional(whole(1)) },
  { "mode", base.choice("triangular", "triangular2", "exp_range"), "triangular" },
  { "gamma", number(0), 1.0 }, { "scale_fn", base.optional(any_function) },
  { "scale_mode", base.choice("cycle", "iterations"), "cycle" }, { "cycle_momentum", base.boolean, true },
  { "base_momentum", momenta, 0.8 }, { "max_momentum", momenta, 0.9 },
})

function CyclicLR:prepare()
  self.step_size_down = self.step_size_down or self.step_size_up
  if self.cycle_momentum then self.momentum_name = base.momentum_name(self.where, self.optimizer) end
  self.base_lrs = self.base_lr
end

local function cyclic_scale(self, cycle)
  if self.scale_fn then
    local value = self.scale_fn(self.scale_mode == "cycle" and cycle or self.last_epoch)
    if type(value) == "number" then return value end
    fail("%s: scale_fn must return a number, got %s", self.where, value)
  end
  if self.mode == "triangular2" then return 0.5 ^ (cycle - 1) end
  return self.mode == "exp_range" and self.gamma ^ self.last_epoch or 1
end

-- How high between base and maximum this epoch is, 0..1.
local function cyclic_height(self)
  local total = self.step_size_up + self.step_size_down
  local cycle, ratio = math.floor(1 + self.last_epoch / total), self.step_size_up / total
  local x = 1 + self.last_epoch / total - cycle
  return (x <= ratio and x / ratio or (x - 1) / (ratio - 1)) * cyclic_scale(self, cycle)
end

function CyclicLR:step()
  base.Scheduler.step(self)
  local height = self.cycle_momentum and cyclic_height(self)
  cycle_momentum(self, function(_, i)
    return self.max_momentum[i] - (self.max_momentum[i] - self.base_momentum[i]) * height
  end)
end

function CyclicLR:rate(_, base_lr, i) return base_lr + (self.max_lr[i] - base_lr) * cyclic_height(self) end

-- ---- OneCycleLR: up once, down once, over a fixed number of steps (Smith & Topin 2018) -----------------------------

local OneCycleLR
OneCycleLR, cycles.OneCycleLR = base.class("OneCycleLR", {
  { "max_lr", rates }, { "total_steps", base.optional(whole(1)) }, { "epochs", base.optional(whole(1)) },
  { "steps_per_epoch", base.optional(whole(1)) }, { "pct_start", number(0, 1), 0.3 },
  { "anneal_strategy", base.choice("cos", "linear"), "cos" }, { "cycle_momentum", base.boolean, true },
  { "base_momentum", momenta, 0.85 }, { "max_momentum", momenta, 0.95 }, { "div_factor", number(1), 25 },
  { "final_div_factor", number(1), 1e4 }, { "three_phase", base.boolean, false },
})

function OneCycleLR:prepare()
  if not self.total_steps then
    if not (self.epochs and self.steps_per_epoch) then
      fail("%s: give total_steps, or epochs and steps_per_epoch", self.where)
    end
    self.total_steps = self.epochs * self.steps_per_epoch
  end
  if self.cycle_momentum then self.momentum_name = base.momentum_name(self.where, self.optimizer) end
  self.base_lrs = {}
  for i, lr in ipairs(self.max_lr) do self.base_lrs[i] = lr / self.div_factor end
end

-- The phase of this epoch: { end, from, to, momentum from, to } with 1 the start, 2 the maximum, 3 the final rate; and
-- how far it has gone, 0..1.
local function one_cycle_phase(self)
  local total, up = self.total_steps, self.pct_start * self.total_steps
  local phases = self.three_phase
    and { { up - 1, 1, 2, "max", "base" }, { 2 * up - 2, 2, 1, "base", "max" }, { total - 1, 1, 3, "max", "max" } }
    or { { up - 1, 1, 2, "max", "base" }, { total - 1, 2, 3, "base", "max" } }
  local start = 0
  for i, phase in ipairs(phases) do
    local stop = phase[1]
    if self.last_epoch <= stop or i == #phases then
      return phase, stop > start and math.min(1, (self.last_epoch - start) / (stop - start)) or 1
    end
    start = stop
  end
end

local function anneal(self, from, to, share)
  if self.anneal_strategy == "linear" then return (to - from) * share + from end
  return to + (from - to) / 2 * (cos(pi * share) + 1)
end

function OneCycleLR:step()
  if self.last_epoch >= self.total_steps then
    fail("%s: step %d of %d: the cycle is over", self.where, self.last_epoch + 1, self.total_steps)
  end
  base.Scheduler.step(self)
  local phase, share = one_cycle_phase(self)
  cycle_momentum(self, function(_, i)
    return anneal(self, self[phase[4] .. "_momentum"][i], self[phase[5] .. "_momentum"][i], share)
  end)
end

function OneCycleLR:rate(_, base_lr, i)
  local phase, share = one_cycle_phase(self)
  local corner = { base_lr, self.max_lr[i], base_lr / self.final_div_factor }
  return anneal(self, corner[phase[2]], corner[phase[3]], share)
end

return cycles
