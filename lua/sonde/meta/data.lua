---@meta sonde.data

local data = {}

---Samples of inputs and targets. `#d` is their number.
---@class sonde.Dataset
---@field inputs sonde.Tensor rows are samples; what is changed in it is changed in the batches
---@field targets sonde.Tensor int64 labels 1..C, or numbers
---@field classes? string[] names of the labels
---@field baseline? number the loss that a trivial predictor reaches
---@field baseline_meaning? string which loss, and which predictor
---@field permutation? sonde.Tensor of permuted images: int64 positions of the pixels
local Dataset = {}

---Sample i: input and target; the target is a number if targets have one axis.
---@param i integer 1..#d
---@return sonde.Tensor input
---@return sonde.Tensor|number target
function Dataset:get(i) end

---The samples at positions order[first], order[first + 1], …; without an order first, first + 1, …
---@param order? sonde.Tensor int64 positions
---@param first integer
---@param count integer
---@param draw? integer 0; number of the batch since the training began, for augmented samples
---@return sonde.Tensor inputs
---@return sonde.Tensor targets
function Dataset:batch(order, first, count, draw) end

---Two data sets: this share of the samples and the rest, drawn by `seed` (default 1) alone. stratified: every class in
---the same proportion in both.
---@param share number between 0 and 1
---@param options? integer|{ seed?: integer, stratified?: boolean }
---@return sonde.Dataset
---@return sonde.Dataset
function Dataset:split(share, options) end

---The same samples in a random order, drawn by `seed` (default 1) alone.
---@param seed? integer
---@return sonde.Dataset
function Dataset:shuffle(seed) end

---Inputs minus their mean, over their deviation; of this set, or as another set's statistics say. per: "channel" (axis 2
---of the inputs, the default for images), "feature" (the last axis), "element" or "all".
---@param options? { per?: "channel"|"feature"|"element"|"all", mean?: sonde.Tensor|number[], std?: sonde.Tensor|number[] }
---@return sonde.Dataset
---@return { per: string, mean: sonde.Tensor, std: sonde.Tensor } # for other sets
function Dataset:standardize(options) end

---Targets as float32 rows with a 1 at the label.
---@param classes? integer by default as many as have names, else the largest label
---@return sonde.Dataset
function Dataset:one_hot(classes) end

---Images moved by up to `shift` pixels in both directions and mirrored left to right, at random in every batch.
---@param options? { shift?: integer, flip?: boolean, fill?: number, seed?: integer } 0, false, 0, the run's seed
---@return sonde.Dataset
function Dataset:augment(options) end

---@param positions integer|integer[]|sonde.Tensor n: the first n samples; else the positions
---@return sonde.Dataset
function Dataset:subset(positions) end

---The same samples seen through fn, called anew each time one is used.
---@param fn fun(x: sonde.Tensor, y: sonde.Tensor|number): sonde.Tensor, sonde.Tensor|number
---@return sonde.Dataset
function Dataset:map(fn) end

---Folders in which relative file names are looked for after the current one (those of --data).
---@type string[]
data.folders = {}

---@class sonde.Dataset.class
---@field new fun(inputs: sonde.Tensor, targets: sonde.Tensor, classes?: string[]): sonde.Dataset
data.Dataset = {}

---60,000 training or 10,000 test images: inputs float32 [N, 1, 28, 28] in 0..1, targets 1..10.
---@param opts? { split?: "train"|"test", normalize?: boolean, dir?: string }
---@return sonde.Dataset
function data.fashion_mnist(opts) end

---50,000 training or 10,000 test images from the binary files: inputs float32 [N, 3, 32, 32] in 0..1, targets 1..10.
---files: others of that form, of any number of images.
---@param opts? { split?: "train"|"test", normalize?: boolean, dir?: string, files?: string[] }
---@return sonde.Dataset
function data.cifar10(opts) end

---The same with targets 1..100, or 1..20.
---@param opts? { labels?: "fine"|"coarse", split?: "train"|"test", normalize?: boolean, dir?: string, files?: string[] }
---@return sonde.Dataset
function data.cifar100(opts) end

---Images as sequences, one pixel a step: [N, height · width, channels].
---@param opts? { images?: sonde.Dataset, permuted?: boolean, seed?: integer, split?: "train"|"test", normalize?: boolean }
---@return sonde.Dataset
function data.sequential_images(opts) end

---Two datasets of an HDF5 file. Integer targets are labels from labels_from (0) on, floats are numbers.
---@param path string
---@param opts { inputs: string, targets: string, labels_from?: integer, dtype?: sonde.dtype }
---@return sonde.Dataset
---@overload fun(opts: table): sonde.Dataset
function data.hdf5(path, opts) end

---float32 [..., classes] with a 1 at the label; classes: by default the largest label.
---@param labels sonde.Tensor int64, 1..classes
---@param classes? integer
---@return sonde.Tensor
function data.one_hot(labels, classes) end

---`{ x, y, labels_from = 1 }`: two tensors with a sample per row.
---@param opts { [1]: sonde.Tensor, [2]: sonde.Tensor, labels_from?: integer }
---@return sonde.Dataset
function data.tensors(opts) end

---An IDX file, plain or gzip: as a tensor, or images and labels as a data set.
---@param path string
---@param opts? { dtype?: sonde.dtype }
---@return sonde.Tensor
---@overload fun(opts: { inputs: string, targets: string, labels_from?: integer, scale?: number, mean?: number, std?: number }): sonde.Dataset
function data.idx(path, opts) end

---A CSV file, plain or gzip: label (classes: integers or texts) or target (numbers) columns by heading or number; all
---others are inputs.
---@param path string
---@param opts { label?: string|integer, target?: string|integer|(string|integer)[], inputs?: (string|integer)[], labels_from?: integer, header?: boolean, separator?: string }
---@return sonde.Dataset
---@overload fun(opts: table): sonde.Dataset
function data.csv(path, opts) end

---Arms of a spiral in the unit disc.
---@param opts? { n?: integer, classes?: integer, turns?: number, noise?: number, seed?: integer }
---@return sonde.Dataset
function data.spirals(opts) end

---Normal clouds round centres uniform in [-box, box).
---@param opts? { n?: integer, classes?: integer, features?: integer, std?: number, box?: number, seed?: integer }
---@return sonde.Dataset
function data.blobs(opts) end

---Inputs of -1 and 1; class 1 if the number of ones is even, else 2.
---@param opts? { n?: integer, bits?: integer, seed?: integer }
---@return sonde.Dataset
function data.parity(opts) end

---Inputs [n, length, 2]: a number of U(0, 1) and a marker; targets [n, 1]: the sum of the two marked numbers.
---@param opts? { n?: integer, length?: integer, seed?: integer } 1000, 100, 1
---@return sonde.Dataset
function data.adding(opts) end

---Symbols to repeat after a delay: targets int64 [n, delay + 2 length], mostly blank (symbols + 1).
---@param opts? { n?: integer, length?: integer, delay?: integer, symbols?: integer, one_hot?: boolean, seed?: integer } 1000, 10, 100, 8, true, 1
---@return sonde.Dataset
function data.copying(opts) end

---Which of two symbols came at 2 or 3 places of a sequence: classes 1..4 or 1..8.
---@param opts? { n?: integer, length?: integer, relevant?: 2|3, one_hot?: boolean, seed?: integer } 1000, 100, 2, true, 1
---@return sonde.Dataset
function data.temporal_order(opts) end

---Class 1 if the bits `delay` and `delay` + 1 steps before the last are the same, else 2.
---@param opts? { n?: integer, delay?: integer, length?: integer, seed?: integer } 1000, 50, delay + 2, 1
---@return sonde.Dataset
function data.delayed_xor(opts) end

---A chaotic series [n, length, 1] and what comes `horizon` steps later.
---@param opts? { n?: integer, length?: integer, horizon?: integer, tau?: number, dtype?: "float32"|"float64", seed?: integer } 1, 1000, 1, 17
---@return sonde.Dataset
function data.mackey_glass(opts) end

---Lorenz's system [n, length, 3] and what comes `horizon` samples later.
---@param opts? { n?: integer, length?: integer, horizon?: integer, dt?: number, sigma?: number, rho?: number, beta?: number, dtype?: "float32"|"float64", seed?: integer } 1, 1000, 1, 0.02, 10, 28, 8/3
---@return sonde.Dataset
function data.lorenz(opts) end

---A driven recursion of order 10: inputs and targets [n, length, 1].
---@param opts? { n?: integer, length?: integer, dtype?: "float32"|"float64", seed?: integer } 1, 1000
---@return sonde.Dataset
function data.narma10(opts) end

---`for x, y, epoch in data.batches(d, opts)`, shuffled anew each epoch.
---@param dataset sonde.Dataset
---@param opts { batch_size: integer, epochs?: integer, steps?: integer, shuffle?: boolean, drop_last?: boolean, generator?: sonde.Generator, skip?: integer, after?: integer }
---@return fun(): sonde.Tensor?, sonde.Tensor?, integer?
function data.batches(dataset, opts) end

return data
