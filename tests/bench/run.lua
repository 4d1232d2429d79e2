-- The benchmarks: `./sonde bench [steps] [start] [memory]` (all of them without an argument). They print figures beside
-- the aims and judge nothing.
local lfs = require "lfs"
local core = require "sonde.core"

local here = arg[0]:match("^(.*)/[^/]*$")
package.path = here .. "/../?.lua;" .. package.path
local process = require "support.process"
local nets = dofile(here .. "/nets.lua")
local exe = assert(lfs.symlinkattributes("/proc/self/exe", "target"))

local ROUNDS, SLICE = 15, 80 -- ms of one side in one round

local function median(values)
  local sorted = table.move(values, 1, #values, 1, {})
  table.sort(sorted)
  local n = #sorted
  return n % 2 == 1 and sorted[n // 2 + 1] or (sorted[n // 2] + sorted[n // 2 + 1]) / 2
end

-- ---- training steps --------------------------------------------------------------------------------------------

-- A process that takes n training steps when told so. All sides live side by side and take turns, so that a machine
-- that slows down slows down all of them.
local function start(name, words, dir)
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

-- Median over the rounds of a's time by b's.
local function ratio(a, b)
  local values = {}
  for i, time in ipairs(a.times) do values[i] = time / b.times[i] end
  return median(values)
end

local function has_torch()
  local result = process.python "import torch; print(torch.__version__, end='')"
  return result.code == 0 and result.stdout or nil
end

local function print_net(net, side, torch)
  print(("\n%s (tanh, cross-entropy, SGD with momentum; ms per step, median of %d rounds)"):format(net.name, ROUNDS))
  local function row(label, s, extra) print(("  %-46s %9.3f  %s"):format(label, median(s.times), extra or "")) end
  local function added(s) return ("%+.1f %% on the logging run"):format((ratio(s, side.run) - 1) * 100) end
  row("sonde, bare step", side.plain)
  row("sonde, run that logs the loss", side.run)
  row("  with gradient moments, histograms every 10th", side.probes,
    added(side.probes) .. (" (aim: at most %d %%)"):format(net.added))
  row("  with every default probe", side.all, added(side.all))
  row("  with PyTorch's full statistics, each step", side.full, added(side.full))
  if not torch then return end
  row("PyTorch, bare step", side.torch_plain)
  row("PyTorch, full statistics, each step", side.torch_full)
  local function speed(label, slow, fast, aim)
    print(("  %-46s %8.2fx  %s"):format(label, ratio(slow, fast), aim and ("(aim: at least %gx)"):format(aim) or ""))
  end
  speed("sonde is faster, bare step", side.torch_plain, side.plain, net.plain)
  speed("the same statistics, each step", side.torch_full, side.full, net.full)
  speed("our probes against their full statistics", side.torch_full, side.probes)
end

local function steps()
  local torch = has_torch()
  print(torch and "PyTorch " .. torch .. ", eager, one thread on both sides"
    or "PyTorch is not installed: apt-get install python3-torch gives it to /usr/bin/python3; sonde alone:")
  for i, net in ipairs(nets) do
    local dir <close> = process.tempdir()
    local sides, by_name = {}, {}
    local function add(name, words)
      local side = start(name, words, dir)
      sides[#sides + 1], by_name[name] = side, side
    end
    for _, variant in ipairs { "plain", "run", "probes", "full", "all" } do
      add(variant, { exe, "lua", here .. "/steps.lua", i, variant, dir })
    end
    for _, variant in ipairs(torch and { "plain", "full" } or {}) do
      add("torch_" .. variant,
        { "/usr/bin/python3", here .. "/torch_steps.py", net.depth, net.width, net.batch, variant })
    end
    for _ = 1, ROUNDS do
      for _, side in ipairs(sides) do side.times[#side.times + 1] = side.take(side.slice) end
    end
    for _, side in ipairs(sides) do
      side.input:close()
      side.output:close()
    end
    print_net(net, by_name, torch)
  end
end

-- ---- start and memory --------------------------------------------------------------------------------------------

local function time_command(command)
  local times = {}
  for i = 1, 30 do
    local begin = core.system.clock()
    os.execute(command)
    times[i] = (core.system.clock() - begin) * 1e3
  end
  return median(times)
end

local function start_up()
  local nothing = time_command "true"
  local quoted, launcher = process.quote(exe), process.quote(process.root .. "/sonde")
  print("\nstarting up (median of 30, without the shell's own time)")
  print(("  sonde lua -e ''             %6.1f ms (aim: under 20)"):format(
    time_command(quoted .. " lua -e ''") - nothing))
  print(("  sonde lua -e 'its modules'  %6.1f ms"):format(time_command(quoted ..
    [[ lua -e 'local s = require "sonde"; local _ = s.nn, s.optim, s.data, s.probe, s.h5']]) - nothing))
  print(("  ./sonde lua -e ''           %6.1f ms (the launcher, nothing to build)"):format(
    time_command(launcher .. " lua -e ''") - nothing))
end

local function memory()
  local dir <close> = process.tempdir()
  print "\nmemory (20 x 64, batch 32, every default probe, written to a file)"
  io.stdout:flush()
  os.execute(table.concat({ process.quote(exe), "lua", process.quote(here .. "/memory.lua"), process.quote(dir) }, " "))
end

local benchmarks = { steps = steps, start = start_up, memory = memory }
local wanted = #arg > 0 and { table.unpack(arg) } or { "start", "memory", "steps" }
for _, name in ipairs(wanted) do
  if not benchmarks[name] then
    io.stderr:write("unknown benchmark '", name, "'; there are: memory, start, steps\n")
    os.exit(2)
  end
end
for _, name in ipairs(wanted) do benchmarks[name]() end
