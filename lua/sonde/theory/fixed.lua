-- Fixed points of the length and correlation maps, and what they say about depth. w, b: sigma_w², sigma_b².
local core = require "sonde.core"
local gaussian = require "sonde.theory.gaussian"

local fixed = {}

local LONGEST, SHORTEST = 2.0 ^ 40, 2.0 ^ -46 -- beyond: infinite, 0
local SAME = 1e-12

-- q* that q0 flows to: 0, inf, or q0 itself if it is fixed. Steps of a factor two bracket the first zero of V(q) - q in
-- the direction of the flow; Newton's iteration, kept inside, finds it.
function fixed.length(activation, w, b, q0)
  local function excess(q)
    local m = gaussian.moments(activation, q)
    return w * m.square + b - q, w * m.growth - 1
  end
  local start = excess(q0)
  if math.abs(start) <= SAME * q0 then return q0 end
  local up, low, high = start > 0, q0, q0
  repeat
    if up then low, high = high, 2 * high else low, high = low / 2, low end
    if high > LONGEST then return math.huge end
    if low < SHORTEST then return 0.0 end
    local here = excess(up and high or low)
    if here ~= here then return math.huge end
  until (here > 0) ~= up
  local q = (low + high) / 2
  for _ = 1, 100 do
    local value, slope = excess(q)
    if value > 0 then low = q else high = q end
    local next_q = q - value / slope
    if not (next_q > low and next_q < high) then next_q = (low + high) / 2 end
    if math.abs(next_q - q) <= 1e-15 * q then return next_q end
    q = next_q
  end
  return q
end

-- A q to compute with where q* is infinite.
function fixed.finite(q) return math.min(q, LONGEST) end

-- The function c -> C(c), C'(c) at q.
function fixed.correlation_map(activation, w, b, q)
  local spectra = gaussian.spectra(activation, q)
  local length = w * gaussian.correlated(spectra.value, 1) + b
  local scale = w * q / length
  return function(c)
    return (w * gaussian.correlated(spectra.value, c) + b) / length,
      scale * gaussian.correlated(spectra.slope, c)
  end
end

-- The stable fixed point of a correlation map and the slope there. The map's powers
-- have no negative coefficient, so it is convex: with chi1 <= 1 it meets the diagonal
-- at 1 only, else once below, which Newton's iteration reaches from the left.
local function correlation(map, chi1)
  if chi1 <= 1 + SAME then return 1.0, chi1 end
  local c = 0.0
  for _ = 1, 200 do
    local value, slope = map(c)
    local step = (value - c) / (1 - slope)
    c = c + step
    if math.abs(step) < 1e-14 then break end
  end
  if c < SAME then c = 0.0 end
  return c, select(2, map(c))
end

-- Layers until something shrinks by e, where each multiplies it by `factor`; nan where it grows.
local function scale_of(factor)
  if math.abs(factor - 1) <= SAME then return math.huge end
  if factor <= 0 then return 0.0 end
  return factor < 1 and -1 / math.log(factor) or core.nan
end

-- What theory.mean_field returns.
function fixed.summary(activation, w, b, q)
  local moments = gaussian.moments(activation, fixed.finite(q))
  local chi1 = w * moments.slope_square
  if math.abs(chi1 - 1) <= SAME then chi1 = 1.0 end
  local c, chi_c = core.nan, chi1
  if q > 0 and q < math.huge then c, chi_c = correlation(fixed.correlation_map(activation, w, b, q), chi1) end
  local xi_c = scale_of(chi_c)
  return {
    sigma_w = math.sqrt(w), sigma_b = math.sqrt(b), q = q, chi1 = chi1, c = c, chi_c = chi_c,
    xi_q = scale_of(w * moments.growth), xi_c = xi_c, xi_grad = scale_of(math.min(chi1, 1 / chi1)),
    trainable_depth = 6 * xi_c, decades_per_layer = math.log(chi1, 10) / 2,
    phase = chi1 == 1 and "critical" or chi1 < 1 and "ordered" or "chaotic",
  }
end

return fixed
