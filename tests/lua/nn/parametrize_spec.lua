local sonde = require "sonde"
local core = require "sonde.core"
local expect = require "support.expect"
local linalg, nn, optim = sonde.linalg, sonde.nn, sonde.optim
local parametrizations, parametrize = nn.utils.parametrizations, nn.utils.parametrize

local F64 = { dtype = "float64" }

local function randn(...) return sonde.randn({ ... }, F64) end

local function largest(x) return x:abs():max():item() end

--- How far the last two axes are from orthonormal: columns of a tall matrix, rows of a wide one.
local function deviation(w)
  if w:size(-2) < w:size(-1) then w = w:transpose(-1, -2) end
  return largest(w:transpose(-1, -2):matmul(w) - sonde.eye(w:size(-1), { dtype = w.dtype }))
end

local function names(list)
  table.sort(list)
  return table.concat(list, " ")
end

local function state_names(m)
  local list = {}
  for name in pairs(m:state_dict()) do list[#list + 1] = name end
  return names(list)
end

--- Checks the gradients of input and originals.
local function check(m, x)
  m:to("float64")
  local leaves = { x:requires_grad_() }
  for _, p in ipairs(m.parametrizations:parameters()) do leaves[#leaves + 1] = p end
  assert.is_true(sonde.gradcheck(function() return (m(x)) end, leaves))
end

describe("weight_norm", function()
  it("leaves the weight as it was, made of length and direction", function()
    for _, dim in ipairs { 1, 2, false } do
      local m = nn.Linear(3, 4, F64)
      local before = m.weight:clone()
      assert.equal(m, parametrizations.weight_norm(m, "weight", dim))
      assert.is_true(largest(m.weight - before) < 1e-15)
      expect.shape(dim == 1 and { 4, 1 } or dim == 2 and { 1, 3 } or {}, m.parametrizations.weight.original0)
      m.parametrizations.weight.original1:requires_grad_(false):mul_(7)
      assert.is_true(largest(m.weight - before) < 1e-15)
    end
  end)

  it("has PyTorch's names", function()
    assert.equal("bias parametrizations.weight.original0 parametrizations.weight.original1",
      state_names(parametrizations.weight_norm(nn.Linear(3, 2))))
    assert.equal("parametrizations.1._u parametrizations.1._v parametrizations.original",
      (state_names(parametrizations.spectral_norm(nn.Linear(3, 2, { bias = false }))):gsub("%.weight", "")))
    assert.equal("parametrizations.1.base parametrizations.original",
      (state_names(parametrizations.orthogonal(nn.Linear(3, 2, { bias = false }))):gsub("%.weight", "")))
  end)

  it("passes gradcheck, in convolutions too", function()
    for _, dim in ipairs { 1, 2, false } do
      check(parametrizations.weight_norm(nn.Linear(3, 4), { dim = dim }), randn(2, 3))
      check(parametrizations.weight_norm(nn.Conv2d(2, 3, 2), { dim = dim }), randn(1, 2, 3, 3))
    end
    check(parametrizations.weight_norm(nn.Linear(3, 4), { name = "bias" }), randn(2, 3))
  end)
end)

describe("spectral_norm", function()
  it("brings the largest singular value to 1", function()
    for _, m in ipairs { nn.Linear(5, 4), nn.Conv2d(2, 3, 3), nn.ConvTranspose2d(3, 2, 3) } do
      m:to("float64")
      parametrizations.spectral_norm(m, { n_power_iterations = 100 })
      local w = m.weight
      if m:class_name() == "ConvTranspose2d" then w = w:transpose(1, 2) end
      expect.values(1, linalg.svdvals(w:reshape(w:size(1), -1))[1], 1e-9)
    end
    local m = parametrizations.spectral_norm(nn.Linear(3, 2, F64), "bias")
    expect.values(1, m.bias:norm(), 1e-15)
  end)

  it("iterates in training only", function()
    local m = parametrizations.spectral_norm(nn.Linear(30, 30))
    local norm = m.parametrizations.weight[1]
    local before = norm._u:clone()
    m:eval()
    m(sonde.ones(1, 30))
    assert.is_true(norm._u:equal(before))
    m:train()
    m(sonde.ones(1, 30))
    assert.is_false(norm._u:equal(before))
  end)

  it("may be called again before backward", function()
    local m, x = parametrizations.spectral_norm(nn.Linear(3, 3)), sonde.randn(2, 3)
    m(m(x)):sum():backward()
    assert.truthy(m.parametrizations.weight.original.grad)
  end)

  it("passes gradcheck", function()
    local m = parametrizations.spectral_norm(nn.Linear(3, 4)):eval()
    check(m, randn(2, 3))
  end)
end)

describe("orthogonal", function()
  local maps = { "matrix_exp", "cayley", "householder" }

  it("starts at an orthogonal weight as it is, and else at its nearest frame", function()
    for _, map in ipairs(maps) do
      for _, size in ipairs { { 4, 4 }, { 5, 3 }, { 3, 5 } } do
        local m = nn.Linear(size[2], size[1], F64)
        nn.init.orthogonal_(m.weight)
        local before = m.weight:clone()
        parametrizations.orthogonal(m, { orthogonal_map = map })
        assert.is_true(largest(m.weight - before) < 1e-14, map)
        m = parametrizations.orthogonal(nn.Linear(size[2], size[1], F64), { orthogonal_map = map })
        assert.is_true(deviation(m.weight) < 1e-14, map)
      end
    end
    for _, size in ipairs { { 5, 3 }, { 3, 5 }, { 4, 4 } } do
      local m = nn.Linear(size[2], size[1], F64)
      nn.init.orthogonal_(m.weight)
      local before = m.weight:clone()
      parametrizations.orthogonal(m, { orthogonal_map = "householder", use_trivialization = false })
      assert.equal("parametrizations.weight.original", (state_names(m):gsub("bias ", "")))
      assert.is_true(largest(m.weight - before) < 1e-14)
    end
  end)

  it("stays orthogonal for any original, in batches too", function()
    local Stack = nn.Module:extend "Stack"
    function Stack:init(...) self.weight = nn.Parameter(randn(...)) end
    function Stack:forward(x) return x * self.weight end
    for _, map in ipairs(maps) do
      for _, size in ipairs { { 30, 30 }, { 40, 7 }, { 7, 40 }, { 2, 5, 3 }, { 2, 3, 3 } } do
        local m = parametrizations.orthogonal(Stack(table.unpack(size)), { orthogonal_map = map })
        nn.init.normal_(m.parametrizations.weight.original, { std = 3 })
        assert.is_true(deviation(m.weight) < 1e-12, map)
      end
    end
  end)

  it("passes gradcheck", function()
    for _, map in ipairs(maps) do
      for _, size in ipairs { { 4, 4 }, { 5, 3 }, { 3, 5 } } do
        local m = parametrizations.orthogonal(nn.Linear(size[2], size[1], F64), { orthogonal_map = map })
        nn.init.normal_(m.parametrizations.weight.original)
        check(m, randn(2, size[2]))
      end
    end
  end)

  it("keeps a recurrent weight orthogonal while it is trained", function()
    for _, map in ipairs(maps) do
      local rnn = parametrizations.orthogonal(nn.RNN(3, 16, F64), "weight_hh_l0", map)
      local original = rnn.parametrizations.weight_hh_l0.original
      local opt, before = optim.Adam(rnn:parameters(), { lr = 0.01, weight_decay = 0.1 }), rnn.weight_hh_l0:clone()
      for _ = 1, 30 do
        opt:zero_grad()
        local error = rnn(randn(20, 4, 3)) - 0.5
        error:square():mean():backward()
        assert.truthy(original.grad)
        opt:step()
        assert.is_true(deviation(rnn.weight_hh_l0) < 1e-12, map)
      end
      assert.is_true(largest(rnn.weight_hh_l0 - before) > 0.01, map)
    end
  end)
end)

describe("a parametrised weight", function()
  it("works in fused recurrent layers as the weight itself", function()
    for _, kind in ipairs { "RNN", "LSTM", "GRU" } do
      local m = nn[kind](2, 3, { num_layers = 2, bidirectional = true, dtype = "float64" })
      parametrizations.weight_norm(m, "weight_hh_l1_reverse")
      parametrizations.spectral_norm(m, "weight_ih_l0")
      parametrizations.orthogonal(m, "weight_hh_l0")
      m:eval()
      local x = randn(4, 2, 2)
      local plain = nn[kind](2, 3, { num_layers = 2, bidirectional = true, dtype = "float64" })
      local state = {}
      for name in pairs(plain:state_dict()) do state[name] = m[name]:detach() end
      plain:load_state_dict(state)
      assert.is_true(m(x):equal(plain(x)), kind)
      check(m, x)
    end
  end)

  it("gives the originals the gradient that the chain rule says", function()
    local m, x = parametrizations.weight_norm(nn.Linear(4, 3, F64)), randn(5, 4)
    local list = m.parametrizations.weight
    m(x):square():sum():backward()
    local g = list.original0:detach():clone():requires_grad_()
    local v = list.original1:detach():clone():requires_grad_()
    local y = x:matmul((v * (g / v:norm(2, true))):t()) + m.bias:detach()
    y:square():sum():backward()
    assert.is_true(largest(list.original0.grad - g.grad) < 1e-14)
    assert.is_true(largest(list.original1.grad - v.grad) < 1e-14)
  end)

  it("keeps the parameter that an optimiser knows, where there is one original", function()
    local m = nn.Linear(3, 3)
    local opt, weight = optim.SGD(m:parameters(), { lr = 0.1 }), m.weight
    parametrizations.orthogonal(m)
    assert.equal(weight, m.parametrizations.weight.original)
    local before = m.weight:clone()
    m(sonde.randn(2, 3)):square():sum():backward()
    opt:step()
    assert.is_false(m.weight:equal(before))
    parametrize.remove_parametrizations(m, "weight")
    assert.equal(weight, m.weight)
  end)

  it("is removed with its value, or with its original", function()
    local m = parametrizations.spectral_norm(nn.Linear(3, 3)):eval()
    local value = m.weight:clone()
    assert.is_true(parametrize.is_parametrized(m, "weight"))
    assert.is_false(parametrize.is_parametrized(m, "bias"))
    parametrize.remove_parametrizations(m, "weight")
    assert.is_false(parametrize.is_parametrized(m))
    assert.is_true(m.weight:equal(value))
    assert.equal("bias weight", state_names(m))
    assert.equal("Linear(in_features=3, out_features=3, bias=true)", tostring(m))
    assert.is_nil(m.parametrizations)
    m = parametrizations.spectral_norm(nn.Linear(3, 3))
    local original = m.parametrizations.weight.original:clone()
    parametrize.remove_parametrizations(m, "weight", { leave_parametrized = false })
    assert.is_true(m.weight:equal(original))
    m = parametrizations.weight_norm(nn.Linear(3, 3))
    value = m.weight:clone()
    expect.error("made of 2 originals", function() parametrize.remove_parametrizations(m, "weight", false) end)
    parametrize.remove_parametrizations(m, "weight")
    assert.is_true(m.weight:equal(value) and m.weight.requires_grad)
    expect.error("Linear has no parametrised 'weight'", function() parametrize.remove_parametrizations(m, "weight") end)
  end)

  it("is shown as PyTorch shows it, and found by its path", function()
    local net = nn.Sequential {}
    net:add("h", parametrizations.weight_norm(nn.Linear(3, 2)))
    assert.equal([[
Sequential(
  (h): Linear(
    in_features=3, out_features=2, bias=true
    (parametrizations): ModuleDict(
      (weight): ParametrizationList(
        (1): WeightNorm(dim=1)
      )
    )
  )
)]], tostring(net))
    local paths = {}
    for path in net:named_modules() do paths[#paths + 1] = path end
    assert.equal("h.parametrizations.weight.1", paths[#paths])
    local other = nn.Sequential {}
    other:add("h", parametrizations.weight_norm(nn.Linear(3, 2)))
    other:load_state_dict(net:state_dict())
    assert.is_true(other.h.weight:equal(net.h.weight))
  end)

  it("leaves nothing behind, in memory neither", function()
    expect.no_leak(core, function()
      local m = parametrizations.orthogonal(parametrizations.weight_norm(nn.Linear(8, 8), "bias"))
      local x, at = sonde.randn(4, 8), nil
      for i = 1, 300 do
        m(x):sum():backward()
        if i % 100 == 0 then collectgarbage() end
        if i == 100 then at = sonde.memory().live_bytes end
      end
      assert.equal(at, sonde.memory().live_bytes)
    end)
  end)

  it("leaves nothing behind when memory ends", function()
    expect.no_leak(core, function()
      for n = 1, 60 do
        for _, kind in ipairs { "weight_norm", "spectral_norm", "orthogonal" } do
          local m, x = nn.Linear(3, 3), sonde.randn(2, 3)
          local before = m.weight:clone()
          core.memory_fail_at(n)
          local ok = pcall(parametrizations[kind], m)
          core.memory_fail_at(-1)
          if not ok then assert.is_true(m.weight:equal(before), kind) end
          core.memory_fail_at(n)
          pcall(function() m(x):sum():backward() end)
          core.memory_fail_at(-1)
          m(x):sum():backward()
        end
      end
    end)
  end)
end)

describe("parametrisations misused", function()
  --- Wherever the error is raised: here or in a parametrisation of the test's.
  local function refused(text, fn, ...)
    local ok, message = pcall(fn, ...)
    assert.is_false(ok)
    assert.truthy(tostring(message):find(text, 1, true), tostring(message))
  end

  local function doubled(w) return w * 2 end

  local function changing(change)
    local m, on = nn.Linear(3, 3), false
    parametrize.register_parametrization(m, "weight", function(w)
      if on then
        on = false
        change(m)
      end
      return w * 2
    end)
    return m, function() on = true end
  end

  it("are not registered or removed while one makes its value", function()
    local m, arm = changing(function(m) parametrize.remove_parametrizations(m, "weight", false) end)
    arm()
    refused("cannot be removed now", m, sonde.randn(2, 3))
    arm()
    refused("cannot be removed now", function() return m.weight end)
    arm()
    refused("cannot be removed now", parametrize.remove_parametrizations, m, "weight")
    expect.shape({ 2, 3 }, (m(sonde.randn(2, 3))))
    parametrize.remove_parametrizations(m, "weight")
    assert.is_false(parametrize.is_parametrized(m))
    m, arm = changing(function(module) parametrize.register_parametrization(module, "bias", doubled) end)
    arm()
    refused("cannot be parametrised now", m, sonde.randn(2, 3))
    assert.is_false(parametrize.is_parametrized(m, "bias"))
  end)

  it("are refused where the module changed while one was tried", function()
    local m = nn.Linear(3, 3)
    local first = true
    refused("was changed while its parametrisation was tried", parametrize.register_parametrization, m, "weight",
      function(w)
        if first then
          first = false
          parametrize.register_parametrization(m, "weight", doubled)
        end
        return w * 2
      end)
    expect.shape({ 2, 3 }, (m(sonde.randn(2, 3))))
  end)

  it("name a missing original", function()
    local m = parametrize.register_parametrization(nn.Linear(3, 3), "weight", function() return sonde.ones(3, 3) end)
    m.parametrizations.weight.original = nil
    refused("the original is missing", m, sonde.randn(2, 3))
    refused("the original is missing", parametrize.remove_parametrizations, m, "weight", true)
    refused("the original is missing", parametrize.remove_parametrizations, m, "weight", false)
  end)

  it("take no modules assigned in their place", function()
    local m = parametrize.register_parametrization(nn.Linear(3, 3), "weight", doubled)
    local other = parametrize.register_parametrization(nn.Linear(3, 3), "bias", doubled)
    for _, child in ipairs { nn.Identity(), other.parametrizations.bias } do
      refused("register_parametrization puts it there", function() m.parametrizations.foo = child end)
      refused("register_parametrization puts it there", function() m.parametrizations.weight = child end)
    end
    expect.shape({ 2, 3 }, (m(sonde.randn(2, 3))))
  end)

  it("name missing buffers and originals that do not fit", function()
    local x = sonde.randn(2, 3)
    for _, name in ipairs { "_u", "_v" } do
      local m = parametrizations.spectral_norm(nn.Linear(3, 3))
      m.parametrizations.weight[1][name] = nil
      refused(name .. " is missing", m, x)
      refused(name .. " is missing", m:eval(), x)
    end
    local m = parametrizations.spectral_norm(nn.Linear(3, 3), "bias")
    m.parametrizations.bias.original = nn.Parameter(sonde.randn(3, 3))
    refused("another number of axes", m, x)
    m = parametrizations.orthogonal(nn.Linear(3, 3))
    m.parametrizations.weight[1].base = nil
    refused("base is missing", m, x)
    m = parametrizations.orthogonal(nn.Linear(3, 3))
    m.parametrizations.weight.original = nn.Parameter(sonde.randn(3))
    refused("at least 2 axes, got 1", m, x)
  end)

  it("follow another after the module has changed its dtype", function()
    local m = parametrizations.weight_norm(nn.Linear(3, 3)):to("float64")
    local before = m.weight:detach()
    parametrize.register_parametrization(m, "weight", doubled)
    assert.is_true(m.weight:detach():equal(before * 2))
    parametrizations.spectral_norm(m)
    assert.equal("float64", m.weight.dtype)
    assert.equal("float64", m.parametrizations.weight[3]._u.dtype)
  end)

  it("keep their mode when they fail", function()
    local Broken = nn.Module:extend "Broken"
    function Broken:forward() error "boom" end
    local broken = Broken()
    refused("boom", parametrize.register_parametrization, nn.Linear(3, 3), "weight", broken)
    assert.is_true(broken.training)
  end)

  it("make parameters with the names of methods", function()
    local Layer = nn.Module:extend "Layer"
    function Layer:init() self.apply = nn.Parameter(sonde.randn(3)) end
    function Layer:forward(x) return x end
    local m = parametrize.register_parametrization(Layer(), "apply", doubled)
    assert.is_true(parametrize.is_parametrized(m, "apply"))
  end)

  it("may be removed while a probe is attached", function()
    local m = parametrize.register_parametrization(nn.Linear(4, 4), "bias", doubled)
    local net = nn.Sequential { m }
    local optimizer, probe = optim.SGD(net:parameters(), { lr = 0.1 }), sonde.probe.attach(net)
    parametrize.remove_parametrizations(m, "bias")
    m.bias = nil
    for _ = 1, 2 do
      optimizer:zero_grad()
      net(sonde.randn(8, 4)):sum():backward()
      optimizer:step()
      probe:step()
    end
  end)
end)
