-- Data sets: installed ones, files, tensors in memory, synthetic ones. All raise when a file cannot be read.
local core = require "sonde.core"
local fail = require "sonde.fail"
local suggest = require "sonde.suggest"
local find = require "sonde.data.find"
local Dataset = require "sonde.data.dataset"

local data = {
  Dataset = Dataset,
  batches = require "sonde.data.batches",
  csv = require "sonde.data.csv",
  folders = find.folders,
}

-- Labels from 1 as int64 (1-axis or more); anything else is a target as it is.
local function check_targets(y, labels_from)
  y = y:detach():contiguous()
  return y.dtype == "int64" and core.data.labels(y, labels_from or 1) or y
end

-- data.tensors { x, y, labels_from = 1 }: rows of x and of y are samples; y int64 is labels, counted from labels_from.
function data.tensors(opts)
  suggest.check_options("data.tensors", opts, { 1, 2, "labels_from" })
  local x, y = opts[1], opts[2]
  if type(x) ~= "userdata" or type(y) ~= "userdata" then
    fail("data.tensors: expected { inputs, targets }, two tensors; got %s and %s", type(x), type(y))
  end
  return Dataset.new(x:detach():contiguous(), check_targets(y, opts.labels_from))
end

-- data.idx(path, { dtype = }): the file as a tensor. dtype: by default what the file has; int64 for all integers.
-- data.idx { inputs = path, targets = path, labels_from = 0, scale = 1/255, mean = 0, std = 1 }: a data set. Images of
-- bytes b are (b * scale - mean) / std, in float32, with a channel axis: [N, 1, height, width].
function data.idx(first, opts)
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
  return Dataset.new(pixels, check_targets(core.data.idx(find.file(opts.targets)), opts.labels_from or 0))
end

-- data.fashion_mnist { split = "train", normalize = false, dir = nil }: 60,000 training or 10,000 test images, inputs
-- float32 [N, 1, 28, 28] in 0..1, targets 1..10. normalize: (x - 0.2860) / 0.3530, mean and deviation of the training
-- set. (Xiao, Rasul, Vollgraf 2017.)
function data.fashion_mnist(opts)
  opts = suggest.check_options("data.fashion_mnist", opts, { "split", "normalize", "dir" })
  local prefixes = { train = "train", test = "t10k" }
  local prefix = prefixes[opts.split or "train"] or
    fail("data.fashion_mnist: " .. suggest.unknown("split", opts.split, { "train", "test" }))
  local function locate(name)
    local folder, file = find.set("fashion-mnist", name, "/usr/share/datasets/fashion-mnist", opts.dir)
    if folder then return folder .. "/" .. file end
    fail("data.fashion_mnist: there is no %s(.gz) in %s\ninstall the data set: apt-get install dataset-fashion-mnist\n"
      .. "or name its folder with dir =, --data DIR or SONDE_DATA", name, table.concat(file, ", "))
  end
  local dataset = data.idx {
    inputs = locate(prefix .. "-images-idx3-ubyte"),
    targets = locate(prefix .. "-labels-idx1-ubyte"),
    mean = opts.normalize and 0.2860 or 0,
    std = opts.normalize and 0.3530 or 1,
  }
  dataset.classes = { "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag",
    "Ankle boot" }
  return dataset
end

-- Synthetic sets; a set depends on its own seed (default 1) alone. Classes are equally frequent and take turns.
-- data.spirals { n = 1000, classes = 2, turns = 1.5, noise = 0.02, seed = 1 }: intertwined arms in the unit disc
-- data.blobs { n = 1000, classes = 3, features = 2, std = 1, box = 10, seed = 1 }: normal clouds, centres uniform in
-- [-box, box)
-- data.parity { n = 1000, bits = 10, seed = 1 }: inputs -1 and 1; class 1 if the number of ones is even, else 2
for _, name in ipairs { "spirals", "blobs", "parity" } do
  data[name] = function(...) return Dataset.new(core.data[name](...)) end
end

return data
