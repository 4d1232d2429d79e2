--- /metrics: columns, rows, late names, the open row, what fills itself.
local h5 = require "sonde.h5"
local process = require "support.process"
local recipe = require "support.recipe"

--- Runs the small recipe as a program; returns the result and a reader of its file.
local function run(dir, parts, arguments)
  recipe.write(dir / "r.lua", parts)
  local result = process.sonde({ "run", "r.lua", "--quiet", table.unpack(arguments or {}) }, { cwd = tostring(dir) })
  return result, function(path) return (assert(h5.read(dir / "small.h5", path))) end
end

local function is_nan(x) return x ~= x end

describe("a run", function()
  it("writes a row per step, with lr, the gradient's norm, time and epoch", function()
    local dir <close> = process.tempdir()
    local result, read = run(dir)
    assert.equal(0, result.code, result.stderr)
    assert.same({ 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 }, read "/metrics/step":totable())
    assert.equal(0.1, read "/metrics/lr"[12]:item())
    assert.truthy(read "/metrics/grad_norm"[1]:item() > 0)
    assert.truthy(is_nan(read "/metrics/clip_coef"[1]:item()))
    assert.equal(2, read "/metrics/epoch"[12]:item()) -- 12 batches of 16 of 96 samples
    assert.near(1 / 6, read "/metrics/epoch"[1]:item(), 1e-12)
    local time = read "/metrics/time":totable()
    for i = 2, 12 do assert.truthy(time[i] >= time[i - 1]) end
    assert.truthy(read "/metrics/loss"[12]:item() < read "/metrics/loss"[1]:item())
  end)

  it("has the probes' norm of the gradient, and without probes reads the gradients", function()
    local dir <close> = process.tempdir()
    local _, read = run(dir)
    local probed = read "/metrics/grad_norm":totable()
    local squares = 0
    for _, norm in ipairs(read "/weight_grad/l2_norm"[1]:totable()) do squares = squares + norm ^ 2 end
    assert.near(squares ^ 0.5, probed[1], 1e-6)
    local text = recipe.text():gsub("run:probe%(net%)", "")
    process.write(dir / "r.lua", text)
    assert.equal(0, process.sonde({ "run", "r.lua", "--quiet", "--force" }, { cwd = tostring(dir) }).code)
    for i, norm in ipairs(read "/metrics/grad_norm":totable()) do assert.near(probed[i], norm, 1e-6 * norm) end
  end)

  it("notes what clipping did, with the norm from before it", function()
    local dir <close> = process.tempdir()
    local _, read = run(dir, { update = "nn.utils.clip_grad_norm_(net:parameters(), 0.01)" })
    local norm, coef = read "/metrics/grad_norm"[1]:item(), read "/metrics/clip_coef"[1]:item()
    assert.truthy(norm > 0.01)
    assert.near(0.01 / (norm + 1e-6), coef, 1e-12)
  end)

  it("takes names from `metrics`, from the first row, and with one warning those that come late", function()
    local dir <close> = process.tempdir()
    local _, line = recipe.write(dir / "r.lua", {
      fields = "metrics = { 'accuracy' },",
      log = [[run:put { first = run.step == 0 and 7 or nil }
      run:log { loss = loss:item(), late = run.step >= 3 and run.step or nil } -- here]],
    }, "-- here")
    local result = process.sonde({ "run", "r.lua", "--quiet" }, { cwd = tostring(dir) })
    assert.equal(0, result.code, result.stderr)
    local function read(name) return (assert(h5.read(dir / "small.h5", "/metrics/" .. name))):totable() end
    assert.equal(7, read("first")[1])
    assert.truthy(is_nan(read("first")[2]))
    assert.truthy(is_nan(read("accuracy")[1]))
    local late = read("late")
    assert.truthy(is_nan(late[3]))
    assert.equal(3, late[4])
    assert.equal(11, late[12])
    local _, warnings = result.stderr:gsub("'late' is logged for the first time at step 4", "")
    assert.equal(1, warnings)
    assert.truthy(result.stderr:find("r.lua:" .. line .. ":", 1, true), result.stderr)
  end)

  it("writes the row that is open at its end", function()
    local dir <close> = process.tempdir()
    local result, read = run(dir, { after = "run:put { loss = 42 }" })
    assert.equal(0, result.code, result.stderr)
    assert.equal(42, read "/metrics/loss"[13]:item())
    assert.equal(13, #read "/weight_grad/step")
  end)

  it("refuses values that are no numbers and names that are taken, at the recipe's line", function()
    for code, message in pairs {
      ["run:log { loss = 'low' }"] = "run:log: 'loss' must be a number",
      ["run:log { time = 3 }"] = "run:log: 'time' is written by itself",
      ["run:put { ['a b'] = 3 }"] = "run:put: 'a b' is no name",
      ["run:put(3)"] = "run:put: expected a table of numbers, got number",
    } do
      local dir <close> = process.tempdir()
      local _, line = recipe.write(dir / "r.lua", { log = code .. " -- here" }, "-- here")
      local result = process.sonde({ "run", "r.lua", "--quiet" }, { cwd = tostring(dir) })
      assert.equal(1, result.code)
      assert.truthy(result.stderr:find(("sonde: r.lua:%d: %s"):format(line, message), 1, true), result.stderr)
    end
  end)

  it("has late columns, results and texts in the same order each time", function()
    local dir <close> = process.tempdir()
    local result = run(dir, {
      log = "run:log { loss = 1 }; run:put { e = 1, d = 1, c = 1, b = 1, a = 1 }",
      after = "return { z = 1, y = 1, x = 1, w = 1, v = 1 }",
    })
    assert.equal(0, result.code, result.stderr)
    local file <close> = assert(h5.open(dir / "small.h5"))
    local columns = file:list "/metrics"
    assert.same({ "a", "b", "c", "d", "e" }, table.move(columns, #columns - 4, #columns, 1, {}))
    assert.same({ "v", "w", "x", "y", "z" }, file:list "/result")
    local texts = file:list "/run"
    assert.same({ "environment", "model", "modules", "overrides", "params", "recipe_source" }, texts)
  end)

  it("keeps notes, tensors, events, the result, the sources", function()
    local dir <close> = process.tempdir()
    process.write(dir / "widths.lua", "return { 8 }")
    local result, read = run(dir, {
      before = "local widths = require 'widths'; p.width = widths[1]",
      log = "run:log { loss = loss:item() }; if run.step == 3 then run:event('third') end",
      after = [[run:note("why", "a test"); run:note("n", 3)
        run:save("w", net[1].weight, { "unit", "input" })
        return { answer = 42, list = { 1, 2 } }]],
    })
    assert.equal(0, result.code, result.stderr)
    assert.equal('{"n":3,"why":"a test"}', read "/run/notes")
    assert.same({ 8, 4 }, read "/arrays/w":shape())
    assert.equal(42, read "/result/answer")
    assert.same({ 1, 2 }, read "/result/list":totable())
    assert.equal('{"widths":"return { 8 }"}', read "/run/modules")
    assert.equal(process.read(dir / "r.lua"), read "/run/recipe_source")
    assert.equal('{"lr":0.1,"steps":12,"width":8}', read "/run/params")
    assert.same({ "third" }, read "/events/message")
    assert.same({ 4 }, read "/events/step":totable()) -- the step that was open
    assert.truthy(read "/run/environment":find('"hdf5":"%d'))
    assert.truthy(read "/run/model":find("Linear(in_features=4, out_features=8", 1, true))
  end)
end)
