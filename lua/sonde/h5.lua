-- sonde.h5: HDF5 files for scripts. Everything here returns nil, message, code where the outside world fails.
local core = require "sonde.core"
local suggest = require "sonde.suggest"
local tree = require "sonde.h5.tree"

local h5 = {
  library_version = core.h5.library_version,
}

-- h5.open(path[, mode]): "r" (the default; a live or killed run's FILE.part too), "r+" or "w". The file has
-- :read(path[, { start =, count =, step =, dtype = }]), :write(path, value[, axes]), :append(path, value[, axes]),
-- :list([group]),
-- :info(path), :attribute(path, name), :attribute_info(path, name), :attributes([path]), :set_attribute(path, name,
-- value), :make_group(path), :axes(path), :is_live(), :has_writer(), :close(), :discard(). Numbers come and go as
-- tensors or numbers, texts as texts or lists of them. In mode "w" the file gets its name when it is closed;
-- discarded, or forgotten, it never was.
h5.open = core.h5.open

-- The dataset at `path` of a file: h5.read("run.h5", "/metrics/loss").
function h5.read(file_path, path)
  local file, message, code = core.h5.open(file_path)
  if not file then return nil, message, code end
  local value
  value, message, code = file:read(path)
  file:close()
  return value, message, code
end

-- Writes a table as a new file, in place of an old one only when it is whole. Its values: tensors, numbers, texts,
-- booleans, and tables of these: names and whole numbers as keys become groups; lists of numbers or of texts become
-- datasets. load gives all of it back as it was. Raises for what cannot be kept. options: axes = true gives the axes of
-- datasets dimension scales, for xarray.
function h5.save(path, values, options)
  options = suggest.check_options("h5.save", options, { "axes" })
  return tree.save("h5.save", path, values, options.axes)
end

-- Everything in a file (or below a group of it) as a table, groups as tables; dimension scales are left out.
h5.load = tree.load

return suggest.namespace("sonde.h5", h5)
