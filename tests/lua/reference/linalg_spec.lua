--- Linear algebra and parametrisations against PyTorch, float64, 1e-10: the values are those of torch_linalg.h5, which
--- make_torch_linalg.py beside it wrote.
local sonde = require "sonde"
local reference = require "support.reference"
local linalg, nn = sonde.linalg, sonde.nn
local parametrizations = nn.utils.parametrizations

local FILE = "torch_linalg"

--- A function of the input a, x or A.
local function of(fn)
  return function(i) return { y = fn(i.a or i.x or i.A) } end
end

local function solve(i) return { y = linalg.solve(i.A, i.B) } end

local function qr(mode)
  return function(i)
    local q, r = linalg.qr(i.a, mode)
    return { q = q, r = r }
  end
end

local function svd(i)
  local u, s, vh = linalg.svd(i.a, { full_matrices = false })
  return { s = s, polar = u:matmul(vh), left = u * u, right = vh * vh }
end

local cases = {
  qr_complete_3x5 = qr "complete",
  eigh = function(i)
    local values, v = linalg.eigh(i.a + i.a:transpose(-1, -2))
    return { values = values, squares = v * v }
  end,
  eigvals = function(i)
    local re, im = linalg.eigvals(i.a)
    return { cubes = (re ^ 3):sum(-1), squares = (im * im):sum(-1), mixed = (re * im * im):sum(-1) }
  end,
  solve = solve, solve_broadcast = solve, solve_vector = solve,
  solve_triangular = function(i) return { y = linalg.solve_triangular(i.a, i.b, { upper = true }) } end,
  inv = of(linalg.inv), det = of(linalg.det),
  slogdet = of(function(a) return (select(2, linalg.slogdet(a))) end),
  cholesky = of(function(a)
    return linalg.cholesky(a:matmul(a:transpose(-1, -2)) + sonde.eye(3, { dtype = "float64" }))
  end),
  matrix_exp = of(linalg.matrix_exp), matrix_exp_large = of(linalg.matrix_exp),
  cond_1 = of(function(a) return linalg.cond(a, 1) end),
  vector_norm_dim = of(function(x) return linalg.vector_norm(x, 3, { 1, 3 }) end),
  norm = of(linalg.norm),
}
for _, shape in ipairs { "4x3", "3x3", "3x5" } do
  cases["qr_" .. shape], cases["svd_" .. shape] = qr(), svd
  cases["svdvals_" .. shape] = of(linalg.svdvals)
  cases["cond_" .. shape] = of(linalg.cond)
  for _, order in ipairs { "fro", "nuc", "inf", "-inf", 1, -1, 2, -2 } do
    cases["matrix_norm_" .. order .. "_" .. shape] = of(function(a) return linalg.matrix_norm(a, order) end)
  end
end
for _, order in ipairs { 2, 1, 3, 0.5, -2, "inf", "-inf" } do
  cases["vector_norm_" .. order] = of(function(x) return linalg.vector_norm(x, order) end)
end

-- ---- parametrisations: PyTorch counts them from 0 ------------------------------------------------------------------

local function to_torch(name)
  return (name:gsub("%f[^%.]%d+%f[%.]", function(n) return tostring(math.tointeger(n) - 1) end))
end

--- A parametrised module with the file's originals and buffers.
local function module(m)
  return function(inputs, _, group)
    local state = {}
    m:to("float64")
    for name in pairs(m:state_dict()) do
      name = to_torch(name)
      state[name] = assert(group["param_" .. name] or group["buffer_before_" .. name], name)
    end
    m:load_state_dict(state, { names = "torch" })
    local y, owned = m(inputs.x), {}
    for name, value in m:named_buffers() do
      reference.near(name .. " after", group["buffer_after_" .. to_torch(name)], value)
    end
    for name, parameter in m:named_parameters() do owned[to_torch(name)] = parameter end
    return { y = y }, owned
  end
end

local function weight_norm(m, dim) return module(parametrizations.weight_norm(m, { dim = dim })) end
local function spectral_norm(m, opts) return module(parametrizations.spectral_norm(m, opts)) end
local function orthogonal(m, opts) return module(parametrizations.orthogonal(m, opts)) end

cases.weight_norm_linear = weight_norm(nn.Linear(3, 4))
cases.weight_norm_dim1 = weight_norm(nn.Linear(3, 4), 2)
cases.weight_norm_whole = weight_norm(nn.Linear(3, 4), false)
cases.weight_norm_conv = weight_norm(nn.Conv2d(2, 3, 3))
cases.spectral_norm_linear = spectral_norm(nn.Linear(3, 4))
cases.spectral_norm_iterations = spectral_norm(nn.Linear(3, 4), { n_power_iterations = 3 })
cases.spectral_norm_conv = spectral_norm(nn.Conv2d(2, 3, 3))
cases.spectral_norm_transposed = spectral_norm(nn.ConvTranspose2d(2, 3, 3))
cases.spectral_norm_vector = spectral_norm(nn.Linear(3, 4), { name = "bias" })
cases.spectral_norm_lstm = spectral_norm(nn.LSTM(2, 3), { name = "weight_hh_l0" })
for _, map in ipairs { "matrix_exp", "cayley", "householder" } do
  for _, size in ipairs { { 4, 4 }, { 5, 3 }, { 3, 5 } } do
    cases[("orthogonal_%s_%dx%d"):format(map, size[1], size[2])] =
      orthogonal(nn.Linear(size[2], size[1]), { orthogonal_map = map })
  end
end
cases.orthogonal_direct = orthogonal(nn.Linear(3, 5), { orthogonal_map = "householder", use_trivialization = false })
cases.orthogonal_rnn = orthogonal(nn.RNN(2, 3), { name = "weight_hh_l0" })
cases.orthogonal_gru = orthogonal(nn.GRU(2, 3), { name = "weight_hh_l0" })

describe("PyTorch's linear algebra", function()
  for _, name in ipairs(reference.list("/layers", FILE)) do
    it(name, function() reference.check_layer(name, cases[name], nil, FILE) end)
  end

  it("has no case without values", function()
    local known = {}
    for _, name in ipairs(reference.list("/layers", FILE)) do known[name] = true end
    for name in pairs(cases) do assert.is_true(known[name], name) end
  end)
  teardown(reference.close)
end)
