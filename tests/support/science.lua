--- Networks and measurements that the science specs share. Conventions: hidden layers 1..L, layer 1 nearest the input;
--- delta_l is the root mean square of dLoss/dz_l over batch and units, z_l being the output of hidden Linear l.
local sonde = require "sonde"
local nn, data = sonde.nn, sonde.data

local science = {}

local images

--- Batch number `k` (1-based, `size` rows) of standardised Fashion-MNIST: x [size, 784] float64, y [size].
function science.batch(k, size)
  images = images or data.fashion_mnist { split = "train", normalize = true }
  local rows = { { (k - 1) * size + 1, k * size } }
  return images.inputs[rows]:reshape(size, 784):to("float64"), images.targets[rows]
end

--- 784 -> width -> … -> width -> 10, biases 0, `init(weight)` on every weight, `activation()` after each hidden layer.
--- Hidden Linear layers are named h1..hL, the last one "out". float64.
function science.mlp(opts)
  local net = nn.Sequential {}
  for i = 1, opts.depth do
    net:add("h" .. i, nn.Linear(i == 1 and (opts.inputs or 784) or opts.width, opts.width))
    if opts.norm then net:add("n" .. i, opts.norm(opts.width)) end
    net:add("a" .. i, opts.activation())
  end
  net:add("out", nn.Linear(opts.width, 10))
  net:to("float64")
  for name, p in net:named_parameters() do
    if name:match("^n%d") then -- a normalisation keeps its own start
    elseif name:match("weight$") then opts.init(p) else nn.init.constant_(p, 0) end
  end
  return net
end

--- One forward and backward of the mean cross-entropy, measured by a probe: { delta = {1..L}, weight = {1..L}, out = }
--- (root mean squares; out is the output layer's weight gradient).
function science.measure(net, depth, x, y)
  local probe <close> = sonde.probe.attach(net)
  nn.CrossEntropyLoss()(net(x), y):backward()
  probe:step()
  local row = probe:last()
  local function rms(cell) return cell.l2_norm / math.sqrt(cell.n_elements) end
  local found = { delta = {}, weight = {}, out = rms(row.weight_grad["out.weight"]) }
  for i = 1, depth do
    found.delta[i] = rms(row.activation_grad["h" .. i])
    found.weight[i] = rms(row.weight_grad["h" .. i .. ".weight"])
  end
  net:zero_grad()
  return found
end

--- The factor per layer going down, between layers `from` and the last: (d_from/d_L)^(1/(L-from)).
function science.step(delta, from)
  local depth = #delta
  return (delta[from] / delta[depth]) ^ (1 / (depth - from))
end

function science.geometric_mean(values)
  local sum = 0
  for _, v in ipairs(values) do sum = sum + math.log(v) end
  return math.exp(sum / #values)
end

--- Least squares of y on x: slope, coefficient of determination.
function science.line(x, y)
  local n, sx, sy, sxx, sxy, syy = #x, 0, 0, 0, 0, 0
  for i = 1, n do
    sx, sy = sx + x[i], sy + y[i]
    sxx, sxy, syy = sxx + x[i] ^ 2, sxy + x[i] * y[i], syy + y[i] ^ 2
  end
  local cxx, cxy, cyy = sxx - sx * sx / n, sxy - sx * sy / n, syy - sy * sy / n
  return cxy / cxx, cxy ^ 2 / (cxx * cyy)
end

--- Calls fn(seed) for seeds 1..n after seeding everything; returns what it returned as a list.
function science.seeds(n, fn)
  local results = {}
  for seed = 1, n do
    sonde.manual_seed(seed)
    results[seed] = fn(seed)
  end
  return results
end

--- Raises unless low <= value <= high, saying what was measured.
function science.within(what, value, low, high)
  if not (value >= low and value <= high) then
    error(("%s = %.6g is outside [%.6g, %.6g]"):format(what, value, low, high), 2)
  end
end

return science
