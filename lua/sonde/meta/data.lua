---@meta sonde.data

local data = {}

---Samples of inputs and targets. `#d` is their number.
---@class sonde.Dataset
---@field inputs sonde.Tensor rows are samples; what is changed in it is changed in the batches
---@field targets sonde.Tensor int64 labels 1..C, or numbers
---@field classes? string[] names of the labels
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
---@return sonde.Tensor inputs
---@return sonde.Tensor targets
function Dataset:batch(order, first, count) end

---Two data sets: this share of the samples and the rest, drawn by `seed` (default 1) alone.
---@param share number between 0 and 1
---@param seed? integer
---@return sonde.Dataset
---@return sonde.Dataset
function Dataset:split(share, seed) end

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

---`for x, y, epoch in data.batches(d, opts)`, shuffled anew each epoch.
---@param dataset sonde.Dataset
---@param opts { batch_size: integer, epochs?: integer, steps?: integer, shuffle?: boolean, drop_last?: boolean, generator?: sonde.Generator, skip?: integer }
---@return fun(): sonde.Tensor?, sonde.Tensor?, integer?
function data.batches(dataset, opts) end

return data
