--- Every group of torch_reference.h5 is read by a test: the specs beside this one are run here once more, and what they
--- read is compared with what the file holds. Whether they pass is their own affair.
local lfs = require "lfs"
local reference = require "support.reference"

local here = debug.getinfo(1, "S").source:match("^@(.*)coverage_spec%.lua$")

--- Runs a spec file's tests at once, one after the other; failures are let be.
local function run_spec(path)
  local befores = {}
  local function block(_, body)
    local outer = #befores
    body()
    for i = #befores, outer + 1, -1 do befores[i] = nil end
  end
  local function test(_, body)
    for _, before in ipairs(befores) do before() end
    pcall(body)
  end
  local globals = {
    describe = block, it = test, before_each = function(fn) befores[#befores + 1] = fn end,
    teardown = function() end, after_each = function() end, setup = function(fn) fn() end,
    pending = function() end, assert = assert,
  }
  local chunk = assert(loadfile(path, "t", setmetatable(globals, { __index = _G })))
  chunk()
end

--- What the file holds: /kind/name, of optimisers /optim/name/mode; the gains are attributes of one group.
local function all_groups()
  local found = {}
  for _, kind in ipairs(reference.list "/") do
    local names = reference.list("/" .. kind)
    if #names == 0 then found[#found + 1] = "/" .. kind end
    for _, name in ipairs(names) do
      local path = ("/%s/%s"):format(kind, name)
      for _, mode in ipairs(kind == "optim" and reference.list(path) or { false }) do
        found[#found + 1] = mode and path .. "/" .. mode or path
      end
    end
  end
  return found
end

describe("torch_reference.h5", function()
  it("has no group that no test reads", function()
    for name in lfs.dir(here) do
      if name:find("_spec%.lua$") and name ~= "coverage_spec.lua" then run_spec(here .. name) end
    end
    local all, unread = all_groups(), {}
    -- layers, losses, optimisers in two modes, clipping, schedules, gains, nets
    assert.equal(66 + 24 + 2 * 30 + 5 + 11 + 1 + 4, #all)
    for _, path in ipairs(all) do
      if not reference.seen[path] then unread[#unread + 1] = path end
    end
    assert.same({}, unread)
  end)
  teardown(reference.close)
end)
