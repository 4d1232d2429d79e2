-- The edge of chaos. At a fixed point q with chi1 = 1 both variances follow from q:
--   sigma_w² = 1/E[φ'(√q z)²],  sigma_b² = q - sigma_w² E[φ(√q z)²]
local gaussian = require "sonde.theory.gaussian"
local fixed = require "sonde.theory.fixed"

local critical = {}

local SLACK = 1e-9 -- of V'(q) <= 1, which ReLU meets exactly

-- sigma_w² and sigma_b² of the point at q, and V'(q) there.
local function variances(activation, q)
  local m = gaussian.moments(activation, q)
  local w = 1 / m.slope_square
  return w, q - w * m.square, w * m.growth
end

-- { sigma_w, sigma_b, q } at q; nil where no network has it: sigma_b² < 0, or lengths flow away from q.
function critical.point(activation, q)
  local w, b, growth = variances(activation, q)
  if math.abs(b) <= 1e-12 * q then b = 0 end
  if not (w < math.huge and b >= 0 and growth <= 1 + SLACK) then return nil end
  return { sigma_w = math.sqrt(w), sigma_b = math.sqrt(b), q = q }
end

-- The limit q -> 0 without biases, as of tanh and ReLU: whether V(q) <= q there.
local function at_zero(activation)
  local near = 1e-4
  local w = 1 / gaussian.moments(activation, 0).slope_square
  local square = gaussian.moments(activation, near).square
  if not (w < math.huge and gaussian.moments(activation, 0).square < 1e-20) then return nil end
  if w * square > near * (1 + SLACK) then return nil end
  return { sigma_w = math.sqrt(w), sigma_b = 0.0, q = fixed.length(activation, w, 0, 1) }
end

-- The point with this sigma_b whose q is the least; or nil, and the least and largest sigma_b seen on the way.
local function search(activation, sigma_b)
  local function distance(q) return select(2, variances(activation, q)) - sigma_b ^ 2 end
  local before, least, most = nil, math.huge, -math.huge
  for i = -40, 80 do
    local q = 2 ^ (i / 2)
    local here = distance(q)
    if before and (here > 0) ~= (before > 0) then
      local low, high, rising = q / math.sqrt(2), q, here > 0
      for _ = 1, 60 do
        local middle = (low + high) / 2
        if (distance(middle) > 0) == rising then high = middle else low = middle end
      end
      local w, _, growth = variances(activation, high)
      if growth <= 1 + SLACK then return { sigma_w = math.sqrt(w), sigma_b = sigma_b, q = high } end
    end
    local point = critical.point(activation, q)
    if point then least, most = math.min(least, point.sigma_b), math.max(most, point.sigma_b) end
    before = here
  end
  return nil, least, most
end

local function find(activation, sigma_b)
  local zero = sigma_b == 0 and at_zero(activation)
  if zero then return zero end
  local point, least, most = search(activation, sigma_b)
  if point then return point end
  local range = least <= most and ("its sigma_b goes from %.4g to %.4g"):format(least, most) or "there is none at all"
  return nil, ("%s has no stable critical point with sigma_b = %g; %s"):format(activation.name, sigma_b, range)
end

-- The point with this sigma_b whose q is the least; nil and a message if there is none. An activation remembers what
-- was found, for the next layer.
function critical.at(activation, sigma_b)
  local known = activation.critical
  if not known[sigma_b] then
    local point, message = find(activation, sigma_b)
    if not point then return nil, message end
    known[sigma_b] = point
  end
  local point = known[sigma_b]
  return { sigma_w = point.sigma_w, sigma_b = point.sigma_b, q = point.q }
end

return critical
