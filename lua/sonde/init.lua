-- sonde: tensors, networks, optimisers, probes. Submodules load when first used.
assert(_VERSION == "Lua 5.4", "sonde needs Lua 5.4")
local core = require "sonde.core"

local folder = debug.getinfo(1, "S").source:match("^@(.*)init%.lua$")
if folder then core.library(folder) end -- errors name the line of whoever calls the library

local tensor = require "sonde.tensor"
local autograd = require "sonde.autograd"
local suggest = require "sonde.suggest"

local sonde = { version = core.version, tensor = tensor }

for _, name in ipairs {
  "zeros", "ones", "full", "eye", "arange", "linspace", "rand", "randn", "randint", "randperm", "zeros_like",
  "ones_like", "cat", "stack", "where", "einsum", "matmul", "maximum", "minimum", "is_tensor",
} do
  sonde[name] = tensor[name]
end
for name, value in pairs(autograd) do sonde[name] = value end

sonde.manual_seed = core.random.manual_seed
sonde.memory = core.memory -- live_bytes, live_blocks, peak_bytes, pooled_bytes of tensors
sonde.live = core.live     -- how many tensors, modules, optimizers are alive

-- sonde.save(path, values): a table of tensors, numbers, texts, booleans and tables of these, such as a state_dict, as
-- an HDF5 file, which takes the place of an old one only when it is whole; sonde.load(path) gives it back. They return
-- true or the table; nil, message, code where the outside world fails.
function sonde.save(path, values) return require "sonde.h5.tree".save("sonde.save", path, values) end
function sonde.load(path) return require "sonde.h5.tree".load(path) end

local lazy = { nn = true, optim = true, data = true, probe = true, h5 = true, run = true, theory = true,
  linalg = true, diagnose = true }

return suggest.namespace("sonde", sonde, lazy)
