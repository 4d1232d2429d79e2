--- A file that grows, read again and again by others: each reading works and is consistent, and none goes back.
local process = require "support.process"
local recipe = require "support.recipe"

-- About 500 steps a second.
local tell = [[run:log { loss = loss:item() }
    local now = os.clock()
    repeat until os.clock() - now > 0.002
    if not told and run:seconds() > 1.5 then
      told = true
      io.open("rows", "w"):close()
    end]]

--- Runs an endless recipe, and beside it `reader` for the shell, until it ends; then kills the run. Returns what the
--- reader put out.
local function read_live(dir, reader)
  recipe.write(dir / "r.lua", { log = tell })
  local result = process.run(([[
    %s run r.lua --quiet --set steps=100000000 -o o.h5 2>err &
    pid=$!
    n=0
    until [ -f rows ] || [ $n -gt 200 ]; do sleep 0.05; n=$((n + 1)); done
    %s
    code=$?
    kill -9 $pid
    exit $code]]):format(process.quote(process.interpreter()[1]), reader), { cwd = tostring(dir), timeout = 120 })
  assert.equal(0, result.code, result.stderr .. result.stdout)
  return result.stdout
end

--- How far each reading came: lines of numbers. At least `least` of them, never fewer rows, in the end more.
local function grows(text, least)
  local first, last, n = nil, 0, 0
  for line in text:gmatch("[^\n]+") do
    local rows = assert(math.tointeger(line), line)
    assert.truthy(rows >= last, rows .. " rows after " .. last)
    first, last, n = first or rows, rows, n + 1
  end
  assert.truthy(n >= least, n .. " readings")
  assert.truthy(first > 0 and last > first, ("from %s to %s"):format(first, last))
end

describe("a file that is being written", function()
  it("is read from Lua at any moment", function()
    local dir <close> = process.tempdir()
    process.write(dir / "read.lua", [[
local h5, core = require "sonde.h5", require "sonde.core"
local began = core.system.clock()
while core.system.clock() - began < 4 do
  local file = assert(h5.open("o.h5.part"))
  local steps = assert(file:read("/weight_grad/step"))
  local norms = assert(file:read("/weight_grad/l2_norm"))
  local rows = math.min(steps:size(1), norms:size(1))
  for i = math.max(1, rows - 20), rows do
    assert(steps[i]:item() == i, "a step out of order")
    assert(norms[i][1]:item() > 0, "a row without its numbers")
  end
  print(rows)
  file:close()
end]])
    local program = process.quote(process.interpreter()[1])
    grows(read_live(dir, program .. " lua read.lua"), 20)
  end)

  it("is shown at any moment", function()
    local dir <close> = process.tempdir()
    local program = process.quote(process.interpreter()[1])
    local shown = read_live(dir, ([[
      i=0
      while [ $i -lt 25 ]; do
        %s show o.h5 --json >one 2>&1 || { cat one; exit 1; }
        cat one >>all
        sleep 0.1
        i=$((i + 1))
      done
      /usr/bin/python3 -c '
import json
decoder, text = json.JSONDecoder(), open("all").read().strip()
while text:
    one, end = decoder.raw_decode(text)
    assert one["live"] and one["writer"], one
    print(one["groups"]["weight_grad"]["rows"])
    text = text[end:].strip()
']]):format(program))
    grows(shown, 25)
  end)

  it("is read by h5py as well", function()
    local dir <close> = process.tempdir()
    process.write(dir / "read.py", [[
import time, h5py, numpy as np
began = time.time()
while time.time() - began < 4:
    with h5py.File("o.h5.part", "r", swmr=True) as f:
        step, norm = f["weight_grad/step"][:], f["weight_grad/l2_norm"][:]
        rows = min(len(step), len(norm))
        assert (step[:rows] == np.arange(1, rows + 1)).all(), step[:rows]
        assert (norm[:rows] > 0).all() and np.isfinite(norm[:rows]).all()
        counts, zero = f["weight_grad_hist/counts"][:], f["weight_grad_hist/n_zero"][:]
        n = min(len(counts), len(zero))
        sums = counts[:n].sum(axis=2) + zero[:n]
        assert (sums == f["weight_grad/n_elements"][:]).all()
        print(rows)
    time.sleep(0.02)
]])
    grows(read_live(dir, "/usr/bin/python3 read.py"), 20)
  end)
end)
