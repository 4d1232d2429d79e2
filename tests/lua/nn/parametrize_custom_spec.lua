--- One's own parametrisations, what goes wrong with them, and what probes see of parametrised weights.
local sonde = require "sonde"
local core = require "sonde.core"
local expect = require "support.expect"
local nn, optim = sonde.nn, sonde.optim
local parametrizations, parametrize = nn.utils.parametrizations, nn.utils.parametrize
local register = parametrize.register_parametrization

local F64 = { dtype = "float64" }

local function symmetric(w) return w:triu() + w:triu(1):transpose(-1, -2) end

--- w = u vᵀ, its originals by singular value decomposition.
local function low_rank()
  local LowRank = nn.Module:extend "LowRank"
  function LowRank:forward(u, v) return u:matmul(v:t()) end
  function LowRank:right_inverse(w)
    local u, s, vh = sonde.linalg.svd(w, false)
    return u:narrow(2, 1, 1) * s[1], vh:narrow(1, 1, 1):t()
  end
  return LowRank()
end

describe("register_parametrization", function()
  it("takes a function", function()
    local m = nn.Linear(3, 3, F64)
    local wanted = symmetric(m.weight)
    assert.equal(m, register(m, "weight", symmetric))
    assert.is_true(m.weight:equal(wanted) and m.weight:equal(m.weight:t()))
    local x = sonde.randn({ 2, 3 }, F64)
    assert.is_true(sonde.gradcheck(function() return m(x) end, { m.parametrizations.weight.original, m.bias }))
    assert.is_true(expect.under_pressure(function() m(x):sum():backward() end) == nil)
  end)

  it("takes a module with several originals", function()
    local m = nn.Linear(4, 3, F64)
    register(m, "weight", low_rank())
    local s = sonde.linalg.svdvals(m.weight)
    assert.is_true(s[2]:item() < 1e-15)
    expect.shape({ 3, 1 }, m.parametrizations.weight.original0)
    expect.shape({ 4, 1 }, m.parametrizations.weight.original1)
    assert.equal("LowRank", m.parametrizations.weight[1]:class_name())
  end)

  it("puts one after the other", function()
    local m = nn.Linear(3, 3, F64)
    register(m, "weight", symmetric)
    register(m, "weight", function(w) return w * 2 end)
    parametrizations.spectral_norm(m)
    m:eval()
    local original = m.parametrizations.weight.original
    local doubled = symmetric(original) * 2
    local ratio = m.weight / doubled
    assert.is_true((ratio - ratio[1][1]):abs():max():item() < 1e-15)
    m(sonde.randn({ 2, 3 }, F64)):sum():backward()
    assert.truthy(original.grad)
  end)

  it("serves the user's own layers, and trains the parametrisation's own parameters", function()
    local Scaled = nn.Module:extend "Scaled"
    function Scaled:init() self.scale = nn.Parameter(sonde.ones(1)) end
    function Scaled:forward(w) return w * self.scale end
    local Mine = nn.Module:extend "Mine"
    function Mine:init() self.w = nn.Parameter(sonde.randn(3)) end
    function Mine:forward(x) return x * self.w * self.w end
    local m = register(Mine(), "w", Scaled())
    m(sonde.ones(2, 3)):sum():backward()
    assert.truthy(m.parametrizations.w[1].scale.grad)
    assert.truthy(m.parametrizations.w.original.grad)
    assert.equal(2, #m:parameters())
  end)

  it("names what is wrong", function()
    local m = nn.Linear(2, 2)
    expect.error("Linear has no parameter 'wieght'; there are: weight, bias",
      function() register(m, "wieght", symmetric) end)
    expect.error("must return a tensor [2, 2], got []",
      function() register(m, "weight", function(w) return w:sum() end) end)
    expect.error("must return float32, got float64",
      function() register(m, "weight", function(w) return w:to "float64" end) end)
    expect.error("expected Module or function, got number", function() register(m, "weight", 3) end)
    expect.error("expected Module, got nil", function() register() end)
    expect.error("ha", function() register(m, "weight", function() error "ha" end) end)
    assert.is_false(parametrize.is_parametrized(m))
    local Bad = nn.Module:extend "Bad"
    function Bad:forward(w) return w end
    function Bad:right_inverse() return 1 end
    expect.error("right_inverse returned a number as value 1", function() register(m, "weight", Bad()) end)
    expect.error("ReLU has no parameter 'weight'; there are none",
      function() parametrizations.weight_norm(nn.ReLU()) end)
    expect.error("Linear has no parameter 'wieght'", function() parametrizations.orthogonal(m, "wieght") end)
    expect.error("got 'bias' [2]", function() parametrizations.orthogonal(m, "bias") end)
    expect.error("expected one of matrix_exp, cayley, householder",
      function() parametrizations.orthogonal(m, { orthogonal_map = "exp" }) end)
    expect.error("only the householder map", function()
      parametrizations.orthogonal(m, { orthogonal_map = "cayley", use_trivialization = false })
    end)
    expect.error("n_power_iterations", function() parametrizations.spectral_norm(m, { n_power_iterations = 0 }) end)
    expect.error("eps must be above 0, got 0", function() parametrizations.spectral_norm(m, { eps = 0 }) end)
    expect.error("axis 3 of a tensor with 2 axes", function() parametrizations.weight_norm(m, { dim = 3 }) end)
    parametrizations.weight_norm(m)
    expect.error("parametrised already", function() parametrizations.weight_norm(m) end)
    expect.error("parametrised already", function() parametrizations.orthogonal(m) end)
    expect.error("'weight' of Linear is made by a parametrisation",
      function() m.weight = nn.Parameter(sonde.ones(2, 2)) end)
    expect.error("no child can be called 'parametrizations'", function()
      local Mine = nn.Module:extend "Mine"
      function Mine:init() self.w = nn.Parameter(sonde.ones(2, 2)) end
      function Mine:forward(x) return x end
      register(Mine(), "w", symmetric).parametrizations = nn.ReLU()
    end)
  end)

  it("passes on what is not finite: the run decides what to do about it", function()
    local kinds = { { "weight_norm" }, { "spectral_norm" } }
    for _, map in ipairs { "matrix_exp", "cayley", "householder" } do
      kinds[#kinds + 1] = { "orthogonal", { orthogonal_map = map } }
    end
    for _, kind in ipairs(kinds) do
      local m = parametrizations[kind[1]](nn.Linear(3, 3), kind[2])
      for _, p in ipairs(m.parametrizations:parameters()) do p:detach():fill_(0 / 0) end
      local sum = m(sonde.ones(1, 3)):sum():item()
      assert.is_true(sum ~= sum)
    end
  end)

  it("says where a parametrisation fails", function()
    local net, bad = nn.Sequential {}, false
    net:add("h", nn.Linear(2, 2))
    register(net.h, "weight", low_rank())
    register(net.h, "weight", function(w) return bad and w:matmul(sonde.ones(3, 3)) or w end)
    bad = true
    local ok, message = pcall(net, sonde.ones(1, 2))
    assert.is_false(ok)
    assert.truthy(message:find("matmul: shapes [2, 2] and [3, 3] do not fit", 1, true))
    local again = false
    local inside = register(nn.Linear(2, 2), "weight", function(w) return w end)
    inside:register_forward_pre_hook(function(m)
      if again then return end
      again = true
      expect.error("is being called", function() parametrize.remove_parametrizations(m, "weight") end)
      expect.error("is being called", function() parametrizations.spectral_norm(m, "bias") end)
    end)
    inside(sonde.ones(1, 2))
    assert.is_true(again)
  end)

  it("leaves nothing behind", function()
    expect.no_leak(core, function()
      local m = nn.Linear(3, 3)
      register(m, "weight", function(w) return w + 0 * m.bias:sum() end) -- refers to its own module
      m(sonde.ones(1, 3)):sum():backward()
    end)
  end)
end)

describe("probes of parametrised weights", function()
  it("tell of originals and of the weight they make", function()
    local net = nn.Sequential {}
    net:add("a", parametrizations.weight_norm(nn.Linear(3, 4)))
    net:add("t", nn.Tanh())
    net:add("b", parametrizations.orthogonal(nn.Linear(4, 4)))
    net:add("c", nn.Linear(4, 2))
    net:to("float64")
    local probe <close> = sonde.probe.attach(net)
    local x = sonde.randn({ 5, 3 }, F64)
    for _ = 1, 2 do -- two backwards, whose gradients add up
      net(x):square():sum():backward()
    end
    probe:step()
    local row = probe:last()
    local list = net.a.parametrizations.weight
    local original = row.weight_grad["a.parametrizations.weight.original1"]
    assert.equal("a Linear weight.original1 1", ("%s %s %s %d"):format(original.layer, original.module, original.role,
      original.depth))
    assert.is_true(math.abs(original.l2_norm - list.original1.grad:norm():item()) < 1e-12)
    -- the same network with the weights themselves as parameters
    local plain = nn.Sequential { nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 4), nn.Linear(4, 2) }
    plain:to("float64"):load_state_dict {
      ["1.weight"] = net.a.weight, ["1.bias"] = net.a.bias, ["3.weight"] = net.b.weight, ["3.bias"] = net.b.bias,
      ["4.weight"] = net.c.weight, ["4.bias"] = net.c.bias,
    }
    local loss = plain(x):square():sum() * 2
    loss:backward()
    for name, layer in pairs { a = plain[1], b = plain[3] } do
      local cell = row.weight_grad[name .. ".weight"]
      assert.equal("weight.effective", cell.role)
      assert.equal(name, cell.layer)
      assert.is_true(math.abs(cell.l2_norm - layer.weight.grad:norm():item()) < 1e-12)
      local norm = row.weight[name .. ".weight"].l2_norm
      assert.is_true(math.abs(norm - layer.weight:norm():item()) < 1e-12)
    end
    assert.equal(3, row.activation.c.depth)
    assert.is_nil(row.activation["a.parametrizations.weight.1"])
    assert.is_nil(row.activation_grad["a.parametrizations.weight.1"])
  end)

  it("see modules that Lua wrote, several calls, and /weight's update of the originals", function()
    local net = nn.Sequential { register(nn.Linear(3, 3, F64), "weight", symmetric), nn.Linear(3, 1, F64) }
    local probe <close> = sonde.probe.attach(net)
    local opt = optim.SGD(net:parameters(), { lr = 0.1 })
    local x = sonde.randn({ 5, 3 }, F64)
    for _ = 1, 3 do
      opt:zero_grad()
      local y = net[1](net[1](x))
      net[2](y):sum():backward()
      net(x):sum():backward()
      opt:step()
      probe:step()
    end
    local row = probe:last()
    assert.is_true(row.weight_grad["1.weight"].l2_norm > 0)
    assert.is_nil(row.activation["1.parametrizations.weight.1"])
    assert.equal(2, row.activation["2"].depth)
    assert.equal("weight.original", row.weight["1.parametrizations.weight.original"].role)
  end)

  it("change no bit of the training", function()
    local function train(probed)
      sonde.manual_seed(5)
      local net = nn.Sequential { parametrizations.spectral_norm(nn.Linear(4, 4)), nn.Tanh(),
        parametrizations.orthogonal(nn.Linear(4, 4)) }
      local probe = probed and sonde.probe.attach(net)
      local opt = optim.Adam(net:parameters(), { lr = 0.01 })
      for _ = 1, 10 do
        opt:zero_grad()
        net(sonde.randn(8, 4)):square():mean():backward()
        opt:step()
        if probe then probe:step() end
      end
      if probe then probe:remove() end
      return net:state_dict()
    end
    local with, without = train(true), train(false)
    for name, value in pairs(with) do assert.is_true(value:equal(without[name]), name) end
  end)
end)
