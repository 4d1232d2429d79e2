-- Data sets in HDF5 files, as h5py and others write them.
local core = require "sonde.core"
local fail = require "sonde.fail"
local suggest = require "sonde.suggest"
local find = require "sonde.data.find"
local targets = require "sonde.data.targets"
local Dataset = require "sonde.data.dataset"

local most_groups = 1000 -- looked into: links of a foreign file may lead in circles

-- The paths of the datasets below a group that are no axes, in the file's order.
local function datasets(file, group, found)
  found.groups = (found.groups or 0) + 1
  if found.groups > most_groups then return found end
  for _, name in ipairs(file:list(group) or {}) do
    local path = (group == "/" and "" or group) .. "/" .. name
    local info = file:info(path)
    if info and info.kind == "group" then
      datasets(file, path, found)
    elseif info and not info.is_scale then
      found[#found + 1] = path
    end
  end
  return found
end

-- A dataset of numbers as a tensor, or as a number in a tensor; `role` is the option that names it.
local function read(file, path, role, name, dtype)
  if type(name) ~= "string" then
    fail("data.hdf5: %s = the name of a dataset is needed; '%s' has: %s", role, path,
      table.concat(datasets(file, "/", {}), ", "))
  end
  local full = name:sub(1, 1) == "/" and name or "/" .. name
  local info = file:info(full)
  if not info or info.kind ~= "dataset" then
    fail("data.hdf5: '%s': %s", path, suggest.unknown("dataset", full, datasets(file, "/", {})))
  end
  if not info.type:match("int") and not info.type:match("float") and info.type ~= "enum" then
    fail("data.hdf5: '%s' of '%s' holds %s, expected numbers", full, path, info.type)
  end
  if #info.shape == 0 or info.shape[1] == 0 then
    fail("data.hdf5: '%s' of '%s' holds no samples: its first axis must count them, its shape is [%s]", full, path,
      table.concat(info.shape, ", "))
  end
  local values, message = file:read(full, { dtype = dtype })
  return values or fail("data.hdf5: %s", message)
end

-- data.hdf5 { path, inputs = "x", targets = "y", labels_from = 0, dtype = nil }, also data.hdf5(path, { … }): the rows
-- of two datasets of a file are samples. Integer targets are labels, counted from labels_from; floats are numbers.
-- Inputs come as they are (float32, float64; int64 for all integers, as for an Embedding) or as `dtype`.
return function(path, opts)
  if type(path) == "table" then path, opts = path[1], path end
  opts = suggest.check_options("data.hdf5", opts, { 1, "inputs", "targets", "labels_from", "dtype" })
  if type(path) ~= "string" then fail("data.hdf5: expected the path of a file, got %s", type(path)) end
  local dtype, from = opts.dtype, opts.labels_from or 0
  if dtype ~= nil and dtype ~= "float32" and dtype ~= "float64" and dtype ~= "int64" then
    fail("data.hdf5: %s", suggest.unknown("dtype", dtype, { "float32", "float64", "int64" }))
  end
  if not math.tointeger(from) then fail("data.hdf5: labels_from must be an integer, got %s", from) end
  path = find.file(path)
  local file, message = core.h5.open(path)
  if not file then fail("data.hdf5: %s", message) end
  local _ <close> = file
  local x, y = read(file, path, "inputs", opts.inputs, dtype), read(file, path, "targets", opts.targets)
  if #x ~= #y then
    fail("data.hdf5: '%s' has %d rows in '%s' and %d in '%s': a data set needs one target per input", path, #x,
      opts.inputs, #y, opts.targets)
  end
  return Dataset.new(x, targets(("data.hdf5: '%s' of '%s'"):format(opts.targets, path), y, from))
end
