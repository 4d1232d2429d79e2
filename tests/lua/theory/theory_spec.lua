local sonde = require "sonde"
local expect = require "support.expect"
local nn, theory = sonde.nn, sonde.theory

local NAMES = {
  "celu", "elu", "gelu", "hardsigmoid", "hardswish", "hardtanh", "leaky_relu", "linear", "logsigmoid", "mish", "relu",
  "relu6", "selu", "sigmoid", "silu", "sin", "softplus", "softsign", "tanh", "tanhshrink",
}

describe("sonde.theory's maps", function()
  --- Mean of φ(√q z)², φ'(√q z)² over many draws.
  local function sampled(fn, q)
    local z = (sonde.randn(400000, { dtype = "float64" }) * math.sqrt(q)):requires_grad_()
    local y = fn(z)
    y:sum():backward()
    return (y:detach() ^ 2):mean():item(), (z.grad ^ 2):mean():item()
  end

  it("are the means of draws, for every activation", function()
    sonde.manual_seed(1)
    for _, name in ipairs(NAMES) do
      local fn = name == "linear" and function(x) return x * 1 end or function(x) return x[name](x) end
      for _, q in ipairs { 0.3, 4 } do
        local square, slope = sampled(fn, q)
        expect.values(1, theory.q_map(name, q, { sigma_w = 1 }) / square, 0.02)
        expect.values(1, theory.chi1(name, { sigma_w = 1, q = q }) / slope, 0.02)
      end
    end
  end)

  it("are known in closed form for some", function()
    for _, q in ipairs { 1e-6, 0.01, 1, 30, 1e6 } do
      expect.values(1, theory.q_map("relu", q, { sigma_w = 2, sigma_b = 0 }) / (2 * q), 1e-12)
      expect.values(2, theory.chi1("relu", { sigma_w = 2, q = q }), 1e-12)
      expect.values(1, theory.q_map("linear", q, { sigma_w = 1 }) / q, 1e-12)
    end
    for _, q in ipairs { 0.01, 1, 30 } do
      expect.values((1 - math.exp(-2 * q)) / 2 + 0.25, theory.q_map("sin", q, { sigma_w = 1, sigma_b = 0.5 }), 1e-11)
      expect.values((1 + math.exp(-2 * q)) / 2, theory.chi1("sin", { sigma_w = 1, q = q }), 1e-11)
    end
    expect.values(0.5, theory.q_map(function(x) return (x * 30):sin() end, 1, { sigma_w = 1 }), 1e-9)
    expect.values(1, theory.q_map("selu", 1, { sigma_w = 1 }), 1e-9)
  end)

  it("correlate ReLU units as the arc-cosine kernel (Cho & Saul 2009)", function()
    for _, c in ipairs { -0.99, -0.7, 0, 0.3, 0.9, 0.99, 1 } do
      local angle = math.acos(c)
      local value, slope = theory.c_map("relu", c, { sigma_w = math.sqrt(2) })
      expect.values((math.sin(angle) + (math.pi - angle) * c) / math.pi, value, 1e-6)
      expect.values((math.pi - angle) / math.pi, slope, (math.abs(c) > 0.95 and c < 1) and 1e-3 or 1e-5)
    end
    local value, slope = theory.c_map("sin", 0.4, { sigma_w = 1, q = 0.8 })
    local function sinh(x) return (math.exp(x) - math.exp(-x)) / 2 end
    expect.values(sinh(0.8 * 0.4) / sinh(0.8), value, 1e-12)
    expect.values(0.8 * math.sqrt(1 + sinh(0.8 * 0.4) ^ 2) / sinh(0.8), slope, 1e-11)
  end)

  it("take modules and functions, of tensors or of numbers", function()
    local wanted = theory.chi1("leaky_relu", { sigma_w = 1.3, q = 0.7 })
    for _, activation in ipairs {
      nn.LeakyReLU(), nn.PReLU(1, 0.01):to("float64"), function(x) return x > 0 and x or 0.01 * x end,
      function(x) return x:maximum(0.01 * x) end, nn.LeakyReLU(0.01, { inplace = true }),
    } do
      expect.values(wanted, theory.chi1(activation, { sigma_w = 1.3, q = 0.7 }), 1e-9)
    end
    local rrelu = nn.RReLU(0.1, 0.3)
    expect.values((1 + 0.2 ^ 2) / 2, theory.chi1(rrelu, { sigma_w = 1, q = 1 }), 1e-12)
    assert.is_true(rrelu.training)
    expect.values(theory.critical("tanh", { sigma_b = 0.3 }).sigma_w / 2,
      theory.critical(function(x) return 2 * x:tanh() end, { sigma_b = 0.3 }).sigma_w, 1e-9)
    expect.values(math.sqrt(2), theory.critical(function(x) return math.max(0, x) end).sigma_w, 1e-6)
    sonde.no_grad(function() expect.values(wanted, theory.chi1("leaky_relu", { sigma_w = 1.3, q = 0.7 }), 1e-12) end)
  end)
end)

describe("sonde.theory's fixed points", function()
  it("are where iterating the maps ends", function()
    for _, case in ipairs {
      { "tanh", 1.3, 0.2 }, { "sigmoid", 2, 0.5 }, { "elu", 0.9, 0.1 }, { "gelu", 1.2, 0.5 }, { "sin", 1.4, 0.3 },
      { "hardtanh", 2.5, 0.1 }, { "softsign", 3, 0.2 },
    } do
      local name, o = case[1], { sigma_w = case[2], sigma_b = case[3] }
      local q, m = 1, theory.mean_field(name, o)
      for _ = 1, 200 do q = theory.q_map(name, q, o) end
      expect.values(q, m.q, 1e-9)
      expect.values(theory.chi1(name, o), m.chi1, 1e-12)
      expect.values(m.c, (theory.c_map(name, m.c, o)), 1e-9)
      expect.values(m.chi_c, (select(2, theory.c_map(name, m.c, o))), 1e-9)
      assert.equal(m.chi1 < 1 and "ordered" or "chaotic", m.phase)
      assert.equal(m.phase == "ordered", m.c == 1)
    end
  end)

  it("may be 0, infinite, or any", function()
    assert.equal(0, theory.mean_field("relu", { sigma_w = 1 }).q)
    assert.equal(math.huge, theory.mean_field("relu", { sigma_w = 2 }).q)
    assert.equal(2, theory.mean_field("relu", { sigma_w = math.sqrt(2), q0 = 2 }).q)
    expect.values(2, theory.mean_field("relu", { sigma_w = 2 }).chi1, 1e-12)
    expect.values(0 / 0, theory.mean_field("relu", { sigma_w = 2 }).xi_c)
    local none = theory.mean_field("tanh", { sigma_w = 0 })
    assert.same({ 0, 0, 0 }, { none.q, none.chi1, none.xi_grad })
  end)

  it("tell two stable lengths apart by where one starts", function()
    local function step(x) return 3 * (4 * (x - 1)):sigmoid() * x end
    local low, high = theory.mean_field(step, { sigma_w = 0.7, q0 = 1e-3 }), theory.mean_field(step, { sigma_w = 0.7 })
    assert.is_true(low.q < 1e-6 and high.q > 1)
  end)
end)

describe("the edge of chaos", function()
  it("has chi1 = 1 at a stable fixed point", function()
    for _, name in ipairs { "tanh", "elu", "selu", "gelu", "silu", "mish", "sigmoid", "softsign", "sin" } do
      local points = theory.edge_of_chaos(name, { q = { 0.01, 0.5, 3, 100 } })
      assert.is_true(#points > 0, name)
      for _, p in ipairs(points) do
        expect.values(1, theory.chi1(name, { sigma_w = p.sigma_w, q = p.q }), 1e-12)
        expect.values(1, theory.q_map(name, p.q, { sigma_w = p.sigma_w, sigma_b = p.sigma_b }) / p.q, 1e-9)
      end
    end
    assert.is_true(#theory.edge_of_chaos("tanh") > 40)
  end)

  it("is found for a given sigma_b", function()
    for _, case in ipairs { { "tanh", 0.1 }, { "elu", 0.3 }, { "gelu", 0.5 }, { "silu", 1 }, { "sigmoid", 0 } } do
      local p = theory.critical(case[1], { sigma_b = case[2] })
      assert.equal(case[2], p.sigma_b)
      local m = theory.mean_field(case[1], { sigma_w = p.sigma_w, sigma_b = p.sigma_b, q0 = p.q * 1.01 })
      expect.values(1, m.q / p.q, 1e-6)
      expect.values(1, m.chi1, 1e-6)
    end
    expect.values(1, theory.critical("tanh").sigma_w, 1e-9)
    expect.values(1 / math.sqrt((1 + 0.2 ^ 2) / 2), theory.critical(nn.LeakyReLU(0.2)).sigma_w, 1e-9)
  end)

  it("may not be there", function()
    expect.error("relu has no stable critical point with sigma_b = 0.5; its sigma_b goes from 0 to 0",
      function() theory.critical("relu", { sigma_b = 0.5 }) end)
    expect.error("gelu has no stable critical point with sigma_b = 0; its sigma_b goes from 0.43",
      function() theory.critical("gelu") end)
    expect.error("softplus has no stable critical point with sigma_b = 0; there is none at all",
      function() theory.critical("softplus") end)
    assert.same({}, theory.edge_of_chaos("softplus"))
    expect.error("Threshold has no stable", function() theory.critical(nn.Threshold(1e9, 0)) end)
  end)
end)

describe("theory.profile", function()
  it("ends in the fixed point's decades per layer", function()
    local o = { sigma_w = 1.2, sigma_b = 0.2 }
    local p = theory.profile("tanh", { sigma_w = 1.2, sigma_b = 0.2, depth = 60, input = 0.5 })
    local m = theory.mean_field("tanh", o)
    assert.equal(60, #p.q)
    assert.equal(1, p.gradient[60])
    expect.values(0.5 * 1.44 + 0.04, p.q[1], 1e-12)
    expect.values(m.q, p.q[60], 1e-9)
    expect.values(m.decades_per_layer, math.log(p.gradient[50] / p.gradient[51], 10), 1e-9)
    expect.values(m.decades_per_layer, p.decades_per_layer, 0.01)
  end)

  it("takes a sigma_w for each layer", function()
    local p = theory.profile("linear", { sigma_w = { 2, 3, 0.5 }, depth = 3 })
    expect.values({ 4, 36, 9 }, p.q, 1e-9)
    expect.values({ 1.5, 0.5, 1 }, p.gradient, 1e-12)
  end)
end)

describe("sonde.theory", function()
  it("checks its arguments", function()
    local o = { sigma_w = 1 }
    expect.error("unknown activation 'tahn' (did you mean 'tanh'?)", function() theory.chi1("tahn", o) end)
    expect.error("an activation is a name, a module or a function, got nil", function() theory.mean_field(nil, o) end)
    expect.error("Softmax is no element-wise activation: an output depends on more than its own input",
      function() theory.chi1(nn.Softmax(1), o) end)
    expect.error("Linear is no element-wise activation", function() theory.chi1(nn.Linear(3, 3), o) end)
    expect.error("it returned a nil", function() theory.chi1(function() end, o) end)
    expect.error("it changed the shape", function() theory.chi1(function(x) return x:sum() end, o) end)
    expect.error("the function has no value for some numbers", function()
      theory.chi1(function(x) return x:sqrt() end, o)
    end)
    expect.error("sigma_w must be a finite number of at least 0, got nil", function() theory.chi1("tanh") end)
    expect.error("sigma_w must be a finite number of at least 0, got -1",
      function() theory.q_map("tanh", 1, { sigma_w = -1 }) end)
    expect.error("sigma_b must be", function() theory.critical("tanh", { sigma_b = 0 / 0 }) end)
    expect.error("q must be", function() theory.q_map("tanh", -1, o) end)
    expect.error("q0 must be", function() theory.mean_field("tanh", { sigma_w = 1, q0 = 0 }) end)
    expect.error("c must be at most 1, got 2", function() theory.c_map("tanh", 2, o) end)
    expect.error("unknown option 'sigma'", function() theory.mean_field("tanh", { sigma = 1 }) end)
    expect.error("depth must be an integer from 2 to 100000, got 1", function()
      theory.profile("tanh", { sigma_w = 1, depth = 1 })
    end)
    expect.error("sigma_w of layer 2 must be", function() theory.profile("tanh", { sigma_w = { 1 }, depth = 3 }) end)
    expect.error("q must be a list of numbers, got number", function() theory.edge_of_chaos("tanh", { q = 1 }) end)
  end)

  it("moves no random stream and passes a function's own error on", function()
    sonde.manual_seed(3)
    local wanted = sonde.rand(3)
    sonde.manual_seed(3)
    theory.mean_field(nn.RReLU(), { sigma_w = 1 })
    theory.critical("tanh")
    assert.is_true(wanted:equal(sonde.rand(3)))
    local _, message = pcall(theory.chi1, function() error("my own") end, { sigma_w = 1 })
    assert.truthy(message:find("my own", 1, true))
  end)
end)
