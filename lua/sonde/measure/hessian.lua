-- The largest eigenvalue of the Hessian of the loss: the curvature that bounds the learning rate (gradient descent is
-- stable below 2/λ). By Lanczos iteration with full reorthogonalisation (Golub and Van Loan, "Matrix computations",
-- chapter 10) on products with vectors, which are central differences of gradients:
--     H v ≈ (g(w + h v) − g(w − h v)) / 2h      ‖v‖ = 1,  h = √ε (1 + ‖w‖)
-- with ε the dtype's spacing at 1: small, so that kinks as those of ReLU are hardly ever crossed (between them the loss
-- curves as backward says; across, the difference would be that of two pieces). The network is run in float64, which
-- leaves about seven digits; where a layer written in Lua will not have it, in its own dtype: about three. Random
-- layers draw the same numbers in every pass. In the mode the network has, at the weights before the step, for the loss
-- of the batch. Costs 2 gradients per iteration.
local core = require "sonde.core"
local fail = require "sonde.fail"
local linalg = require "sonde.linalg"
local tensor = require "sonde.tensor"

local hessian = {
  options = { "iterations", "tolerance" },
  needs_loss = true,
  columns = {
    { "eigenvalue", "largest eigenvalue of the Hessian of the loss by the parameters" },
    { "smallest", "smallest eigenvalue, less exact: below 0 the loss curves down in some direction" },
    { "iterations", "Lanczos iterations, two gradients each", units = "1" },
    { "residual", "norm of H v - eigenvalue v, v of norm 1: some eigenvalue is as near as that" },
  },
}

-- iterations: at most (20); tolerance: of the residual, relative to the eigenvalue (1e-3).
function hessian.settings(where, options)
  local iterations, tolerance = options.iterations or 20, options.tolerance or 1e-3
  if math.type(iterations) ~= "integer" or iterations < 1 then
    fail("%s: iterations must be a whole number of at least 1, got %s", where, iterations)
  end
  if type(tolerance) ~= "number" or not (tolerance > 0) then
    fail("%s: tolerance must be a number above 0, got %s", where, tolerance)
  end
  return { where = where, iterations = iterations, tolerance = tolerance }
end

function hessian.layout(context) return { context:whole() } end

function hessian.new(settings) return settings end

-- ---- vectors over all parameters, in float64 ----------------------------------------------------------------------

local function flatten(parameters, values)
  local parts = {}
  for i, parameter in ipairs(parameters) do
    local value = values[i] or tensor.zeros_like(parameter:detach())
    parts[i] = value:detach():to("float64"):reshape(-1)
  end
  return tensor.cat(parts)
end

local function dot(a, b) return (a * b):sum():item() end

-- Sets the parameters to `flat`.
local function move(parameters, flat)
  local at = 1
  for _, parameter in ipairs(parameters) do
    local n = parameter:numel()
    parameter:detach():copy_(flat:narrow(1, at, n):view(parameter:shape()):to(parameter.dtype))
    at = at + n
  end
end

-- v → H v by central differences.
local function product(context, parameters)
  local origin = flatten(parameters, parameters)
  local spacing = 2 ^ -52
  for _, parameter in ipairs(parameters) do
    if parameter.dtype == "float32" then spacing = 2 ^ -23 end
  end
  local h = spacing ^ 0.5 * (1 + dot(origin, origin) ^ 0.5)
  local function gradient_at(shift)
    move(parameters, origin + shift)
    context:rewind()
    local _, gradient = context:gradient(parameters)
    return flatten(parameters, gradient)
  end
  return function(v)
    return (gradient_at(v * h) - gradient_at(v * -h)) / (2 * h)
  end, origin:numel()
end

-- ---- Lanczos ------------------------------------------------------------------------------------------------------

-- The extreme eigenvalues of the tridiagonal matrix of alpha and beta, and the last component of the largest's vector.
local function extremes(alpha, beta)
  local rows = {}
  for i = 1, #alpha do
    rows[i] = {}
    for j = 1, #alpha do rows[i][j] = i == j and alpha[i] or math.abs(i - j) == 1 and beta[math.min(i, j)] or 0 end
  end
  local values, vectors = linalg.eigh(tensor(rows, { dtype = "float64" }))
  return values[#alpha]:item(), values[1]:item(), math.abs(vectors[{ #alpha, #alpha }]:item())
end

-- Orthogonal to all of `basis`; twice is enough (Parlett).
local function orthogonalise(v, basis)
  for _ = 1, 2 do
    for _, q in ipairs(basis) do v = v - q * dot(q, v) end
  end
  return v
end

local function lanczos(settings, context)
  local parameters = context:parameters()
  local times, n = product(context, parameters)
  context:rewind()
  local v = tensor.randn(n, { dtype = "float64" })
  v = v / dot(v, v) ^ 0.5
  local basis, alpha, beta, largest, smallest, residual = {}, {}, {}, core.nan, core.nan, core.nan
  for i = 1, math.min(settings.iterations, n) do
    basis[i] = v
    local w = times(v)
    alpha[i] = dot(v, w)
    w = orthogonalise(w, basis)
    beta[i] = dot(w, w) ^ 0.5
    if beta[i] - beta[i] ~= 0 or alpha[i] - alpha[i] ~= 0 then return {} end -- not finite
    local last
    largest, smallest, last = extremes(alpha, beta)
    residual = beta[i] * last
    if residual <= settings.tolerance * math.abs(largest) then break end
    v = w / beta[i]
  end
  return { eigenvalue = { largest }, smallest = { smallest }, iterations = { #alpha }, residual = { residual } }
end

function hessian.measure(settings, context)
  local done, result = pcall(function()
    local _ <close> = context:widen()
    return lanczos(settings, context)
  end)
  if done then return result end
  context:rewind()
  return lanczos(settings, context)
end

return hessian
