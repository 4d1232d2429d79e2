-- Data sets: installed ones, files, tensors in memory, synthetic ones, tasks that need a memory. All raise when a file
-- cannot be read.
local core = require "sonde.core"
local fail = require "sonde.fail"
local receiver = require "sonde.receiver"
local suggest = require "sonde.suggest"
local find = require "sonde.data.find"
local targets = require "sonde.data.targets"
local Dataset = require "sonde.data.dataset"

local data = {
  Dataset = Dataset,
  batches = require "sonde.data.batches",
  csv = require "sonde.data.csv",
  folders = find.folders,
  hdf5 = require "sonde.data.hdf5",
  idx = require "sonde.data.idx",
  one_hot = require "sonde.data.transform".one_hot,
}
require "sonde.data.split"
receiver("Dataset", Dataset.methods, function(value) return getmetatable(value) == Dataset end)
for _, family in ipairs { "images", "tasks" } do
  for name, make in pairs(require("sonde.data." .. family)) do data[name] = make end
end

-- data.tensors { x, y, labels_from = 1 }: rows of x and of y are samples; y int64 is labels, counted from labels_from.
function data.tensors(opts)
  opts = suggest.check_options("data.tensors", opts, { 1, 2, "labels_from" })
  local x, y = opts[1], opts[2]
  if getmetatable(x) ~= "Tensor" or getmetatable(y) ~= "Tensor" then
    fail("data.tensors: expected { inputs, targets }, two tensors; got %s and %s", type(x), type(y))
  end
  return Dataset.new(x:detach():contiguous(), targets("data.tensors", y, opts.labels_from))
end

-- Synthetic sets; a set depends on its own seed (default 1) alone. Classes are equally frequent and take turns.
-- data.spirals { n = 1000, classes = 2, turns = 1.5, noise = 0.02, seed = 1 }: intertwined arms in the unit disc
-- data.blobs { n = 1000, classes = 3, features = 2, std = 1, box = 10, seed = 1 }: normal clouds, centres uniform in
-- [-box, box)
-- data.parity { n = 1000, bits = 10, seed = 1 }: inputs -1 and 1; class 1 if the number of ones is even, else 2
for _, name in ipairs { "spirals", "blobs", "parity" } do
  data[name] = function(...) return Dataset.new(core.data[name](...)) end
end

return suggest.namespace("sonde.data", data)
