local sonde = require "sonde"
local core = require "sonde.core"

--- The text of lua/sonde/meta/NAME.lua.
local function stub(name)
  local folder = package.searchpath("sonde", package.path):match("^(.*)init%.lua$")
  local file <close> = assert(io.open(folder .. "meta/" .. name .. ".lua"))
  return file:read("a")
end

--- Every function of `t` is in the stub as a function or field of `owner`, and every function there is in t.
local function check(t, owner, text)
  local missing = {}
  for name, value in pairs(t) do
    local public = type(value) == "function" and name:sub(1, 1) ~= "_"
    if public and not text:find("function " .. owner .. "[.:]" .. name .. "%(")
      and not text:find("%-%-%-@field " .. name .. " fun") then
      missing[#missing + 1] = name
    end
  end
  table.sort(missing)
  assert.same({}, missing)
  for name in text:gmatch("function " .. owner .. "[.:]([%w_]+)%(") do assert.truthy(t[name], owner .. "." .. name) end
end

describe("the editor's stubs", function()
  it("name everything there is", function()
    local tensor, nn, optim = stub "tensor", stub "nn", stub "optim"
    check(sonde.tensor, "tensor", tensor)
    check(core.tensor.Tensor, "Tensor", tensor)
    check(sonde.nn, "nn", nn)
    check(sonde.nn.init, "init", nn)
    check(sonde.nn.utils, "utils", nn)
    check(sonde.nn.utils.parametrize, "parametrize", nn)
    check(sonde.nn.utils.parametrizations, "parametrizations", nn)
    local module = { extend = sonde.nn.Module.extend }
    for name, value in pairs(sonde.nn.methods) do module[name] = value end
    check(module, "Module", nn)
    check(sonde.optim, "optim", optim)
    check(sonde.optim.methods, "Optimizer", optim)
    local schedules = stub "lr_scheduler"
    check(sonde.optim.lr_scheduler, "lr_scheduler", schedules)
    check(sonde.optim.swa_utils, "swa_utils", schedules)
    for _, name in ipairs { "data", "probe", "h5", "theory", "linalg" } do check(sonde[name], name, stub(name)) end
    check(sonde.data.Dataset.methods, "Dataset", stub "data")
  end)

  it("are Lua", function()
    for _, name in ipairs { "sonde", "tensor", "nn", "optim", "data", "probe", "h5", "theory", "linalg",
      "run" } do assert.truthy(load(stub(name))) end
  end)
end)
