---@meta sonde

---Tensors, networks, optimisers, probes. The constructors of `sonde.tensor` are here too.
---@class sonde
---@field version string
---@field tensor sonde.tensor
---@field nn sonde.nn
---@field optim sonde.optim
---@field theory sonde.theory
---@field linalg sonde.linalg
---@field zeros fun(...: integer|integer[]|sonde.TensorOptions): sonde.Tensor
---@field ones fun(...: integer|integer[]|sonde.TensorOptions): sonde.Tensor
---@field rand fun(...: integer|integer[]|sonde.RandomOptions): sonde.Tensor
---@field randn fun(...: integer|integer[]|sonde.RandomOptions): sonde.Tensor
local sonde = {}

---Starts the random streams in use again from this seed.
---@param seed integer
function sonde.manual_seed(seed) end

---Runs fn without recording gradients and returns what it returns. Without fn: `local _ <close> = sonde.no_grad()`
---switches recording off to the end of the block.
---@param fn? function
---@param ... any arguments of fn
---@return any
function sonde.no_grad(fn, ...) end

---The opposite of no_grad, for inside of it.
---@param fn? function
---@param ... any
---@return any
function sonde.enable_grad(fn, ...) end

---@return boolean
function sonde.is_grad_enabled() end

---@param enabled boolean
---@return boolean before
function sonde.set_grad_enabled(enabled) end

---Compares the gradients of fn with central differences (inputs: float64 tensors that require a gradient), and two
---backward passes with each other. Raises with input, element and both values if they differ.
---@param fn fun(...: sonde.Tensor): sonde.Tensor, ...
---@param inputs sonde.Tensor[]
---@param opts? { eps?: number, atol?: number, rtol?: number, raise_exception?: boolean } 1e-6, 1e-5, 1e-3, true
---@return boolean ok
---@return string? message if raise_exception is false
function sonde.gradcheck(fn, inputs, opts) end

---Bytes held by tensors: live_bytes, live_blocks, peak_bytes, pooled_bytes.
---@return table<string, integer>
function sonde.memory() end

---How many tensors, modules and optimizers are alive in the process.
---@return table<string, integer>
function sonde.live() end

---A table of tensors, numbers, texts, booleans and tables of these, such as a state_dict, as an HDF5 file. An old file is
---replaced only when the new one is whole.
---@param path string
---@param values table<string, any>
---@return boolean?, string?, string?
function sonde.save(path, values) end

---What `save` wrote, or what there is in any HDF5 file: groups are tables.
---@param path string
---@return table<string, any>?, string?, string?
function sonde.load(path) end

---A random stream of its own. Streams of different names are independent.
---@class sonde.Generator
local Generator = {}

---@param low? number 0
---@param high? number 1
---@return number in [low, high)
function Generator:uniform(low, high) end

---@param mean? number 0
---@param std? number 1
---@return number
function Generator:normal(mean, std) end

---@param low integer
---@param high integer
---@return integer # both ends are in
function Generator:integer(low, high) end

---@param n integer
---@return sonde.Tensor # int64: 1..n in random order
function Generator:permutation(n) end

---Another stream; this one does not advance.
---@param name string
---@param number? integer 0
---@return sonde.Generator
function Generator:derive(name, number) end

---Starts again.
---@param seed integer
---@param name? string "user"
---@return sonde.Generator self
function Generator:seed(seed, name) end

---Four integers, for checkpoints.
---@return integer[]
function Generator:state() end

---@param state integer[]
---@return sonde.Generator self
function Generator:set_state(state) end

---What a hook's registration returns.
---@class sonde.Handle
local Handle = {}

---The hook is never called again.
function Handle:remove() end

return sonde
