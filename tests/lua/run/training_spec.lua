--- run:evaluate, run:fit, run:batches, and that a run is the same each time whoever watches.
local h5 = require "sonde.h5"
local process = require "support.process"
local recipe = require "support.recipe"
local runs = require "sonde.run"

local function run(dir, parts, options)
  recipe.write(dir / "r.lua", parts)
  options = options or {}
  options.out = dir / (options.out or "o.h5")
  return runs(dir / "r.lua", options), function(path) return (assert(h5.read(options.out, path))) end
end

--- That it fails with this message at a line of the recipe. (error_matches would cut the line away.)
local function fails(parts, message)
  local dir <close> = process.tempdir()
  local ok, problem = pcall(run, dir, parts)
  assert.falsy(ok)
  assert.truthy(problem:find("r.lua:%d+: .*" .. message), problem)
end

describe("the same recipe and seed", function()
  it("give the same bits, another seed gives others", function()
    local dir <close> = process.tempdir()
    local _, a = run(dir, nil, { seed = 3, out = "a.h5" })
    local _, b = run(dir, nil, { seed = 3, out = "b.h5" })
    local _, c = run(dir, nil, { seed = 4, out = "c.h5" })
    for _, path in ipairs { "/metrics/loss", "/weight_grad/l2_norm", "/activation/mean", "/weight_grad_hist/counts" } do
      assert.truthy(a(path):equal(b(path)), path)
    end
    assert.falsy(a "/metrics/loss":equal(c "/metrics/loss"))
  end)

  it("give the same bits for any number of threads", function()
    local dir <close> = process.tempdir()
    recipe.write(dir / "r.lua")
    for threads = 1, 3 do
      local result = process.sonde({ "run", "r.lua", "--quiet", "--set", "width=300", "--threads", threads, "-o",
        threads .. ".h5" }, { cwd = tostring(dir) })
      assert.equal(0, result.code, result.stderr)
    end
    for _, path in ipairs { "/metrics/loss", "/weight_grad/l2_norm" } do
      local one = assert(h5.read(dir / "1.h5", path))
      for threads = 2, 3 do assert.truthy(one:equal(assert(h5.read(dir / (threads .. ".h5"), path))), path) end
    end
  end)

  it("give the same losses with and without probes, logs and evaluations", function()
    local dir <close> = process.tempdir()
    local _, a = run(dir, nil, { out = "a.h5" })
    local _, b = run(dir, { log = [[run:log { loss = loss:item() }
      run:evaluate(net, train)
      run:generator("x"):uniform()]] }, { out = "b.h5" })
    local text = recipe.text():gsub("run:probe%(net%)", "")
    process.write(dir / "r.lua", text)
    runs(dir / "r.lua", { out = dir / "c.h5" })
    assert.truthy(a "/metrics/loss":equal(b "/metrics/loss"))
    assert.truthy(a "/metrics/loss":equal(assert(h5.read(dir / "c.h5", "/metrics/loss"))))
  end)

  it("may be a table in a script", function()
    local dir <close> = process.tempdir()
    local given = { name = "t", params = { n = 2 }, run = function(p, r)
      for i = 1, p.n do r:log { loss = i } end
      return { u = require "sonde".rand(1):item() }
    end }
    local a = runs(given, { set = { n = 5 }, out = dir / "a.h5" })
    local b = runs(given, { out = dir / "b.h5" })
    assert.equal(5, a.steps)
    assert.equal(2, b.steps)
    assert.equal(a.result.u, b.result.u)
    assert.truthy(assert(h5.read(dir / "a.h5", "/run/recipe_source")):find("may be a table in a script", 1, true))
    assert.error_matches(function() runs(given, { set = { m = 1 }, out = dir / "c.h5" }) end, "unknown parameter 'm'")
    assert.error_matches(function() runs({ run = 3 }) end, "field 'run' must be a function")
    assert.error_matches(function() runs(given, { output = "x" }) end, "unknown option 'output'.*did you mean 'out'")
  end)

  it("leave the generators of the script that ran them alone", function()
    local sonde = require "sonde"
    local dir <close> = process.tempdir()
    sonde.manual_seed(5)
    local before = sonde.rand(2)
    sonde.manual_seed(5)
    run(dir)
    assert.truthy(before:equal(sonde.rand(2)))
  end)
end)

describe("run:evaluate", function()
  it("writes a row, restores every module's mode, and changes nothing", function()
    local dir <close> = process.tempdir()
    local outcome, read = run(dir, { after = [[
      net:add("drop", nn.Dropout(0.5))
      net[2]:eval()
      local score = run:evaluate(net, train, { batch_size = 7 })
      assert(net.training and not net[2].training and net[4].training)
      assert(sonde.is_grad_enabled())
      return score]] })
    assert.same({ 13 }, read "/validation/step":totable()) -- the open row's
    assert.equal(outcome.result.loss, read "/validation/loss"[1]:item())
    assert.truthy(outcome.result.accuracy > 0.5 and outcome.result.accuracy <= 1)
    assert.equal(12, #read "/weight_grad/step")
  end)

  it("asks for a loss where it cannot guess one", function()
    fails({ after = "run:evaluate(net, data.tensors { sonde.rand(5, 4), sonde.rand(5, 3) })" },
      "run:evaluate: name the loss")
  end)
end)

describe("run:fit", function()
  local fit = [[
    local sets, test = data.blobs { n = 96, classes = 3, features = 4 }:split(0.75)
    local net = nn.Sequential { nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3) }
    local last = run:fit { model = net, loss = nn.CrossEntropyLoss(), train = sets, valid = test, batch_size = 16,
      optimizer = optim.SGD(net:parameters(), { lr = 0.1 }), $options }
    do return last end]]

  it("is the whole loop: trains, probes, clips, evaluates each epoch", function()
    local dir <close> = process.tempdir()
    local outcome, read = run(dir, { before = fit:gsub("$options", "epochs = 3, clip = 0.5") })
    assert.equal(15, outcome.steps) -- 72 samples, 5 batches
    assert.same({ 6, 11, 16 }, read "/validation/step":totable())
    assert.equal(outcome.result.accuracy, read "/validation/accuracy"[3]:item())
    assert.equal(15, #read "/weight_grad/step")
    assert.truthy(read "/metrics/clip_coef"[1]:item() <= 1)
    assert.truthy(read "/metrics/loss"[15]:item() < read "/metrics/loss"[1]:item())
  end)

  it("says what is missing or unknown", function()
    for options, message in pairs {
      ["scheduler = 3"] = "run:fit: scheduler is one of sonde.optim.lr_scheduler, got number",
      ["epoch = 3"] = "unknown option 'epoch' %(did you mean 'epochs'%?%)",
      ["clip = -1"] = "run:fit: clip is the largest norm",
      ["on_nonfinite = 'halt'"] = "unknown choice 'halt'",
    } do
      fails({ before = fit:gsub("$options", options) }, message)
    end
  end)
end)

describe("run:batches", function()
  it("visits every sample once an epoch, in another order each time", function()
    local dir <close> = process.tempdir()
    local outcome = run(dir, { before = [[
      local n = 10
      local x = sonde.arange(1, 11, { dtype = "float32" }):reshape(n, 1)
      local set = data.tensors { x, sonde.ones(n, { dtype = "int64" }) }
      local seen = {}
      for x in run:batches(set, { batch_size = 4, epochs = 2 }) do
        for i = 1, #x do seen[#seen + 1] = x[i]:item() end
      end
      do return { seen = seen } end]] })
    local seen = outcome.result.seen
    local first, second = table.move(seen, 1, 10, 1, {}), table.move(seen, 11, 20, 1, {})
    assert.equal(20, #seen)
    assert.not_same(first, second)
    table.sort(first)
    table.sort(second)
    assert.same({ 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 }, first)
    assert.same(first, second)
  end)
end)
