-- Expectations over z ~ N(0, 1) of an activation at √q z. By Gauss-Legendre
-- quadrature on panels between -12 and 12, whose edges lie at the activation's kinks:
-- Gauss-Hermite nodes, which know of none, lose all but two or three digits there.
local tensor = require "sonde.tensor"

local gaussian = {}

local DOUBLE = { dtype = "float64" }
local RANGE, POINTS, WIDEST, MOST_PANELS = 12, 16, 0.4, 512
local SMALLEST = 1e-32 -- stands for q = 0: the limit, from both sides of a kink at 0

-- Nodes and weights on [-1, 1], by Newton's iteration on the Legendre polynomial.
local function legendre(n)
  local nodes, weights = {}, {}
  for i = 1, n do
    local x, slope = math.cos(math.pi * (i - 0.25) / (n + 0.5)), nil
    for _ = 1, 10 do
      local p, before = 1, 0
      for k = 1, n do p, before = ((2 * k - 1) * x * p - (k - 1) * before) / k, p end
      slope = n * (x * p - before) / (x * x - 1)
      x = x - p / slope
    end
    nodes[i], weights[i] = x, 2 / ((1 - x * x) * slope * slope)
  end
  return nodes, weights
end

local NODES, WEIGHTS = legendre(POINTS)

-- Where panels begin and end in z: close enough for φ(√q z), at its kinks, and around 0, where φ changes for large q.
local function edges_of(activation, scale)
  local rate = activation.rate * scale
  local width = math.max(math.min(WIDEST, 8 / math.max(rate, 1e-9)), 2 * RANGE / MOST_PANELS)
  local n, edges = math.ceil(2 * RANGE / width), { 0 }
  for i = 0, n do edges[#edges + 1] = 2 * RANGE * i / n - RANGE end
  for _, kink in ipairs(activation.kinks) do edges[#edges + 1] = kink / scale end
  for j = -2, 3 do
    edges[#edges + 1] = 2 ^ j / math.max(rate, 1e-9)
    edges[#edges + 1] = -2 ^ j / math.max(rate, 1e-9)
  end
  table.sort(edges)
  return edges
end

-- z and the weights, density included, as Tensors [n].
local function rule(activation, scale)
  local z, weights, n, low = {}, {}, 0, -RANGE
  for _, high in ipairs(edges_of(activation, scale)) do
    if high > low + 1e-12 and high <= RANGE then
      local half, middle = (high - low) / 2, (high + low) / 2
      for i = 1, POINTS do
        local at = middle + half * NODES[i]
        n = n + 1
        z[n], weights[n] = at, half * WEIGHTS[i] * math.exp(-at * at / 2) / math.sqrt(2 * math.pi)
      end
      low = high
    end
  end
  return tensor(z, DOUBLE), tensor(weights, DOUBLE)
end

local function sampled(activation, q)
  local scale = math.sqrt(math.max(q, SMALLEST))
  local z, weights = rule(activation, scale)
  local y, slope = activation:at(z * scale)
  return z, weights, y, slope, scale
end

-- square = E[φ²], slope_square = E[φ'²], growth = dE[φ²]/dq = E[φ φ' z]/√q, all at √q z.
function gaussian.moments(activation, q)
  local z, weights, y, slope, scale = sampled(activation, q)
  return {
    square = (weights * y * y):sum():item(), slope_square = (weights * slope * slope):sum():item(),
    growth = (weights * y * slope * z):sum():item() / scale,
  }
end

local DEGREE = 512

-- The squares of E[f h_k] for k = 0, 1, …, h_k being the normalised Hermite polynomials, and what is left of E[f²].
local function spectrum(weighted, values, next_polynomial)
  local total, squares = (weighted * values):sum():item(), {}
  local rest = total
  for k = 0, DEGREE do
    squares[k] = (weighted * next_polynomial(k)):sum():item() ^ 2
    rest = rest - squares[k]
    if rest <= 1e-15 * total then break end
  end
  squares.rest = math.max(rest, 0)
  return squares
end

-- E[f(√q u) f(√q v)] of unit Gaussians with correlation c is Σ E[f h_k]² c^k (Mehler's formula): the spectra of φ, in
-- `value`, and of φ', in `slope`.
function gaussian.spectra(activation, q)
  local z, weights, y, slope = sampled(activation, q)
  local polynomials = { [0] = tensor.ones_like(z), z }
  local function polynomial(k)
    if not polynomials[k] then
      local n = k - 1
      polynomials[k] = (z * polynomials[n] - polynomials[n - 1] * math.sqrt(n)) / math.sqrt(k)
    end
    return polynomials[k]
  end
  return { value = spectrum(weights * y, y, polynomial), slope = spectrum(weights * slope, slope, polynomial) }
end

-- Σ squares[k] c^k; what the spectrum leaves out counts as the first power beyond it, so that c = 1 is exact. Nothing
-- is left of smooth activations; of ReLU 2e-5, which matters where |c| > 0.99, and more at c = -1.
function gaussian.correlated(squares, c)
  local sum = squares.rest
  for k = #squares, 0, -1 do sum = sum * c + squares[k] end
  return sum
end

return gaussian
