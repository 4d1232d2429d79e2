--- run:watch: taps on tensors of the recipe's own, with and without times.
local h5 = require "sonde.h5"
local process = require "support.process"
local runs = require "sonde.run"
local sonde = require "sonde"
local nn, optim = sonde.nn, sonde.optim

local function run(dir, body, name)
  local out = dir / (name or "o.h5")
  runs({ name = "watch", run = function(_, r) return body(r) end }, { out = out, force = true })
  return function(path) return (assert(h5.read(out, path))) end
end

local function place(read, group, name)
  for i, probe in ipairs(read("/" .. group .. "/probe")) do
    if probe == name then return i end
  end
end

local function cell(read, group, variable, name, row)
  return read("/" .. group .. "/" .. variable)[row][place(read, group, name)]:item()
end

describe("run:watch", function()
  it("measures a tensor like the output of a layer", function()
    local dir <close> = process.tempdir()
    local h, grad
    local read = run(dir, function(r)
      local net = r:model(nn.Sequential { nn.Linear(4, 8), nn.Linear(8, 3) })
      r:probe(net)
      for _ = 1, 3 do
        net:zero_grad()
        h = net[1](sonde.randn(6, 4)):relu()
        h:register_hook(function(g) grad = g end)
        assert(r:watch("hidden", h) == h)
        sonde.no_grad(function() r:watch("hidden", 1e9 * h) end)
        local loss = net[2](h):pow(2):mean()
        loss:backward()
        r:log { loss = loss:item() }
      end
    end)
    assert.near(h:norm():item(), cell(read, "activation", "l2_norm", "hidden", 3), 1e-5)
    assert.near(h:mean():item(), cell(read, "activation", "mean", "hidden", 3), 1e-6)
    assert.near(grad:norm():item(), cell(read, "activation_grad", "l2_norm", "hidden", 3), 1e-7)
    local i = place(read, "activation_grad", "hidden")
    assert.same({ "Tensor", "watched", "hidden" }, { read "/activation_grad/module"[i], read "/activation_grad/role"[i],
      read "/activation_grad/layer"[i] })
    assert.truthy(place(read, "activation_grad_hist", "hidden"))
  end)

  it("tells of a recurrence written by hand what it tells of an RNN", function()
    local dir <close> = process.tempdir()
    local T, rnn = 7, nn.RNN(3, 5, { batch_first = true })
    local w, u, b = rnn.weight_ih_l0, rnn.weight_hh_l0, rnn.bias_ih_l0 + rnn.bias_hh_l0
    local x = sonde.randn(4, T, 3)
    local read = run(dir, function(r)
      r:probe(rnn)
      for step = 1, 2 do
        rnn:zero_grad()
        local output = rnn(x)
        local loss = output:select(2, T):pow(2):sum() + output:select(2, 3):sum()
        loss:backward()
        local h, third = sonde.zeros(4, 5), nil
        for t = 1, step == 1 and T - 2 or T do -- the axis grows
          h = (x:select(2, t):matmul(w:detach():t()) + h:matmul(u:t()) + b:detach()):tanh()
          r:watch("mine", h, { time = t })
          if t == 3 then third = h end
        end
        loss = h:pow(2):sum() + third:sum()
        loss:backward()
        r:log { loss = loss:item() }
      end
    end)
    local norms = read "/hidden_grad/l2_norm"[2]
    local a, c = place(read, "hidden_grad", "mine"), place(read, "hidden_grad", "RNN.hidden_l0")
    c = c or place(read, "hidden_grad", "hidden_l0")
    for t = 1, T do assert.near(norms[c][t]:item(), norms[a][t]:item(), 1e-5) end
    local first = read "/hidden_grad/l2_norm"[1][a][T]:item()
    assert.truthy(first ~= first) -- not watched then
  end)

  it("works without any other probe, counts what needs no gradient at once, and pools", function()
    local dir <close> = process.tempdir()
    local read = run(dir, function(r)
      local w = nn.Parameter(sonde.ones(3))
      for _ = 1, 2 do
        r:watch("input", sonde.full({ 2, 3 }, 2))
        for k = 1, 2 do r:watch("product", w * k) end
        r:log { loss = 0 }
      end
    end)
    assert.equal(2, cell(read, "activation", "mean", "input", 2))
    local product = cell(read, "activation", "mean", "product", 2)
    assert.truthy(product ~= product) -- no backward came
    local pooled = run(dir, function(r)
      local w = nn.Parameter(sonde.ones(3))
      for _ = 1, 2 do
        (r:watch("product", w * 1):sum() + 3 * r:watch("product", w * 2):sum()):backward()
        r:log { loss = 0 }
      end
    end)
    assert.equal(1.5, cell(pooled, "activation", "mean", "product", 2))
    assert.equal(2, cell(pooled, "activation_grad", "mean", "product", 2))
    assert.equal(6, cell(pooled, "activation_grad", "n_elements", "product", 2))
  end)

  it("takes leaves, whose gradient is the whole", function()
    local dir <close> = process.tempdir()
    local read = run(dir, function(r)
      local w = sonde.ones(3):requires_grad_()
      for _ = 1, 2 do
        w.grad = nil
        r:watch("leaf", w)
        w:sum():backward()
        w:mul(2):sum():backward()
        r:log { loss = 0 }
      end
    end)
    assert.equal(3, cell(read, "activation_grad", "mean", "leaf", 2))
  end)

  it("changes no bit of the training", function()
    local dir <close> = process.tempdir()
    local function body(watch)
      return function(r)
        local net = r:model(nn.Sequential { nn.Linear(4, 8), nn.Dropout(0.5), nn.Linear(8, 3) })
        local opt = r:optimizer(optim.Adam(net:parameters()))
        for _ = 1, 5 do
          opt:zero_grad()
          local h = net[2](net[1](sonde.randn(6, 4)))
          if watch then r:watch("h", h) end
          local loss = net[3](h):pow(2):mean()
          loss:backward()
          opt:step()
          r:log { loss = loss:item() }
        end
        return { w = net[1].weight:detach() }
      end
    end
    local plain, watched = run(dir, body(false), "a.h5"), run(dir, body(true), "b.h5")
    assert.truthy(plain "/result/w":equal(watched "/result/w"))
    assert.truthy(plain "/metrics/loss":equal(watched "/metrics/loss"))
  end)

  it("is in the table of peek, and its file follows the format", function()
    local dir <close> = process.tempdir()
    local recipe, out = dir / "r.lua", dir / "o.h5"
    process.write(recipe, [[
local sonde = require "sonde"
local nn = sonde.nn
return { name = "r", run = function(_, run)
  local net = run:model(nn.Sequential { nn.Linear(2, 2) })
  local opt = run:optimizer(sonde.optim.SGD(net:parameters(), { lr = 0.1 }))
  run:probe(net)
  run:measure("own", { on = "activation", fn = function(t) return t:numel() end })
  for _ = 1, 3 do
    opt:zero_grad()
    local h = run:watch("tapped", net(sonde.ones(3, 2)), { time = 2 })
    h:sum():backward()
    opt:step()
    run:log { loss = 1 }
  end
end }]])
    local peek = process.sonde { "peek", recipe }
    assert.equal(0, peek.code, peek.stderr)
    assert.truthy(peek.stdout:find("tapped%s+Tensor%s+3×2"), peek.stdout)
    assert.equal(0, process.sonde({ "run", recipe, "-o", out }).code)
    local check = process.sonde { "check", out }
    assert.equal(0, check.code, check.stdout)
    for _, command in ipairs { "show", "diagnose" } do
      local result = process.sonde { command, out }
      assert.equal(0, result.code, result.stderr)
    end
  end)

  it("refuses what it cannot do, and says what can be done", function()
    local dir <close> = process.tempdir()
    local function refused(pattern, body)
      local ok, message = pcall(run, dir, body)
      assert.falsy(ok)
      assert.truthy(message:find(pattern, 1, true), message)
    end
    local t = sonde.ones(2):requires_grad_()
    refused("expected a name, got number", function(r) r:watch(3, t) end)
    refused("'h': expected a tensor, got nil", function(r) r:watch("h") end)
    refused("time counts the steps of a recurrence from 1, got 0", function(r) r:watch("h", t, { time = 0 }) end)
    refused("did you mean 'time'?", function(r) r:watch("h", t, { tim = 1 }) end)
    refused("what is watched has a fraction", function(r) r:watch("h", sonde.ones(2, { dtype = "int64" })) end)
    refused("with and without a time", function(r)
      r:watch("h", t, { time = 1 })
      r:watch("h", t)
    end)
    refused("there is a probe '1' already", function(r)
      r:probe(nn.Sequential { nn.Linear(2, 2) })
      r:watch("1", t)
    end)
    refused("another network has a probe '1' already", function(r)
      r:watch("1", t)
      r:probe(nn.Sequential { nn.Linear(2, 2) })
    end)
    refused("'late' is new in step 2", function(r)
      r:watch("h", t)
      r:log { loss = 0 }
      r:watch("late", t)
    end)
    refused("call it before the first run:log", function(r)
      r:log { loss = 0 }
      r:watch("h", t)
    end)
    refused("256 tensors are watched already", function(r)
      for i = 1, 257 do r:watch("t" .. i, t) end
    end)
  end)
end)
