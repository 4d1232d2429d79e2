-- The shape of the tree: which room may include or require which, how long a file may be, what lies at the top.
local lfs = require "lfs"
local process = require "support.process"

local root = process.root

local function files(folder, endings, found)
  found = found or {}
  for name in lfs.dir(root .. "/" .. folder) do
    local path = folder .. "/" .. name
    if name:sub(1, 1) == "." then -- this folder, its parent, hidden ones
    elseif lfs.attributes(root .. "/" .. path, "mode") == "directory" then
      files(path, endings, found)
    elseif endings[name:match("%.(%w+)$")] then
      found[#found + 1] = path
    end
  end
  table.sort(found)
  return found
end

local function lines(path)
  local list = {}
  for line in io.lines(root .. "/" .. path) do list[#list + 1] = line end
  return list
end

local function none(broken, message)
  assert(#broken == 0, message .. ":\n  " .. table.concat(broken, "\n  "))
end

local C, LUA = { c = true, h = true }, { lua = true }

describe("runtime", function()
  -- A room may include what its arrows lead to, directly or by way of another room.
  local arrows = {
    base = {}, kernel = { "base" }, data = { "base" }, record = { "base" }, guard = { "base" },
    tensor = { "kernel" }, autograd = { "tensor", "kernel" }, nn = { "autograd" }, optim = { "nn", "kernel", "tensor" },
    probe = { "autograd", "nn", "optim", "kernel", "record" }, h5 = { "record" },
    bind = { "probe", "h5", "data", "guard" }, main = { "bind", "guard" },
  }
  -- Parts of a door besides <room>/<room>.h.
  local doors = {
    ["autograd/ops.h"] = true, ["kernel/loops.h"] = true, ["kernel/conv.h"] = true, ["kernel/linalg.h"] = true,
    ["kernel/recurrent.h"] = true, ["kernel/optimisers.h"] = true, ["kernel/losses.h"] = true,
    ["autograd/formula.h"] = true,
  }
  -- Foreign libraries and the rooms that may see them.
  local foreign = {
    ["^lua"] = { bind = true, main = true }, ["^lauxlib"] = { bind = true, main = true }, ["^hdf5"] = { h5 = true },
    ["^cblas"] = { kernel = true }, ["^lapacke"] = { kernel = true }, ["^zlib"] = { data = true },
  }

  local function reaches(from, to, seen)
    seen = seen or {}
    if from == to then return true end
    if seen[from] then return false end
    seen[from] = true
    for _, room in ipairs(arrows[from]) do
      if reaches(room, to, seen) then return true end
    end
    return false
  end

  local function room_of(path) return path:match("^runtime/(%w+)/") or path:match("^runtime/(%w+)%.c$") end

  local function each_include(visit)
    for _, path in ipairs(files("runtime", C)) do
      for number, line in ipairs(lines(path)) do
        local kind, target = line:match('^%s*#%s*include%s*([<"])([^>"]+)[>"]')
        if kind then visit(path, number, room_of(path), kind, target) end
      end
    end
  end

  it("consists of known rooms", function()
    for _, path in ipairs(files("runtime", C)) do
      assert(arrows[room_of(path)], path .. " is in no known room")
    end
  end)

  it("includes along the arrows, and from another room only its door", function()
    local broken = {}
    each_include(function(path, number, room, kind, target)
      local there, name = target:match("^(%w+)/(.+)$")
      local where = ("%s:%d includes %s"):format(path, number, target)
      if kind == '"' and not (there and arrows[there]) then
        broken[#broken + 1] = where .. ", which is not named from runtime/ on"
      elseif kind == '"' and not reaches(room, there) then
        broken[#broken + 1] = where .. " against the arrows"
      elseif kind == '"' and there ~= room and name ~= there .. ".h" and not doors[target] then
        broken[#broken + 1] = where .. ", which is not that room's door"
      end
    end)
    none(broken, "forbidden includes")
  end)

  it("shows foreign libraries to their rooms only", function()
    local broken = {}
    each_include(function(path, number, room, kind, target)
      for pattern, rooms in pairs(foreign) do
        if kind == "<" and target:match(pattern) and not rooms[room] then
          broken[#broken + 1] = ("%s:%d includes %s"):format(path, number, target)
        end
      end
    end)
    none(broken, "forbidden includes")
  end)

  it("has files of at most 500 lines and functions of at most 60", function()
    local broken = {}
    for _, path in ipairs(files("runtime", C)) do
      local list, start = lines(path), nil
      if #list > 500 then broken[#broken + 1] = ("%s has %d lines"):format(path, #list) end
      for number, line in ipairs(list) do
        if line:match("^{") then start = number end
        if line:match("^}") and start then
          if number - start + 1 > 60 then
            broken[#broken + 1] = ("%s:%d: a function of %d lines"):format(path, start, number - start + 1)
          end
          start = nil
        end
      end
    end
    none(broken, "too long")
  end)
end)

describe("lua/sonde", function()
  -- A module may require itself and what stands before it here; a folder is one entry. "sonde" is the facade.
  local order = {
    "core", "shown", "fail", "callable", "receiver", "suggest", "json", "text", "progress", "tensor", "linalg",
    "autograd", "theory", "nn", "optim", "h5", "history", "sonde", "data", "measure", "probe", "recipe", "diagnose",
    "run", "sweep", "cure", "plot", "report", "cli",
  }
  local place = {}
  for i, name in ipairs(order) do place[name] = i end

  local function modules()
    local found = {}
    for _, path in ipairs(files("lua/sonde", LUA)) do
      if not path:match("/meta/") then found[#found + 1] = path end
    end
    return found
  end

  it("requires in one direction", function()
    local broken = {}
    for _, path in ipairs(modules()) do
      local own = path:match("^lua/sonde/([%w_]+)")
      if own == "init" then own = "sonde" end
      if not place[own] then broken[#broken + 1] = path .. " has no place in the order" end
      for number, line in ipairs(lines(path)) do
        for target in line:gmatch('require%s*%(?%s*"([%w_.]+)"') do
          local there = target:match("^sonde%.([%w_]+)") or target:match("^sonde$")
          if there and place[own] and (place[there] or math.huge) > place[own] then
            broken[#broken + 1] = ("%s:%d requires %s"):format(path, number, target)
          end
        end
      end
    end
    none(broken, "against the order")
  end)

  it("has files of at most 300 lines", function()
    local broken = {}
    for _, path in ipairs(files("lua", LUA)) do
      local n = #lines(path)
      if n > 300 and not path:match("/meta/") then broken[#broken + 1] = ("%s has %d lines"):format(path, n) end
    end
    none(broken, "too long")
  end)

  it("sets no globals and passes luacheck, as do recipes and tests", function()
    local result = process.run({ "luacheck", "--no-color", "-q", "lua", "experiments", "tests" }, { cwd = root })
    assert(result.code == 0, result.stdout .. result.stderr)
  end)
end)

describe("the top level", function()
  it("holds the agreed names only", function()
    local agreed = {
      runtime = true, lua = true, experiments = true, tests = true, sonde = true, LICENSE = true,
      ["CMakeLists.txt"] = true, ["README.md"] = true, ["CHANGELOG.md"] = true,
    }
    local listed = process.run({ "git", "ls-files" }, { cwd = root })
    if listed.code ~= 0 then return pending "not a git checkout" end
    local stray = {}
    for path in listed.stdout:gmatch("[^\n]+") do
      local top = path:match("^[^/]+")
      if not agreed[top] and top:sub(1, 1) ~= "." then stray[#stray + 1] = path end
    end
    none(stray, "stray names")
  end)
end)
