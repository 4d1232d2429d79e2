--- /skip: the gradients that come back by way of a block's skip and by way of its branch, against a backward of each by
--- itself, the other way being cut off.
local h5 = require "sonde.h5"
local process = require "support.process"
local runs = require "sonde.run"
local sonde = require "sonde"
local nn, optim = sonde.nn, sonde.optim

local f64 = { dtype = "float64" }

-- What each block does, its two ways from the input on apart: { end of the probe's name, function(skip, branch) }, …
local ways = {}

function ways.Residual(m)
  local factor = m.scale and m.scale:detach() or tonumber(tostring(m):match "scale=([%d.]+)") or 1
  return { { "", function(s, b) return (m.shortcut and m.shortcut(s) or s) + m.block(b) * factor end } }
end

function ways.DenseSkip(m)
  return { { "", function(s, b) return sonde.cat({ s, m.block(b) }, 2) end } } -- the channels
end

function ways.Highway(m)
  return { { "", function(s, b)
    local t = m.gate(b):sigmoid()
    return s * (1 - t) + m.block(b) * t
  end } }
end

function ways.TransformerEncoderLayer(m)
  local function attention(x) return (m.self_attn(x, x, x)) end
  local function feed_forward(x) return m.linear2(m.activation(m.linear1(x))) end
  if tostring(m):find "norm_first=true" then
    return { { ".self_attn", function(s, b) return s + attention(m.norm1(b)) end },
             { ".feed_forward", function(s, b) return s + feed_forward(m.norm2(b)) end } }
  end
  return { { ".self_attn", function(s, b) return m.norm1(s + attention(b)) end },
           { ".feed_forward", function(s, b) return m.norm2(s + feed_forward(b)) end } }
end

-- The stages of a Sequential, in order: { probe = its name or nil, run = function(skip, branch) }.
local function stages_of(net)
  local stages = {}
  for i, m in ipairs(net:children()) do
    local block = ways[tostring(m):match "^%w+"]
    if block then
      for _, way in ipairs(block(m)) do stages[#stages + 1] = { probe = i .. way[1], run = way[2] } end
    else
      stages[#stages + 1] = { run = function(x) return (m(x)) end }
    end
  end
  return stages
end

-- dL/d(input of stage k), by way of the skip alone or of the branch alone.
local function by_way(stages, k, x, loss, of_branch)
  for i = 1, k - 1 do x = stages[i].run(x, x) end
  local cut, open = x:detach(), x:detach():clone():requires_grad_()
  x = stages[k].run(of_branch and cut or open, of_branch and open or cut)
  for i = k + 1, #stages do x = stages[i].run(x, x) end
  loss(x):backward()
  return open.grad
end

local function near(want, got, what)
  assert(math.abs(want - got) <= 1e-11 * math.max(math.abs(want), 1e-2),
    ("%s: %.17g, expected %.17g"):format(what, got, want))
end

local function compare(skip, branch, row, what)
  local s, b = skip:norm():item(), branch:norm():item()
  near(s, row.skip_l2_norm, what .. " skip_l2_norm")
  near(b, row.branch_l2_norm, what .. " branch_l2_norm")
  near(b * b / (s * s + b * b), row.branch_share, what .. " branch_share")
  near((skip * branch):sum():item() / (s * b), row.cosine, what .. " cosine")
end

local function measure(net, call, options)
  local probe <close> = sonde.probe.attach(net, options)
  call(net)
  probe:step()
  return probe:last().skip
end

local function loss(y) return (y * y):sum() + y:sin():sum() end

-- Compares every probe of a Sequential with its blocks written out; returns the row.
local function check(net, x)
  net:to("float64")
  local row = measure(net, function() loss(net(x)):backward() end)
  local stages, names = stages_of(net), {}
  for k, stage in ipairs(stages) do
    if stage.probe then
      local skip, branch = by_way(stages, k, x, loss, false), by_way(stages, k, x, loss, true)
      assert(row[stage.probe], stage.probe)
      compare(skip, branch, row[stage.probe], stage.probe)
      names[stage.probe] = true
    end
  end
  for name in pairs(row) do assert(names[name] or name:find "block", name) end
  return row
end

local function mlp(n, m) return nn.Sequential { nn.Linear(n, 7), nn.Tanh(), nn.Linear(7, m or n) } end
local function is_nan(x) return x ~= x end

describe("/skip", function()
  it("has both gradients of Residual, DenseSkip and Highway", function()
    sonde.manual_seed(3)
    local rezero, outer = nn.ReZero(mlp(5)), mlp(5)
    rezero.scale:detach():fill_(0.4)
    outer:add(nn.Highway(mlp(5), 5))
    local row = check(nn.Sequential {
      nn.Linear(3, 5), nn.Residual(mlp(5)), nn.Tanh(), rezero, nn.LayerNorm(5), nn.Highway(mlp(5), 5),
      nn.Residual(mlp(5), { scale = 0.3 }), nn.Residual(mlp(5, 4), { shortcut = nn.Linear(5, 4) }),
      nn.DenseSkip(mlp(4, 3)), nn.DenseSkip(nn.ReLU()), nn.Linear(14, 5), nn.Residual(outer), nn.Linear(5, 2) },
      sonde.randn(6, 3, f64))
    assert.truthy(row["12.block.4"].branch_l2_norm > 0, "a block inside a block")
    assert.same({ "Residual", "block", "2", 1 }, { row["2"].module, row["2"].role, row["2"].layer, row["2"].depth })
    assert.equal(3, row["4"].depth)
    check(nn.Sequential { nn.Conv2d(1, 2, 3), nn.Residual(nn.Conv2d(2, 2, 3, { padding = 1 })),
                          nn.DenseSkip(nn.Conv2d(2, 3, 3, { padding = 1 })) }, sonde.randn(2, 1, 6, 6, f64))
  end)

  it("has both sums of an encoder layer, normalised before or after", function()
    for _, norm_first in ipairs { false, true } do
      sonde.manual_seed(4)
      local layer = nn.TransformerEncoderLayer(4, 2, { dim_feedforward = 6, dropout = 0, norm_first = norm_first })
      local row = check(nn.Sequential { nn.Linear(3, 4), layer, nn.Linear(4, 2) }, sonde.randn(5, 2, 3, f64))
      assert.equal("feed_forward", row["2.feed_forward"].role)
      assert.equal("2", row["2.self_attn"].layer)
    end
    local encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2), 2)
    local row = measure(encoder, function() loss(encoder(sonde.randn(5, 2, 4):requires_grad_())):backward() end)
    assert.truthy(row["layers.2.self_attn"].skip_l2_norm > 0)
  end)

  it("pools the forwards and backwards of a step, as one long gradient", function()
    sonde.manual_seed(5)
    local net = nn.Sequential { nn.Linear(3, 5), nn.Residual(mlp(5)) }
    net:to("float64")
    local x, y = sonde.randn(6, 3, f64), sonde.randn(2, 3, f64)
    local stages, skips, branches = stages_of(net), {}, {}
    for i, input in ipairs { x, y, y } do
      skips[i] = by_way(stages, 2, input, loss, false):reshape(-1)
      branches[i] = by_way(stages, 2, input, loss, true):reshape(-1)
    end
    local row = measure(net, function()
      loss(net(x)):backward()
      local again = loss(net(y))
      again:backward(nil, { retain_graph = true })
      again:backward()
      net(x) -- reached by none
      net:eval()
      loss(net(x)):backward()
      net:train()
    end, { what = { "skip" } })
    compare(sonde.cat(skips, 1), sonde.cat(branches, 1), row["2"], "pooled")
    local block = net[2]
    local shared = nn.Sequential { net[1], block, nn.Tanh(), block }
    row = measure(shared, function() loss(shared(x)):backward() end)
    stages = stages_of(shared)
    skips = { by_way(stages, 2, x, loss, false), by_way(stages, 4, x, loss, false) }
    branches = { by_way(stages, 2, x, loss, true), by_way(stages, 4, x, loss, true) }
    compare(sonde.cat(skips, 1), sonde.cat(branches, 1), row["2"], "shared")
  end)

  it("says what does not come, what is too large to square, and what cannot be told", function()
    local function row_of(net, x, factor)
      return measure(net, function() (net(x) * (factor or 1)):sum():backward() end, { what = { "skip" } })["2"]
    end
    local function front() return nn.Linear(3, 3, f64) end
    local x = sonde.randn(4, 3, f64)
    local row = row_of(nn.Sequential { front(), nn.Residual(nn.Sequential { nn.GradientStop(), front() }) }, x)
    assert.same({ 0, 0, true }, { row.branch_share, row.branch_l2_norm, is_nan(row.cosine) })
    near(12 ^ 0.5, row.skip_l2_norm, "skip")
    row = row_of(nn.Sequential { front(), nn.Residual(front(), { shortcut = nn.GradientStop() }) }, x)
    assert.same({ 1, 0, true }, { row.branch_share, row.skip_l2_norm, is_nan(row.cosine) })
    row = row_of(nn.Sequential { front(), nn.Residual(nn.Identity()) }, x)
    near(0.5, row.branch_share, "share")
    near(1, row.cosine, "cosine")
    row = row_of(nn.Sequential { front(), nn.Residual(nn.Identity(), { scale = 1e-3 }) }, x, 1e300)
    near(1e-6 / (1 + 1e-6), row.branch_share, "share of huge gradients")
    near(1, row.cosine, "cosine of huge gradients")
    row = row_of(nn.Sequential { front(), nn.Residual(nn.GradientReversal()) }, x, 1e-300)
    near(0.5, row.branch_share, "share of tiny gradients")
    near(-1, row.cosine, "cosine of tiny gradients")
    row = row_of(nn.Sequential { front(), nn.Residual(nn.Identity()) }, x, 0)
    assert.truthy(is_nan(row.branch_share) and is_nan(row.cosine) and row.skip_l2_norm == 0)
    row = row_of(nn.Sequential { front(), nn.Residual(nn.Identity()) }, x, 1 / 0)
    assert.truthy(is_nan(row.branch_share) and is_nan(row.cosine) and row.skip_l2_norm == 1 / 0)
    row = row_of(nn.Sequential { nn.Identity(), nn.Residual(front()) }, x) -- needs no gradient
    assert.truthy(is_nan(row.branch_share) and is_nan(row.skip_l2_norm))
    local strided = x:t():contiguous():t():requires_grad_()
    local residual = nn.Residual(front())
    row = measure(residual, function() residual(strided):sum():backward() end)
    near(12 ^ 0.5, row.Residual.skip_l2_norm, "a block that is the network")
    residual(x[{ { 1 }, {} }]:expand(4, 3):requires_grad_()):sum():backward()
  end)

  it("measures the transform gate of a Highway for /gate", function()
    sonde.manual_seed(6)
    local net = nn.Sequential { nn.Linear(3, 5) }
    net:add("hw", nn.Highway(nn.Linear(5, 5), 5, { gate_bias = -1 }))
    net:to("float64")
    local x = sonde.randn(40, 3, f64) * 8
    local probe <close> = sonde.probe.attach(net, { what = { "gate" } })
    net(x) -- reached by none
    local y = net(x):sum()
    y:backward(nil, { retain_graph = true })
    y:backward()
    probe:step()
    local t, open, closed, saturated = net[2].gate(net[1](x)):sigmoid():reshape(-1), 0, 0, 0
    for _, v in ipairs(t:totable()) do
      open = open + (v > 0.9 and 1 or 0)
      closed = closed + (v < 0.1 and 1 or 0)
      saturated = saturated + (v * (1 - v) < 0.0125 and 1 or 0)
    end
    local row = probe:last().gate["hw.transform"]
    assert.truthy(open > 0 and closed > 0 and saturated > 0)
    near(t:mean():item(), row.openness, "openness")
    assert.same({ open / 200, closed / 200, saturated / 200 }, { row.open_frac, row.closed_frac, row.saturated_frac })
    assert.same({ "Highway", "transform", "hw" }, { row.module, row.role, row.layer })
  end)

  it("goes by its cadence, measures fixed samples, and changes no bit of the training", function()
    local function train(options)
      sonde.manual_seed(7)
      local net = nn.Sequential {
        nn.Linear(3, 8), nn.Residual(mlp(8)), nn.ReZero(mlp(8)), nn.Highway(mlp(8), 8),
        nn.TransformerEncoderLayer(8, 2, { dim_feedforward = 12 }), nn.DenseSkip(mlp(8, 4), -1), nn.Linear(12, 2) }
      local opt = optim.SGD(net:parameters(), { lr = 0.01 })
      local probe, rows = options and sonde.probe.attach(net, options), {}
      for k = 1, 5 do
        opt:zero_grad()
        loss(net(sonde.randn(6, 4, 3))):backward()
        opt:step()
        if probe then
          probe:step()
          rows[k] = probe:last().skip["2"].branch_share
        end
      end
      if probe then probe:remove() end
      return net, rows
    end
    local function same(a, b)
      local others = b:parameters()
      for i, p in ipairs(a:parameters()) do assert.truthy(p:detach():equal(others[i]:detach()), i) end
    end
    local plain, probed = train(nil), train {}
    local rows
    same(plain, probed)
    probed, rows = train { every = 2, what = { "skip", "gate" } }
    same(plain, probed)
    assert.equal(rows[1], rows[2])
    assert.not_equal(rows[1], rows[3])
    same(plain, (train { input = sonde.ones(2, 4, 3), loss = loss }))
  end)

  it("is a group of the file that xarray opens and sonde check accepts", function()
    local dir <close> = process.tempdir()
    runs({ name = "skips", run = function(_, run)
      local net = nn.Sequential { nn.Linear(3, 4) }
      net:add("res", nn.Residual(nn.Linear(4, 4)))
      net:add("enc", nn.TransformerEncoderLayer(4, 2))
      run:probe(net)
      for n = 2, 4 do
        loss(net(sonde.randn(n, 2, 3))):backward()
        run:log { loss = 0 }
      end
    end }, { out = dir / "o.h5" })
    local file = assert(h5.open(dir / "o.h5"))
    assert.same({ "res", "enc.self_attn", "enc.feed_forward" }, file:read "/skip/probe")
    assert.same({ "res", "enc", "enc" }, file:read "/skip/layer")
    assert.same({ "block", "self_attn", "feed_forward" }, file:read "/skip/role")
    file:close()
    local script = [[
import sys, xarray as xr
for engine in "h5netcdf", "netcdf4":
    d = xr.open_dataset(sys.argv[1], group="skip", engine=engine)
    for name in "branch_share", "cosine", "skip_l2_norm", "branch_l2_norm":
        assert d[name].dims == ("step", "probe") and d[name].shape == (3, 3), d[name]
    assert d.skip_l2_norm.dtype == "float64" and d.cosine.dtype == "float32"
    assert ((d.branch_share > 0) & (d.branch_share < 1)).all() and (abs(d.cosine) <= 1).all()
    assert list(d.depth.values) == [1, 2, 2], d.depth
]]
    local result = process.python(script, { tostring(dir / "o.h5") })
    assert.equal(0, result.code, result.stderr)
    result = process.sonde { "check", dir / "o.h5" }
    assert.equal(0, result.code, result.stdout .. result.stderr)
  end)
end)
