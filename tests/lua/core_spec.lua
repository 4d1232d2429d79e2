local sonde = require "sonde"
local core = require "sonde.core"
local expect = require "support.expect"

local function count(t)
  local n = 0
  for _ in pairs(t) do n = n + 1 end
  return n
end

describe("require \"sonde\"", function()
  it("sets no globals and gives each part by its own name too", function()
    local before = count(_G)
    for _, name in ipairs { "tensor", "nn", "optim" } do
      assert.equal(sonde[name], require("sonde." .. name))
    end
    assert.equal(before, count(_G))
    assert.has_error(function() return sonde.nothing end)
    assert.equal("string", type(sonde.version))
  end)

  it("may be loaded again in the same state", function()
    local x = sonde.ones(2)
    local loaded = {}
    for name, module in pairs(package.loaded) do
      if name:match("^sonde") then loaded[name] = module end
    end
    for name in pairs(loaded) do package.loaded[name] = nil end
    local again = require "sonde"
    assert.not_equal(sonde, again)
    expect.values({ 3, 3 }, again.ones(2) + x * 2)
    assert.equal(1, #again.optim.SGD({ again.nn.Parameter(x) }).param_groups)
    for name in pairs(package.loaded) do
      if name:match("^sonde") then package.loaded[name] = loaded[name] end
    end
  end)
end)

describe("the core", function()
  it("guards its metatables", function()
    assert.equal("Tensor", getmetatable(sonde.ones(1)))
    assert.is_false(pcall(setmetatable, sonde.ones(1), {}))
  end)

  it("counts what is alive", function()
    for _ = 1, 3 do collectgarbage() end
    local before = core.live().tensors
    local t = sonde.ones(2)
    assert.equal(before + 1, core.live().tensors)
    assert.is_true(core.memory().live_bytes > 0)
    assert.is_true(t:numel() == 2)
  end)

  it("finds the nearest word", function()
    assert.equal("momentum", core.nearest("momentun", { "lr", "momentum" }))
    assert.equal("lr", core.nearest("l", { "lr", "momentum" }))
    assert.is_nil(core.nearest("colour", { "lr", "momentum" }))
    assert.is_nil(core.nearest(("x"):rep(100), { "lr" }))
  end)

  it("raises at the caller's line, through coroutines and metamethods", function()
    expect.error("mine", function() core.raise("mine") end)
    local co = coroutine.wrap(function() return sonde.ones(2) + sonde.ones(3) end)
    local _, message = pcall(co)
    assert.truthy(message:find("core_spec.lua:%d+: shapes"))
    assert.truthy(select(2, pcall(sonde.ones, -1)):find("at least 0, got -1", 1, true))
  end)

  it("gives long messages whole", function()
    local name = ("n"):rep(2000)
    local message = expect.error("unknown option", function() sonde.nn.Linear(1, 1, { [name] = 1 }) end)
    assert.truthy(message:find(name, 1, true))
  end)

  it("takes and gives threads", function()
    local n = core.threads()
    assert.equal(n, core.threads(n))
    expect.error("expected 1 to 1024, got 0", function() core.threads(0) end)
  end)
end)
