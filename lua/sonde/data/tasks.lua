-- Tasks that need a memory, and series of dynamical systems. Sequences are inputs [N, steps, features], for layers with
-- batch_first = true. A set depends on its own seed (default 1) alone, and the first samples of a larger set are those
-- of a smaller one. Each has a `baseline`: the loss of a predictor without memory; baseline_meaning says of which.
local core = require "sonde.core"
local fail = require "sonde.fail"
local suggest = require "sonde.suggest"
local Dataset = require "sonde.data.dataset"
local one_hot = require "sonde.data.transform".one_hot

local tasks = {}

local function with_baseline(x, y, baseline, meaning)
  local d = Dataset.new(x, y)
  d.baseline, d.baseline_meaning = baseline, meaning
  return d
end

-- data.adding { n = 1000, length = 100, seed = 1 }: inputs [n, length, 2] are a number of U(0, 1) and a marker that is
-- 1 at one step of each half; targets [n, 1] the sum of the marked numbers. (Hochreiter and Schmidhuber 1997,
-- experiment 4, in the form of Le, Jaitly and Hinton 2015, whose baseline of 0.1767 is not the variance of that sum.)
function tasks.adding(...)
  local x, y = core.data.adding(...)
  return with_baseline(x, y, 1 / 6, "mean squared error of who always says 1: the variance of the sum of two U(0, 1)")
end

-- The arguments of a call without the option one_hot, and its value (default true).
local function take_one_hot(where, ...)
  local given = table.pack(...)
  local options = given[given.n]
  if type(options) ~= "table" then return true, table.unpack(given, 1, given.n) end
  local rest = {}
  for name, value in next, options do rest[name] = value end
  local wanted = rest.one_hot
  rest.one_hot = nil
  if wanted ~= nil and type(wanted) ~= "boolean" then
    fail("bad argument 'one_hot' to %s: expected boolean, got %s", where, type(wanted))
  end
  given[given.n] = rest
  return wanted ~= false, table.unpack(given, 1, given.n)
end

-- A task of symbols: `symbols` is how many there are.
local function of_symbols(hot, symbols, meaning, x, y, baseline)
  return with_baseline(hot and one_hot(x, symbols) or x, y, baseline, meaning)
end

-- data.copying { n = 1000, length = 10, delay = 100, symbols = 8, one_hot = true, seed = 1 }: `length` symbols, then
-- blanks, a marker `delay` steps after the last symbol, and blanks; targets [n, delay + 2 length] are blank but for the
-- last steps, which repeat the symbols. Symbols are 1..symbols, then blank, then the marker; inputs one-hot, or int64
-- for an Embedding. (Hochreiter and Schmidhuber 1997; Arjovsky, Shah and Bengio 2016.)
function tasks.copying(...)
  local function build(hot, ...)
    local x, y, baseline, symbols = core.data.copying(...)
    return of_symbols(hot, symbols, "cross-entropy of who knows when the answer is due, but not what it is: "
      .. "length ln(symbols) / (delay + 2 length)", x, y, baseline)
  end
  return build(take_one_hot("data.copying", ...))
end

-- data.temporal_order { n = 1000, length = 100, relevant = 2, one_hot = true, seed = 1 }: in a sequence of distractors
-- (1..4; the first step is 7, the last 8) `relevant` (2 or 3) steps are 5 or 6; the class, 1..4 or 1..8, says which,
-- in their order. (Hochreiter and Schmidhuber 1997, experiments 6a and 6b; the length, there 100 to 110 at random, is
-- fixed here.)
function tasks.temporal_order(...)
  local function build(hot, ...)
    return of_symbols(hot, 8, "cross-entropy of who gives every class the same probability",
      core.data.temporal_order(...))
  end
  return build(take_one_hot("data.temporal_order", ...))
end

-- data.delayed_xor { n = 1000, delay = 50, length = delay + 2, seed = 1 }: inputs [n, length, 1] of -1 and 1; class 1
-- if the bits `delay` and `delay` + 1 steps before the last are the same, else 2. (The delayed parity of Bertschinger
-- and Natschläger 2004, of two bits.)
function tasks.delayed_xor(...)
  local x, y = core.data.delayed_xor(...)
  return with_baseline(x, y, math.log(2), "cross-entropy of who gives both classes the same probability")
end

-- ---- series: inputs [n, length, features] and what comes `horizon` steps later ------------------------------------

local function check_count(where, opts, name, default)
  local value = opts[name]
  if value == nil then return default end
  if math.type(value) ~= "integer" or value < 1 then
    fail("bad argument '%s' to %s: expected an integer of at least 1, got %s", name, where, value)
  end
  return value
end

local function check_dtype(where, dtype)
  if dtype == nil or dtype == "float32" or dtype == "float64" then return dtype or "float32" end
  fail("%s: %s", where, suggest.unknown("dtype", dtype, { "float32", "float64" }))
end

local function mean_square(x) return (x * x):mean():item() end

-- Mean squared error of who predicts each feature's mean.
local function variance(y) return mean_square(y - y:mean({ 1, 2 }, true)) end

-- names: the options that the core takes besides n, length and seed.
local function forecast(where, make, opts, names)
  local all = table.move(names, 1, #names, 6, { "n", "length", "horizon", "dtype", "seed" })
  opts = suggest.check_options(where, opts, all)
  local length, horizon = check_count(where, opts, "length", 1000), check_count(where, opts, "horizon", 1)
  local dtype = check_dtype(where, opts.dtype)
  local given = { n = opts.n, length = length + horizon, seed = opts.seed }
  for _, name in ipairs(names) do given[name] = opts[name] end
  local series = make(given)
  local x, y = series:narrow(2, 1, length), series:narrow(2, horizon + 1, length)
  local stays, mean = mean_square(y - x), variance(y)
  if not (stays + mean < math.huge) then fail("%s: with these parameters the series runs away", where) end
  return with_baseline(x:to(dtype):contiguous(), y:to(dtype):contiguous(), math.min(stays, mean),
    "mean squared error on this set of who " .. (stays <= mean and "says that nothing changes" or "says the mean"))
end

-- data.mackey_glass { n = 1, length = 1000, horizon = 1, tau = 17, dtype = "float32", seed = 1 }: one value a time unit
-- of dx/dt = 0.2 x(t - tau) / (1 + x(t - tau)^10) - 0.1 x, after 1000 units from a constant history of U(0.5, 1.5), by
-- Runge-Kutta of order 4 and step 0.1. Chaotic for tau from 17 on. (Mackey and Glass 1977.) Jaeger's form is
-- tanh(x - 1).
function tasks.mackey_glass(opts)
  return forecast("data.mackey_glass", core.data.mackey_glass, opts, { "tau" })
end

-- data.lorenz { n = 1, length = 1000, horizon = 1, dt = 0.02, sigma = 10, rho = 28, beta = 8/3, dtype = "float32",
-- seed = 1 }: x, y, z of Lorenz's system every dt, after 1000 samples to settle, by Runge-Kutta of order 4 and step
-- dt / 4. (Lorenz 1963, "Deterministic nonperiodic flow".)
function tasks.lorenz(opts)
  return forecast("data.lorenz", core.data.lorenz, opts, { "dt", "sigma", "rho", "beta" })
end

-- data.narma10 { n = 1, length = 1000, dtype = "float32", seed = 1 }: inputs u(t) of U(0, 0.5), targets y(t + 1) =
-- 0.3 y(t) + 0.05 y(t) Σ y(t - i) + 1.5 u(t - 9) u(t) + 0.1, the sum over i = 0..9. (Atiya and Parlos 2000.)
function tasks.narma10(opts)
  opts = suggest.check_options("data.narma10", opts, { "n", "length", "dtype", "seed" })
  local dtype = check_dtype("data.narma10", opts.dtype)
  local u, y = core.data.narma10 { n = opts.n, length = opts.length, seed = opts.seed }
  return with_baseline(u:to(dtype), y:to(dtype), variance(y), "mean squared error on this set of who says the mean")
end

return tasks
