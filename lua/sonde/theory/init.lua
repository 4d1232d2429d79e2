-- sonde.theory: mean-field theory of wide random networks. Weights are N(0, sigma_w²/fan_in), biases N(0, sigma_b²), φ
-- is the activation, z ~ N(0, 1); a layer's pre-activations then have the mean square q over its units:
--   length map       q' = V(q) = sigma_w² E[φ(√q z)²] + sigma_b²
--   correlation map  C(c) = (sigma_w² E[φ(u) φ(v)] + sigma_b²)/V(q), u and v Gaussian of variance q, correlation c
--   chi1             sigma_w² E[φ'(√q z)²]: C'(1) at q*, and what a layer multiplies the squared gradient by
--   depth scales     xi_q = -1/ln V'(q*), xi_c = -1/ln C'(c*), xi_grad = 1/|ln chi1|
-- The maps are those of Poole et al. 2016, "Exponential expressivity in deep neural networks through transient chaos",
-- section 2; the depth scales and the gradient those of Schoenholz et al. 2017, "Deep information propagation",
-- sections 3 and 4. An activation is a name ("tanh"), an element-wise module (nn.LeakyReLU(0.2)),
-- or a function of a float64 Tensor or of a number.
local critical = require "sonde.theory.critical"
local fail = require "sonde.fail"
local fixed = require "sonde.theory.fixed"
local gaussian = require "sonde.theory.gaussian"
local resolve = require "sonde.theory.activation"
local suggest = require "sonde.suggest"

local theory = {}

local function number(where, name, value, least)
  if type(value) ~= "number" or not (value >= least) or value == math.huge then
    fail("%s: %s must be a finite number of at least %g, got %s", where, name, least, value)
  end
  return value
end

-- sigma_w² and sigma_b² (0).
local function variances(where, o)
  return number(where, "sigma_w", o.sigma_w, 0) ^ 2, number(where, "sigma_b", o.sigma_b or 0, 0) ^ 2
end

-- V(q): the mean square of the next layer's pre-activations.
function theory.q_map(activation, q, options)
  local o = suggest.check_options("theory.q_map", options, { "sigma_w", "sigma_b" })
  local w, b = variances("theory.q_map", o)
  number("theory.q_map", "q", q, 0)
  return w * gaussian.moments(resolve("theory.q_map", activation), q).square + b
end

-- The q asked for, or the fixed point that q0 (1) flows to.
local function q_of(where, a, w, b, o)
  if o.q ~= nil then return number(where, "q", o.q, 0) end
  return fixed.length(a, w, b, number(where, "q0", o.q0 or 1, 1e-12))
end

-- chi1 at options.q, by default at q*.
function theory.chi1(activation, options)
  local o = suggest.check_options("theory.chi1", options, { "sigma_w", "sigma_b", "q", "q0" })
  local w, b = variances("theory.chi1", o)
  local a = resolve("theory.chi1", activation)
  return w * gaussian.moments(a, fixed.finite(q_of("theory.chi1", a, w, b, o))).slope_square
end

-- C(c) and C'(c) at options.q, by default at q*.
function theory.c_map(activation, c, options)
  local o = suggest.check_options("theory.c_map", options, { "sigma_w", "sigma_b", "q", "q0" })
  local w, b = variances("theory.c_map", o)
  local a = resolve("theory.c_map", activation)
  if number("theory.c_map", "c", c, -1) > 1 then fail("theory.c_map: c must be at most 1, got %s", c) end
  return fixed.correlation_map(a, w, b, fixed.finite(q_of("theory.c_map", a, w, b, o)))(c)
end

-- Everything about (sigma_w, sigma_b = 0) at the fixed point that q0 = 1, the mean square of the first layer's
-- pre-activations, flows to: q (0 or inf where there is no other; q0 itself where every q is fixed), chi1, c (nan where
-- q is not between), chi_c = C'(c), the depth scales xi_q, xi_c and xi_grad, phase ("ordered", "critical", "chaotic"),
-- decades_per_layer = log10(chi1)/2 (towards the input: negative is vanishing), and trainable_depth = 6 xi_c, the depth
-- beyond which Schoenholz et al. found no network to train.
function theory.mean_field(activation, options)
  local o = suggest.check_options("theory.mean_field", options, { "sigma_w", "sigma_b", "q0" })
  local w, b = variances("theory.mean_field", o)
  local a = resolve("theory.mean_field", activation)
  return fixed.summary(a, w, b, q_of("theory.mean_field", a, w, b, o))
end

-- The edge of chaos at sigma_b (0): { sigma_w, sigma_b, q } with chi1
-- = 1 at a fixed point q that is stable. Raises where there is none.
function theory.critical(activation, options)
  local o = suggest.check_options("theory.critical", options, { "sigma_b" })
  local a = resolve("theory.critical", activation)
  local found, message = critical.at(a, number("theory.critical", "sigma_b", o.sigma_b or 0, 0))
  if not found then fail("theory.critical: %s", message) end
  return found
end

-- The whole curve, a list of { sigma_w, sigma_b, q }: one point for each of options.q, by default 49 from 2^-10 to 2^6;
-- those that no sigma_b >= 0 or no stable fixed point belongs to are left out.
function theory.edge_of_chaos(activation, options)
  local o = suggest.check_options("theory.edge_of_chaos", options, { "q" })
  local lengths = o.q
  if lengths == nil then
    lengths = {}
    for i = 0, 48 do lengths[i + 1] = 2 ^ (i / 3 - 10) end
  elseif type(lengths) ~= "table" then
    fail("theory.edge_of_chaos: q must be a list of numbers, got %s", type(lengths))
  end
  local a, points = resolve("theory.edge_of_chaos", activation), {}
  for i, q in ipairs(lengths) do
    local point = critical.point(a, number("theory.edge_of_chaos", ("q[%d]"):format(i), q, 1e-12))
    if point then points[#points + 1] = point end
  end
  return points
end

-- A network of `depth` layers, layer by layer, before it has reached a fixed point: { q = { q_1 … }, gradient = { … },
-- decades_per_layer }; gradient[l] is ‖dL/dz_l‖ over ‖dL/dz_depth‖. sigma_w: a number, or one for each layer (layers of
-- unequal size); input: the mean square of the network's input (1).
function theory.profile(activation, options)
  local o = suggest.check_options("theory.profile", options, { "sigma_w", "sigma_b", "depth", "input" })
  local where, depth, sigmas = "theory.profile", o.depth, o.sigma_w
  if math.type(depth) ~= "integer" or depth < 2 or depth > 100000 then
    fail("%s: depth must be an integer from 2 to 100000, got %s", where, depth)
  end
  if type(sigmas) ~= "table" then
    local each = sigmas
    sigmas = {}
    for l = 1, depth do sigmas[l] = each end
  end
  local b, a = number(where, "sigma_b", o.sigma_b or 0, 0) ^ 2, resolve(where, activation)
  local square, q, slopes = number(where, "input", o.input or 1, 0), {}, {}
  for l = 1, depth do
    q[l] = number(where, ("sigma_w of layer %d"):format(l), sigmas[l], 0) ^ 2 * square + b
    local moments = gaussian.moments(a, q[l])
    square, slopes[l] = moments.square, moments.slope_square
  end
  local gradient = { [depth] = 1.0 }
  for l = depth - 1, 1, -1 do gradient[l] = gradient[l + 1] * sigmas[l + 1] * math.sqrt(slopes[l]) end
  return { q = q, gradient = gradient, decades_per_layer = math.log(gradient[1], 10) / (depth - 1) }
end

return theory
