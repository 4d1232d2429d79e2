-- Processes that take training steps side by side, in turns, so that a machine that slows down slows down all of them.
local process = require "support.process"

local sides = { ROUNDS = 15 }

local SLICE = 80 -- ms of one side in one round

function sides.median(values)
  local sorted = table.move(values, 1, #values, 1, {})
  table.sort(sorted)
  local n = #sorted
  return n % 2 == 1 and sorted[n // 2 + 1] or (sorted[n // 2] + sorted[n // 2 + 1]) / 2
end

--- A process that takes n training steps when told so, and answers with milliseconds per step.
function sides.start(name, words, dir)
  local quoted = {}
  for i, word in ipairs(words) do quoted[i] = process.quote(word) end
  local fifo = dir / (name .. ".fifo")
  os.execute("mkfifo " .. process.quote(fifo))
  local side = { name = name, times = {} }
  side.input = io.popen(table.concat(quoted, " ") .. " >" .. process.quote(fifo), "w")
  side.output = io.open(fifo, "r")
  function side.take(n)
    side.input:write(n, "\n")
    side.input:flush()
    return tonumber(side.output:read("l") or error(name .. " ended early"))
  end
  side.take(3)
  side.slice = math.max(1, math.floor(SLICE / side.take(2)))
  return side
end

--- Runs all sides to the end; afterwards side.times has one entry a round.
function sides.take_turns(list)
  for _ = 1, sides.ROUNDS do
    for _, side in ipairs(list) do side.times[#side.times + 1] = side.take(side.slice) end
  end
  for _, side in ipairs(list) do
    side.input:close()
    side.output:close()
  end
end

--- Median over the rounds of a's time by b's.
function sides.ratio(a, b)
  local values = {}
  for i, time in ipairs(a.times) do values[i] = time / b.times[i] end
  return sides.median(values)
end

--- PyTorch's version, or nil.
function sides.torch()
  local result = process.python "import torch; print(torch.__version__, end='')"
  return result.code == 0 and result.stdout or nil
end

function sides.print_torch(torch)
  print(torch and "PyTorch " .. torch .. ", eager, one thread on both sides"
    or "PyTorch is not installed: apt-get install python3-torch gives it to /usr/bin/python3; sonde alone:")
end

--- Operations a second of a large matrix product, the best of many: what the machine can do.
function sides.peak()
  local sonde, core = require "sonde", require "sonde.core"
  local N, best = 512, math.huge
  local a, b = sonde.randn(N, N), sonde.randn(N, N)
  for _ = 1, 50 do
    local begin = core.system.clock()
    a:matmul(b)
    best = math.min(best, core.system.clock() - begin)
  end
  return 2 * N ^ 3 / best
end

return sides
