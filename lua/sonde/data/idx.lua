-- IDX files, the format of MNIST.
local core = require "sonde.core"
local fail = require "sonde.fail"
local suggest = require "sonde.suggest"
local find = require "sonde.data.find"
local targets = require "sonde.data.targets"
local Dataset = require "sonde.data.dataset"

-- data.idx(path, { dtype = }): the file as a tensor. dtype: by default what the file has; int64 for all integers.
-- data.idx { inputs = path, targets = path, labels_from = 0, scale = 1/255, mean = 0, std = 1 }: a data set. Images of
-- bytes b are (b * scale - mean) / std, in float32, with a channel axis: [N, 1, height, width].
return function(first, opts)
  if type(first) == "string" then
    opts = suggest.check_options("data.idx", opts, { "dtype" })
    return core.data.idx(find.file(first), opts.dtype)
  end
  opts = suggest.check_options("data.idx", first, { "inputs", "targets", "labels_from", "scale", "mean", "std" })
  if type(opts.inputs) ~= "string" or type(opts.targets) ~= "string" then
    fail("data.idx: expected a path, or { inputs = path, targets = path }")
  end
  local std = opts.std or 1
  if std == 0 then fail("data.idx: std must not be 0") end
  local pixels = core.data.pixels(find.file(opts.inputs), opts.scale or 1 / 255, opts.mean or 0, std)
  return Dataset.new(pixels, targets("data.idx", core.data.idx(find.file(opts.targets)), opts.labels_from or 0))
end
