-- Data sets of images: Fashion-MNIST, CIFAR-10 and CIFAR-100; images as sequences of pixels.
local core = require "sonde.core"
local fail = require "sonde.fail"
local suggest = require "sonde.suggest"
local find = require "sonde.data.find"
local idx = require "sonde.data.idx"
local Dataset = require "sonde.data.dataset"

local images = {}

local function check_split(where, split)
  split = split or "train"
  if split ~= "train" and split ~= "test" then
    fail("%s: %s", where, suggest.unknown("split", split, { "train", "test" }))
  end
  return split
end

-- data.fashion_mnist { split = "train", normalize = false, dir = nil }: 60,000 training or 10,000 test images, inputs
-- float32 [N, 1, 28, 28] in 0..1, targets 1..10. normalize: (x - 0.2860) / 0.3530, mean and deviation of the training
-- set. (Xiao, Rasul, Vollgraf 2017.)
function images.fashion_mnist(opts)
  opts = suggest.check_options("data.fashion_mnist", opts, { "split", "normalize", "dir" })
  local prefix = check_split("data.fashion_mnist", opts.split) == "train" and "train" or "t10k"
  local function locate(name)
    local folder, file = find.set("fashion-mnist", name, "/usr/share/datasets/fashion-mnist", opts.dir)
    if folder then return folder .. "/" .. file end
    fail("data.fashion_mnist: there is no %s(.gz) in %s\ninstall the data set: apt-get install dataset-fashion-mnist\n"
      .. "or name its folder with dir =, --data DIR or SONDE_DATA", name, table.concat(file, ", "))
  end
  local dataset = idx {
    inputs = locate(prefix .. "-images-idx3-ubyte"),
    targets = locate(prefix .. "-labels-idx1-ubyte"),
    mean = opts.normalize and 0.2860 or 0,
    std = opts.normalize and 0.3530 or 1,
  }
  dataset.classes = { "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag",
    "Ankle boot" }
  return dataset
end

-- ---- CIFAR -------------------------------------------------------------------------------------------------------

-- The paths of a set's files in the folder that an archive unpacks to.
local function locate_all(where, set, archive, names, dir)
  local paths = {}
  for i, name in ipairs(names) do
    local folder, file = find.set(set, name, "/usr/share/datasets/" .. set, dir)
    if not folder then
      fail("%s: there is no %s(.gz) in %s\nfetch https://www.cs.toronto.edu/~kriz/%s, unpack it, and name its folder "
        .. "with dir =, --data DIR or SONDE_DATA", where, name, table.concat(file, ", "), archive)
    end
    paths[i] = folder .. "/" .. file
  end
  return paths
end

local function check_files(where, files)
  if type(files) ~= "table" or #files == 0 then fail("%s: files is a list of paths", where) end
  local paths = {}
  for i, path in ipairs(files) do
    if type(path) ~= "string" then fail("%s: files is a list of paths, got a %s in it", where, type(path)) end
    paths[i] = find.file(path)
  end
  return paths
end

local CIFAR10 = {
  where = "data.cifar10", set = "cifar-10-batches-bin", archive = "cifar-10-binary.tar.gz", label_bytes = 1,
  train = { "data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin" },
  test = { "test_batch.bin" }, records = { train = 10000, test = 10000 },
  per = "channel", mean = { 0.4914, 0.4822, 0.4465 }, std = { 0.2470, 0.2435, 0.2616 },
}
local CIFAR100 = {
  where = "data.cifar100", set = "cifar-100-binary", archive = "cifar-100-binary.tar.gz", label_bytes = 2,
  train = { "train.bin" }, test = { "test.bin" }, records = { train = 50000, test = 10000 },
  per = "channel", mean = { 0.5071, 0.4865, 0.4409 }, std = { 0.2673, 0.2564, 0.2762 },
}

local function cifar(about, opts, label, classes)
  local split = check_split(about.where, opts.split)
  local paths = opts.files and check_files(about.where, opts.files)
    or locate_all(about.where, about.set, about.archive, about[split], opts.dir)
  local records = opts.files and 0 or about.records[split]
  local dataset = Dataset.new(core.data.cifar(paths, about.label_bytes, label, classes, records))
  if not opts.normalize then return dataset end
  return (dataset:standardize { per = about.per, mean = about.mean, std = about.std })
end

-- data.cifar10 { split = "train", normalize = false, dir = nil, files = nil }: 50,000 training or 10,000 test images
-- from the binary files, inputs float32 [N, 3, 32, 32] in 0..1, targets 1..10. normalize: each channel minus its mean,
-- over its deviation, of the training set. files: a list of other files of that form, of any number of images.
-- (Krizhevsky 2009, "Learning multiple layers of features from tiny images".)
function images.cifar10(opts)
  opts = suggest.check_options("data.cifar10", opts, { "split", "normalize", "dir", "files" })
  local dataset = cifar(CIFAR10, opts, 1, 10)
  dataset.classes = { "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck" }
  return dataset
end

-- data.cifar100 { labels = "fine", … as data.cifar10 }: targets 1..100, or 1..20 with labels = "coarse".
function images.cifar100(opts)
  opts = suggest.check_options("data.cifar100", opts, { "split", "normalize", "dir", "files", "labels" })
  local labels = opts.labels or "fine"
  if labels ~= "fine" and labels ~= "coarse" then
    fail("data.cifar100: %s", suggest.unknown("choice", labels, { "fine", "coarse" }))
  end
  return cifar(CIFAR100, opts, labels == "coarse" and 1 or 2, labels == "coarse" and 20 or 100)
end

-- ---- pixel by pixel ----------------------------------------------------------------------------------------------

-- Images [N, channels, height, width] as [N, height · width, channels].
local function sequence(x, order)
  if getmetatable(x) ~= "Tensor" then return core.data.sequence(x, order) end
  local shape = x:shape()
  x = x:reshape(shape[1], shape[2], shape[3] * shape[4])
  return (order and x:index_select(3, order) or x):transpose(2, 3):contiguous()
end

-- data.sequential_images { images = data.fashion_mnist(), permuted = false, seed = 1 }: images as sequences, one pixel
-- a step, inputs [N, height · width, channels] (for batch_first = true). permuted: the pixels in an order that is the
-- same for all images and depends on `seed` alone (dataset.permutation). split and normalize: of Fashion-MNIST.
-- (Le, Jaitly and Hinton 2015, "A simple way to initialize recurrent networks of rectified linear units".)
function images.sequential_images(opts)
  opts = suggest.check_options("data.sequential_images", opts, { "images", "permuted", "seed", "split", "normalize" })
  local given, seed = opts.images, opts.seed or 1
  if not math.tointeger(seed) then fail("data.sequential_images: seed must be an integer, got %s", seed) end
  if given ~= nil and (opts.split ~= nil or opts.normalize ~= nil) then
    fail("data.sequential_images: split and normalize belong to Fashion-MNIST; images were given")
  elseif given ~= nil and getmetatable(given) ~= Dataset then
    fail("data.sequential_images: images must be a data set, got %s", type(given))
  end
  given = given or images.fashion_mnist { split = opts.split, normalize = opts.normalize }
  local shape = given:batch(nil, 1, 1):shape()
  if #shape ~= 4 then fail("data.sequential_images: images have three axes, these samples have %d", #shape - 1) end
  local order = opts.permuted and
    core.random.stream(seed, "data.sequential_images"):permutation(shape[3] * shape[4]) or nil
  local dataset
  if given._fetch then
    dataset = Dataset.view(given, function(base, ...)
      local x, y = base:batch(...)
      return sequence(x, order), y
    end)
  else
    dataset = Dataset.columns(given, sequence(given._inputs, order))
  end
  Dataset.inherit(dataset, given)
  dataset.permutation = order
  if given.classes then
    dataset.baseline = math.log(#given.classes)
    dataset.baseline_meaning = "cross-entropy of who gives every class the same probability"
  end
  return dataset
end

return images
