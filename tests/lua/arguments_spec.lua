-- Every function called with every kind of wrong argument: whatever happens, it happens as a Lua error.
local sonde = require "sonde"
local core = require "sonde.core"
local expect = require "support.expect"
local nn, optim = sonde.nn, sonde.optim

local function values()
  local x = sonde.rand(2, 3, { requires_grad = true })
  return {
    false, true, 0, 1, 2, 3, -1, 2.5, 1e300, 0 / 0, math.huge, math.mininteger, math.maxinteger, "", "float64", "x",
    {}, { 1 }, { 2, 3 }, { -1 }, { { 1 } }, { { 1, 2 }, { {} } }, { dim = 1 }, { dim = {} }, { p = 0 }, tostring,
    sonde.rand(2, 3), sonde.rand(3, 2, { dtype = "float64" }), x, x * 2, (x * 2):t(), sonde.tensor(2),
    sonde.tensor({ 1, 3 }, { dtype = "int64" }), sonde.zeros(0, 3), sonde.zeros(1, 3):expand(2, 3), sonde.ones(2, 1, 3),
    nn.Linear(3, 2), nn.ReLU(), optim.SGD { nn.Parameter(sonde.ones(1)) }, core.random.stream(1, "x"),
  }
end

--- Calls fn with up to three of the values, drawn by the stream. A pcall that returns is all that is asked.
local function call(fn, first, stream)
  local list = values()
  local args, n = {}, 0
  if first ~= nil then args[1], n = first, 1 end
  for _ = 1, stream:integer(0, 3) do
    n = n + 1
    args[n] = list[stream:integer(1, #list)]
  end
  local ok, message = pcall(fn, table.unpack(args, 1, n))
  assert(ok or type(message) == "string" or message == nil)
end

local function storm(functions, receivers, rounds)
  local names = {}
  for name, fn in pairs(functions) do
    if type(fn) == "function" then names[#names + 1] = name end
  end
  table.sort(names)
  local stream = core.random.stream(2024, "storm")
  core.memory_limit(sonde.memory().live_bytes + (256 << 20))
  for _ = 1, rounds do
    for _, name in ipairs(names) do
      local list = receivers and receivers()
      call(functions[name], list and list[stream:integer(1, #list)], stream)
    end
  end
  core.memory_limit(0)
end

describe("wrong arguments", function()
  before_each(function() sonde.manual_seed(1) end)
  after_each(function()
    core.memory_limit(0)
    sonde.set_grad_enabled(true)
  end)

  it("to tensors", function()
    expect.no_leak(core, function()
      storm(core.tensor.Tensor, function()
        local all = values()
        return table.move(all, 27, 36, 1, {})
      end, 30)
    end)
  end)

  it("to constructors and functions", function()
    expect.no_leak(core, function()
      storm(sonde.tensor, nil, 60)
      storm({ gradcheck = sonde.gradcheck, manual_seed = sonde.manual_seed, no_grad = sonde.no_grad }, nil, 100)
      storm(nn.init, function()
        return { sonde.zeros(3, 2), sonde.zeros(0, 2), sonde.zeros(2), sonde.zeros(1, 2, 3) }
      end, 30)
      storm(nn.utils, nil, 60)
    end)
  end)

  it("to modules", function()
    expect.no_leak(core, function()
      storm(nn, nil, 60)
      storm(nn.methods, function()
        local My = nn.Module:extend("My")
        function My:forward(x) return x end
        return { nn.Linear(3, 2), nn.Sequential { nn.Linear(3, 2), nn.Tanh() }, nn.BatchNorm1d(3), My(), nn.MSELoss(),
          nn.CrossEntropyLoss() }
      end, 60)
    end)
  end)

  it("to optimisers and generators", function()
    expect.no_leak(core, function()
      storm(optim, nil, 60)
      storm(optim.methods, function()
        local p = nn.Parameter(sonde.ones(2))
        p.grad = sonde.ones(2)
        return { optim.SGD({ p }, { lr = 0.1, momentum = 0.9 }), optim.Adam { p } }
      end, 60)
      local methods = {}
      for _, name in ipairs { "uniform", "normal", "integer", "permutation", "derive", "seed", "state", "set_state" } do
        methods[name] = function(g, ...) return g[name](g, ...) end
      end
      storm(methods, function() return { core.random.stream(1, "x") } end, 60)
    end)
  end)

  it("to indices and fields", function()
    local stream = core.random.stream(5, "keys")
    expect.no_leak(core, function()
      for _ = 1, 4000 do
        local list = values()
        local object = list[stream:integer(27, #list)]
        local key, value = list[stream:integer(1, #list)], list[stream:integer(1, #list)]
        if key ~= key then key = 1 end
        pcall(function() return object[key] end)
        pcall(function() return object[{ key, value }] end)
        pcall(function() object[key] = value end)
        pcall(function() object[{ {}, key }] = value end)
        pcall(function() return object + value, object:lt(value) end)
        pcall(function() return object(value) end)
        tostring(object)
      end
    end)
  end)
end)
