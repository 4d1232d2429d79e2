--- A loss or a gradient that is not finite: an event, a line on stderr, and what on_nonfinite says.
local h5 = require "sonde.h5"
local process = require "support.process"
local recipe = require "support.recipe"

--- From step 4 on the input is not finite; once: at step 4 alone.
local poison = "if run.step + 1 %s 4 then x = x * (0 / 0) end"

local function run(reaction, comparison)
  local dir = process.tempdir()
  recipe.write(dir / "r.lua", { fields = reaction and ("on_nonfinite = '%s',"):format(reaction) or "",
    forward = poison:format(comparison or ">=") })
  local result = process.sonde({ "run", "r.lua", "--quiet" }, { cwd = tostring(dir) })
  local file = assert(h5.open(dir / "small.h5"))
  getmetatable(dir).__close(dir)
  return result, file
end

local function events(file)
  local list, messages = {}, file:read "/events/message"
  local step, code = file:read "/events/step", file:read "/events/code"
  for i = 1, #step do list[i] = { step = step[i]:item(), code = code[i]:item(), text = messages[i] } end
  return list
end

local codes = require "sonde.run.events".codes

local function has(list, code, step)
  for _, event in ipairs(list) do
    if event.code == codes[code] and event.step == step then return true end
  end
end

describe("on_nonfinite", function()
  it("continue: goes on, with events and one line for each kind", function()
    local result, file = run(nil)
    assert.equal(0, result.code, result.stderr)
    local list = events(file)
    assert.truthy(has(list, "nonfinite_loss", 4))
    assert.truthy(has(list, "nonfinite_weight_grad", 4))
    assert.equal(12, file:attribute("/", "n_steps"))
    local _, said = result.stderr:gsub("the loss is NaN", "")
    assert.equal(1, said, result.stderr)
    assert.truthy(result.stderr:find("step 4: ", 1, true))
    assert.truthy(file:read "/weight_grad/n_nonfinite"[4]:sum():item() > 0)
    assert.equal(0, file:read "/weight_grad/n_nonfinite"[3]:sum():item())
    file:close()
  end)

  it("skip: leaves that step out, and the weights stay finite", function()
    local result, file = run("skip", "==")
    assert.equal(0, result.code, result.stderr)
    assert.truthy(has(events(file), "step_skipped", 4))
    local norm = file:read "/metrics/grad_norm":totable()
    assert.truthy(norm[4] ~= norm[4] and norm[5] == norm[5])
    local loss = file:read "/metrics/loss":totable()
    assert.truthy(loss[4] ~= loss[4])
    assert.truthy(loss[5] == loss[5] and loss[12] < loss[1])
    local update = file:read "/weight/update_l2_norm"
    assert.truthy(update[4][1]:item() ~= update[4][1]:item()) -- NaN: no step was made
    assert.truthy(update[5][1]:item() > 0)
    file:close()
  end)

  it("stop: ends the run after that row, and the file says why", function()
    local result, file = run("stop")
    assert.equal(1, result.code)
    assert.equal(4, file:attribute("/", "n_steps"))
    assert.equal("failed", file:attribute("/", "status"))
    assert.truthy(file:attribute("/", "error"):find("stopped at step 4: the loss is"), file:attribute("/", "error"))
    assert.truthy(result.stderr:find("stopped at step 4", 1, true), result.stderr)
    assert.truthy(has(events(file), "stopped", 4))
    file:close()
  end)
end)
