--- Mean-field theory against published numbers and against networks: checks P05, P06, and the theory halves of P08 and
--- P16. Sources: Poole et al. 2016; Schoenholz et al. 2017; Klambauer et al. 2017.
local sonde = require "sonde"
local science = require "support.science"
local nn, theory = sonde.nn, sonde.theory
local within = science.within

local DOUBLE = { dtype = "float64" }

local function near(what, value, expected, relative)
  if expected == math.huge then return assert.equal(expected, value) end
  local margin = relative * math.abs(expected)
  within(what, value, expected - margin, expected + margin)
end

local function options(sw2, sb2) return { sigma_w = math.sqrt(sw2), sigma_b = math.sqrt(sb2) } end

describe("P05 mean-field numbers", function()
  --- activation, sigma_w², sigma_b², q*, chi1, xi_c, c*, xi_q
  local TABLE = {
    { "tanh", 1.0, 0.05, 0.193593, 0.759032, 3.627, 1, 1.748 },
    { "tanh", 1.5, 0.05, 0.418037, 0.938636, 15.79, 1, 1.683 },
    { "tanh", 2.0, 0.05, 0.721762, 1.047666, 25.21, 0.74408, 1.388 },
    { "tanh", 2.5, 0.05, 1.063958, 1.133516, 11.80, 0.44680, 1.180 },
    { "tanh", 4.0, 0.05, 2.195494, 1.342402, 6.980, 0.16506, 0.873 },
    { "tanh", 3.0, 0.10, 1.507632, 1.182116, 8.985, 0.47754, 0.983 },
    { "tanh", 1.5, 0, 0.286894, 1.040568, 52.36, 0, 2.754 },
    { "tanh", 0.5, 0, 0, 0.5, 1.4427, nil, 1.443 },
    { "sigmoid", 1, 0, 0.264687, 0.0557207, 0.3463, 1, 0.333 },
    { "relu", 1, 0, nil, 0.5, 1.4427 },
    { "relu", 2, 0, nil, 1, math.huge },
  }
  for _, row in ipairs(TABLE) do
    local name, sw2, sb2, q, chi1, xi_c, c, xi_q = table.unpack(row, 1, 8)
    it(("%s, sigma_w² = %g, sigma_b² = %g"):format(name, sw2, sb2), function()
      local m = theory.mean_field(name, options(sw2, sb2))
      near("chi1", m.chi1, chi1, 1e-4)
      near("xi_c", m.xi_c, xi_c, 0.01)
      near("trainable depth", m.trainable_depth, 6 * xi_c, 0.01)
      near("gradient scale", m.xi_grad, chi1 == 1 and math.huge or 1 / math.abs(math.log(chi1)), 0.01)
      if q then near("q*", m.q, q, 1e-4) end
      if c then within("c*", m.c, c - 1e-4, c + 1e-4) end
      if xi_q then within("xi_q", m.xi_q, xi_q * 0.99, xi_q * 1.01) end
    end)
  end

  it("critical weights", function()
    local biased = theory.critical("tanh", { sigma_b = math.sqrt(0.05) })
    within("tanh, sigma_b² = 0.05", biased.sigma_w ^ 2, 1.75995, 1.76195)
    within("tanh", theory.critical("tanh").sigma_w ^ 2, 0.999, 1.001)
    within("relu", theory.critical("relu").sigma_w ^ 2, 1.999, 2.001)
  end)
end)

describe("P06 chi1 is what random networks do to random gradients", function()
  local WIDTH, DEPTH = 500, 30

  --- (|delta_11|²/|delta_29|²)^(1/18), the mean of five nets with one random input and one random output gradient.
  local function measured(activation, sw2, sb2)
    local chi = science.seeds(5, function()
      local h, taps = sonde.randn(1, WIDTH, DOUBLE), {}
      for l = 1, DEPTH do
        local w = sonde.randn(WIDTH, WIDTH, DOUBLE) * math.sqrt(sw2 / WIDTH)
        local z = h:matmul(w) + sonde.randn(WIDTH, DOUBLE) * math.sqrt(sb2)
        if l == 1 then z:requires_grad_() end
        z:register_hook(function(g) taps[l] = (g * g):sum():item() end)
        h = z[activation](z)
      end
      h:backward(sonde.randn(1, WIDTH, DOUBLE))
      return (taps[11] / taps[29]) ^ (1 / 18)
    end)
    local sum = 0
    for _, value in ipairs(chi) do sum = sum + value end
    return sum / #chi
  end

  for _, case in ipairs {
    { "tanh", 1, 0.05 }, { "tanh", 2.5, 0.05 }, { "tanh", 4, 0.05 }, { "tanh", 0.5, 0 }, { "sigmoid", 1, 0 },
    { "relu", 1, 0 }, { "relu", 2, 0 },
  } do
    it(("%s, sigma_w² = %g, sigma_b² = %g"):format(table.unpack(case)), function()
      local wanted = theory.chi1(case[1], options(case[2], case[3]))
      near("chi", measured(table.unpack(case)), wanted, 0.06)
    end)
  end
end)

describe("P08 SELU's fixed point", function()
  --- E[f(z)] by the midpoint rule, whose error here is below 1e-9.
  local function expectation(f)
    local n, sum = 200000, 0
    for i = 1, n do
      local z = 24 * (i - 0.5) / n - 12
      sum = sum + f(z) * math.exp(-z * z / 2)
    end
    return sum * 24 / n / math.sqrt(2 * math.pi)
  end
  local function selu(z)
    return 1.0507009873554805 * (z > 0 and z or 1.6732632423543772 * (math.exp(z) - 1))
  end

  it("has mean 0 and variance 1, which the map of second moments draws others to", function()
    within("E[selu]", expectation(selu), -1e-6, 1e-6)
    within("E[selu²]", theory.q_map("selu", 1, { sigma_w = 1 }), 1 - 1e-9, 1 + 1e-9)
    local m = theory.mean_field("selu", { sigma_w = 1, q0 = 1.3 })
    within("q*", m.q, 1 - 1e-6, 1 + 1e-6)
    near("slope of the second-moment map", math.exp(-1 / m.xi_q), 0.78265, 1e-5)
  end)

  it("is our layer's own", function()
    local z = sonde.linspace(-3, 3, 41, DOUBLE)
    local y, x = nn.SELU()(z):totable(), z:totable()
    for i = 1, 41 do within("selu", y[i] - selu(x[i]), -1e-12, 1e-12) end
  end)
end)

describe("P16 chi1 by sigma_w", function()
  it("of sigmoid stays below 1 far beyond 8, that of tanh does not", function()
    for sigma_w, chi1 in pairs { [1] = 0.05572, [2] = 0.17158, [8] = 0.79482 } do
      near("sigmoid", theory.chi1("sigmoid", { sigma_w = sigma_w }), chi1, 1e-3)
    end
    for sigma_w, chi1 in pairs { [2] = 1.36267, [4] = 2.37680, [8] = 4.48463 } do
      near("tanh", theory.chi1("tanh", { sigma_w = sigma_w }), chi1, 1e-3)
    end
  end)
end)

describe("decades per layer", function()
  it("of a deep network are those of the theory", function()
    for _, case in ipairs {
      { nn.Tanh, "tanh", 1.3, 0.2 }, { nn.GELU, "gelu", 1.7, 0.3 }, { nn.Softsign, "softsign", 2, 0.2 },
    } do
      local class, name, sigma_w, sigma_b = table.unpack(case)
      local depth, slopes = 24, {}
      for i, run in ipairs(science.seeds(3, function(seed)
        local net = science.mlp {
          depth = depth, width = 200, activation = class,
          init = function(w) nn.init.normal_(w, 0, sigma_w / math.sqrt(w:size(2))) end,
        }
        for l = 1, depth do nn.init.normal_(net["h" .. l].bias, 0, sigma_b) end
        return science.measure(net, depth, science.batch(seed, 64))
      end)) do
        slopes[i] = math.log(run.delta[6] / run.delta[depth], 10) / (depth - 6)
      end
      local mean = (slopes[1] + slopes[2] + slopes[3]) / 3
      local wanted = theory.mean_field(name, { sigma_w = sigma_w, sigma_b = sigma_b }).decades_per_layer
      within(name, mean - wanted, -0.015, 0.015)
    end
  end)
end)
