---@meta sonde.tensor

---@alias sonde.dtype "float32"|"float64"|"int64"
---@class sonde.TensorOptions
---@field dtype? sonde.dtype "float32" unless said
---@field requires_grad? boolean
---@class sonde.RandomOptions : sonde.TensorOptions
---@field generator? sonde.Generator

---Makes tensors: `sonde.tensor{{1, 2}, {3, 4}}`, `sonde.tensor(3, { dtype = "int64" })`; of a tensor, a copy.
---@class sonde.tensor
---@overload fun(data: number|table|sonde.Tensor, opts?: sonde.TensorOptions): sonde.Tensor
local tensor = {}

---`zeros(2, 3, { dtype = "float64" })` or `zeros({2, 3})`.
---@param ... integer|integer[]|sonde.TensorOptions sizes, then options
---@return sonde.Tensor
function tensor.zeros(...) end
---@param ... integer|integer[]|sonde.TensorOptions
---@return sonde.Tensor
function tensor.ones(...) end
---@param size integer|integer[]
---@param fill_value number
---@param opts? sonde.TensorOptions
---@return sonde.Tensor
function tensor.full(size, fill_value, opts) end
---@param input sonde.Tensor
---@param opts? sonde.TensorOptions the input's dtype unless said
---@return sonde.Tensor
function tensor.zeros_like(input, opts) end
---@param input sonde.Tensor
---@param opts? sonde.TensorOptions
---@return sonde.Tensor
function tensor.ones_like(input, opts) end
---@param n integer
---@param m? integer n
---@param opts? sonde.TensorOptions
---@return sonde.Tensor
function tensor.eye(n, m, opts) end
---`arange(end)` or `arange(start, end, step)`: start is in it, the end is not. int64 if all three are integers.
---@param ... number|sonde.TensorOptions
---@return sonde.Tensor
function tensor.arange(...) end
---Both ends are in it.
---@param start number
---@param end_ number
---@param steps integer
---@param opts? sonde.TensorOptions
---@return sonde.Tensor
function tensor.linspace(start, end_, steps, opts) end
---Uniform in [0, 1).
---@param ... integer|integer[]|sonde.RandomOptions
---@return sonde.Tensor
function tensor.rand(...) end
---Standard normal.
---@param ... integer|integer[]|sonde.RandomOptions
---@return sonde.Tensor
function tensor.randn(...) end
---Integers from low to high, both ends in, as math.random.
---@param low integer
---@param high integer
---@param size integer|integer[]
---@param opts? sonde.RandomOptions int64 unless said
---@return sonde.Tensor
function tensor.randint(low, high, size, opts) end
---1..n in random order.
---@param n integer
---@param opts? { generator?: sonde.Generator }
---@return sonde.Tensor
function tensor.randperm(n, opts) end
---@param tensors sonde.Tensor[]
---@param dim? integer 1
---@return sonde.Tensor
function tensor.cat(tensors, dim) end
---@param tensors sonde.Tensor[]
---@param dim? integer 1
---@return sonde.Tensor
function tensor.stack(tensors, dim) end
---input where condition is not 0, else other.
---@param condition sonde.Tensor
---@param input sonde.Tensor|number
---@param other sonde.Tensor|number
---@return sonde.Tensor
function tensor.where(condition, input, other) end
---`einsum("ij,jk->ik", a, b)`
---@param equation string
---@param ... sonde.Tensor
---@return sonde.Tensor
function tensor.einsum(equation, ...) end
---@param a sonde.Tensor
---@param b sonde.Tensor
---@return sonde.Tensor
function tensor.matmul(a, b) end
---@param a sonde.Tensor
---@param b sonde.Tensor|number
---@return sonde.Tensor
function tensor.maximum(a, b) end
---@param a sonde.Tensor
---@param b sonde.Tensor|number
---@return sonde.Tensor
function tensor.minimum(a, b) end
---@param value any
---@return boolean
function tensor.is_tensor(value) end

---`t[i]` selects, `t[{ {}, {2, -1}, 3 }]` takes ranges (both ends in; `{first, last, step}`), and both can be assigned
---to. Axes and indices count from 1, negative ones from the end. `#t` is the first size. `==` is identity; compare by
---`lt`, `eq`, … Operators broadcast as NumPy does. Forms that end in `_` change the tensor and return it.
---@class sonde.Tensor
---@field grad sonde.Tensor? what backward left; can be assigned
---@field requires_grad boolean can be assigned
---@field dtype sonde.dtype
---@field ndim integer
---@field is_leaf boolean
---@field grad_fn string? name of the operator that made it
---@field data sonde.Tensor the same memory without history
---@operator add(sonde.Tensor|number): sonde.Tensor
---@operator sub(sonde.Tensor|number): sonde.Tensor
---@operator mul(sonde.Tensor|number): sonde.Tensor
---@operator div(sonde.Tensor|number): sonde.Tensor
---@operator pow(sonde.Tensor|number): sonde.Tensor
---@operator unm: sonde.Tensor
---@operator len: integer
---
---element by element, with a tensor or a number:
---@field add fun(self, other: sonde.Tensor|number): sonde.Tensor
---@field sub fun(self, other: sonde.Tensor|number): sonde.Tensor
---@field mul fun(self, other: sonde.Tensor|number): sonde.Tensor
---@field div fun(self, other: sonde.Tensor|number): sonde.Tensor
---@field pow fun(self, other: sonde.Tensor|number): sonde.Tensor
---@field maximum fun(self, other: sonde.Tensor|number): sonde.Tensor
---@field minimum fun(self, other: sonde.Tensor|number): sonde.Tensor
---@field add_ fun(self, other: sonde.Tensor|number): sonde.Tensor
---@field sub_ fun(self, other: sonde.Tensor|number): sonde.Tensor
---@field mul_ fun(self, other: sonde.Tensor|number): sonde.Tensor
---@field div_ fun(self, other: sonde.Tensor|number): sonde.Tensor
---@field pow_ fun(self, other: sonde.Tensor|number): sonde.Tensor
---int64, 1 where it holds:
---@field lt fun(self, other: sonde.Tensor|number): sonde.Tensor
---@field le fun(self, other: sonde.Tensor|number): sonde.Tensor
---@field gt fun(self, other: sonde.Tensor|number): sonde.Tensor
---@field ge fun(self, other: sonde.Tensor|number): sonde.Tensor
---@field eq fun(self, other: sonde.Tensor|number): sonde.Tensor
---@field ne fun(self, other: sonde.Tensor|number): sonde.Tensor
---functions of one tensor:
---@field neg fun(self): sonde.Tensor
---@field abs fun(self): sonde.Tensor
---@field sign fun(self): sonde.Tensor
---@field exp fun(self): sonde.Tensor
---@field log fun(self): sonde.Tensor
---@field log1p fun(self): sonde.Tensor
---@field sqrt fun(self): sonde.Tensor
---@field rsqrt fun(self): sonde.Tensor
---@field square fun(self): sonde.Tensor
---@field reciprocal fun(self): sonde.Tensor
---@field sin fun(self): sonde.Tensor
---@field cos fun(self): sonde.Tensor
---@field erf fun(self): sonde.Tensor
---@field floor fun(self): sonde.Tensor
---@field ceil fun(self): sonde.Tensor
---@field round fun(self): sonde.Tensor
---@field neg_ fun(self): sonde.Tensor
---@field abs_ fun(self): sonde.Tensor
---@field exp_ fun(self): sonde.Tensor
---@field log_ fun(self): sonde.Tensor
---@field sqrt_ fun(self): sonde.Tensor
---@field square_ fun(self): sonde.Tensor
---@field floor_ fun(self): sonde.Tensor
---@field ceil_ fun(self): sonde.Tensor
---@field round_ fun(self): sonde.Tensor
---activations, with the defaults of the layers of the same name:
---@field sigmoid fun(self): sonde.Tensor
---@field tanh fun(self): sonde.Tensor
---@field relu fun(self, opts?: { inplace?: boolean }): sonde.Tensor
---@field leaky_relu fun(self, negative_slope?: number|table): sonde.Tensor
---@field elu fun(self, alpha?: number|table): sonde.Tensor
---@field selu fun(self): sonde.Tensor
---@field gelu fun(self, approximate?: "none"|"tanh"|table): sonde.Tensor
---@field silu fun(self): sonde.Tensor
---@field softplus fun(self, beta?: number|table, threshold?: number): sonde.Tensor
---@field softsign fun(self): sonde.Tensor
---@field hardtanh fun(self, min_val?: number|table, max_val?: number): sonde.Tensor
---@field relu6 fun(self, opts?: { inplace?: boolean }): sonde.Tensor
---@field celu fun(self, alpha?: number|table): sonde.Tensor
---@field mish fun(self): sonde.Tensor
---@field hardsigmoid fun(self): sonde.Tensor
---@field hardswish fun(self): sonde.Tensor
---@field logsigmoid fun(self): sonde.Tensor
---@field threshold fun(self, threshold: number|table, value?: number): sonde.Tensor
---@field tanhshrink fun(self): sonde.Tensor
---@field sigmoid_ fun(self): sonde.Tensor
---@field tanh_ fun(self): sonde.Tensor
---@field relu_ fun(self): sonde.Tensor
---@field leaky_relu_ fun(self, negative_slope?: number): sonde.Tensor
---@field elu_ fun(self, alpha?: number): sonde.Tensor
---@field selu_ fun(self): sonde.Tensor
---@field gelu_ fun(self, approximate?: "none"|"tanh"): sonde.Tensor
---@field silu_ fun(self): sonde.Tensor
---@field softplus_ fun(self, beta?: number, threshold?: number): sonde.Tensor
---@field softsign_ fun(self): sonde.Tensor
---@field hardtanh_ fun(self, min_val?: number, max_val?: number): sonde.Tensor
---@field relu6_ fun(self): sonde.Tensor
---@field celu_ fun(self, alpha?: number): sonde.Tensor
---@field mish_ fun(self): sonde.Tensor
---@field hardsigmoid_ fun(self): sonde.Tensor
---@field hardswish_ fun(self): sonde.Tensor
---@field logsigmoid_ fun(self): sonde.Tensor
---@field threshold_ fun(self, threshold: number|table, value?: number): sonde.Tensor
---@field tanhshrink_ fun(self): sonde.Tensor
---along an axis, several, or all:
---@field sum fun(self, dim?: integer|integer[]|table, keepdim?: boolean): sonde.Tensor
---@field mean fun(self, dim?: integer|integer[]|table, keepdim?: boolean): sonde.Tensor
---@field prod fun(self, dim?: integer|integer[]|table, keepdim?: boolean): sonde.Tensor
---@field logsumexp fun(self, dim?: integer|integer[]|table, keepdim?: boolean): sonde.Tensor
---@field var fun(self, dim?: integer|integer[]|table, keepdim?: boolean, correction?: number): sonde.Tensor
---@field std fun(self, dim?: integer|integer[]|table, keepdim?: boolean, correction?: number): sonde.Tensor
---@field norm fun(self, dim?: integer|integer[]|table, keepdim?: boolean, p?: number): sonde.Tensor
---@field argmax fun(self, dim?: integer|table, keepdim?: boolean): sonde.Tensor
---@field argmin fun(self, dim?: integer|table, keepdim?: boolean): sonde.Tensor
---@field softmax fun(self, dim: integer): sonde.Tensor
---@field log_softmax fun(self, dim: integer): sonde.Tensor
---@field cumsum fun(self, dim: integer): sonde.Tensor
---@field tril fun(self, diagonal?: integer|table): sonde.Tensor of matrices what is on and below the diagonal, the rest 0
---@field triu fun(self, diagonal?: integer|table): sonde.Tensor on and above it
---new shapes; sizes one by one or as a list:
---@field view fun(self, ...: integer|integer[]): sonde.Tensor never copies
---@field reshape fun(self, ...: integer|integer[]): sonde.Tensor one size may be -1
---@field expand fun(self, ...: integer|integer[]): sonde.Tensor -1 keeps a size
---@field tile fun(self, ...: integer|integer[]): sonde.Tensor how often along each axis
---@field permute fun(self, ...: integer|integer[]): sonde.Tensor
---@field transpose fun(self, dim0: integer, dim1: integer): sonde.Tensor
---@field t fun(self): sonde.Tensor
---@field flatten fun(self, start_dim?: integer, end_dim?: integer): sonde.Tensor
---@field unsqueeze fun(self, dim: integer): sonde.Tensor
---@field squeeze fun(self, dim?: integer): sonde.Tensor
---@field contiguous fun(self): sonde.Tensor
---@field clone fun(self): sonde.Tensor
---@field to fun(self, dtype: sonde.dtype): sonde.Tensor
---choosing elements:
---@field narrow fun(self, dim: integer, start: integer, length: integer): sonde.Tensor
---@field select fun(self, dim: integer, index: integer): sonde.Tensor
---@field index_select fun(self, dim: integer, index: sonde.Tensor|integer[]): sonde.Tensor
---@field gather fun(self, dim: integer, index: sonde.Tensor|table): sonde.Tensor
---in place:
---@field fill_ fun(self, value: number): sonde.Tensor
---@field zero_ fun(self): sonde.Tensor
---@field copy_ fun(self, source: sonde.Tensor): sonde.Tensor
---@field uniform_ fun(self, from?: number, to?: number, opts?: { generator?: sonde.Generator }): sonde.Tensor
---@field normal_ fun(self, mean?: number, std?: number, opts?: { generator?: sonde.Generator }): sonde.Tensor
---@field matmul fun(self, other: sonde.Tensor): sonde.Tensor
---@field dim fun(self): integer
---@field numel fun(self): integer
---@field shape fun(self): integer[]
---@field is_contiguous fun(self): boolean
local Tensor = {}

---`max()`; `max(dim, keepdim)` also returns the 1-based indices; `max(other)` is maximum.
---@param dim? integer|sonde.Tensor|table
---@param keepdim? boolean
---@return sonde.Tensor
---@return sonde.Tensor? indices
function Tensor:max(dim, keepdim) end
---@param dim? integer|sonde.Tensor|table
---@param keepdim? boolean
---@return sonde.Tensor
---@return sonde.Tensor? indices
function Tensor:min(dim, keepdim) end
---@param min? number|{ min?: number, max?: number }
---@param max? number
---@return sonde.Tensor
function Tensor:clamp(min, max) end
---The size of one axis, or all.
---@param dim? integer
---@return integer|integer[]
function Tensor:size(dim) end
---@param dim? integer
---@return integer|integer[]
function Tensor:stride(dim) end
---The number in a tensor of one element.
---@return number|integer
function Tensor:item() end
---@return number|table
function Tensor:totable() end
---The same shape and values.
---@param other sonde.Tensor
---@return boolean
function Tensor:equal(other) end
---@param other sonde.Tensor
---@param rtol? number|{ rtol?: number, atol?: number } 1e-5
---@param atol? number 1e-8
---@return boolean
function Tensor:allclose(other, rtol, atol) end

---@param requires_grad? boolean true
---@return sonde.Tensor self
function Tensor:requires_grad_(requires_grad) end
---Has backward keep the gradient of a tensor that is no leaf.
function Tensor:retain_grad() end
---The same memory without history.
---@return sonde.Tensor
function Tensor:detach() end
---@return sonde.Tensor self
function Tensor:detach_() end
---Adds the gradient of this tensor to the .grad of the leaves it was made from, and frees the graph.
---@param gradient? sonde.Tensor|{ gradient?: sonde.Tensor, retain_graph?: boolean } 1 for a tensor of one element
---@param retain_graph? boolean
function Tensor:backward(gradient, retain_graph) end
---hook(gradient) may return a tensor in its place. It lives until it is removed or the tensor dies: one that refers to
---its own tensor keeps both alive.
---@param hook fun(gradient: sonde.Tensor): sonde.Tensor?
---@return sonde.Handle
function Tensor:register_hook(hook) end

return tensor
