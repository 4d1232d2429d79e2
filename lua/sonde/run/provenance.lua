-- Where a run's numbers come from: the recipe, its parameters, the build and the machine, as the texts of /run.
local core = require "sonde.core"
local json = require "sonde.json"

local provenance = {}

local function first_line(path, pattern)
  local file = io.open(path, "r")
  if not file then return nil end
  for line in file:lines() do
    local found = line:match(pattern)
    if found then
      file:close()
      return found
    end
  end
  file:close()
end

-- Versions of sonde, compiler, Lua, HDF5 and BLAS, processor, flags.
function provenance.environment()
  local facts = core.system.build()
  facts.hdf5 = core.h5.library_version()
  facts.lua = _VERSION == "Lua 5.4" and facts.lua or _VERSION
  facts.cpu = first_line("/proc/cpuinfo", "^model name%s*:%s*(.-)%s*$")
  facts.kernel = first_line("/proc/sys/kernel/osrelease", "^(.-)%s*$")
  facts.system = first_line("/etc/os-release", '^PRETTY_NAME="?(.-)"?%s*$')
  facts.threads = core.threads()
  return facts
end

-- The parameters' values; a list stays a list also when it is empty.
local function parameters(values)
  local plain = {}
  for name, value in next, values do
    plain[name] = type(value) == "table" and json.array(table.move(value, 1, #value, 1, {})) or value
  end
  return plain
end

-- name → text. options as in run/file.lua.
function provenance.texts(options, run)
  return {
    recipe_source = options.recipe.source,
    modules = json.encode(options.recipe.modules),
    params = json.encode(parameters(options.values)),
    overrides = json.encode(options.set or {}),
    environment = json.encode(provenance.environment()),
    model = run:model_text(),
  }
end

return provenance
