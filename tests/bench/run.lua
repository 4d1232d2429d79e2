-- The benchmarks: `./sonde bench [steps] [layers] [start] [memory] [files]` (all without an argument). They print
-- figures beside the aims and judge nothing.
local lfs = require "lfs"
local core = require "sonde.core"

local here = arg[0]:match("^(.*)/[^/]*$")
package.path = here .. "/../?.lua;" .. package.path
local process = require "support.process"
local sides = dofile(here .. "/sides.lua")
local nets = dofile(here .. "/nets.lua")
local exe = assert(lfs.symlinkattributes("/proc/self/exe", "target"))
local median, ratio = sides.median, sides.ratio

-- ---- training steps ------------------------------------------------------------------------------------------

local function print_net(net, side, torch)
  print(("\n%s (%scross-entropy, SGD with momentum; ms per step, median of %d rounds)"):format(
    net.name, net.cell and "" or "tanh, ", sides.ROUNDS))
  local function row(label, s, extra) print(("  %-46s %9.3f  %s"):format(label, median(s.times), extra or "")) end
  local function added(s, most)
    local percent = ("%+.1f %% on the logging run"):format((ratio(s, side.run) - 1) * 100)
    return percent .. (most and (" (aim: at most %d %%)"):format(most) or "")
  end
  row("sonde, bare step", side.plain)
  row("sonde, run that logs the loss", side.run)
  if net.cell then row("  with gradients and memory through time", side.time, added(side.time, net.added))
  else row("  with gradient moments, histograms every 10th", side.probes, added(side.probes, net.added)) end
  row("  with every default probe", side.all, added(side.all, net.all))
  if not net.cell then row("  with PyTorch's full statistics, each step", side.full, added(side.full)) end
  if not torch then return end
  local function torch_added(s)
    return ("%+.0f %% on its bare step"):format((ratio(s, side.torch_plain) - 1) * 100)
  end
  row("PyTorch, bare step", side.torch_plain)
  if net.cell then
    row("PyTorch, the same through time, by hooks", side.torch_time, torch_added(side.torch_time))
    return
  end
  row("PyTorch, full statistics, each step", side.torch_full, torch_added(side.torch_full))
  row("PyTorch, our default probes, by hooks", side.torch_all, torch_added(side.torch_all))
  local function speed(label, slow, fast, aim)
    print(("  %-46s %8.2fx  %s"):format(label, ratio(slow, fast), aim and ("(aim: at least %gx)"):format(aim) or ""))
  end
  speed("sonde is faster, bare step", side.torch_plain, side.plain, net.plain)
  speed("the same statistics, each step", side.torch_full, side.full, net.full)
  speed("our probes against their full statistics", side.torch_full, side.probes)
end

local function steps()
  local torch = sides.torch()
  sides.print_torch(torch)
  for i, net in ipairs(nets) do
    local dir <close> = process.tempdir()
    local list, by_name = {}, {}
    local function add(name, words)
      local side = sides.start(name, words, dir)
      if net.cell then side.slice = 10 end -- a whole cadence of histograms and /hidden_jacobian
      list[#list + 1], by_name[name] = side, side
    end
    local variants = net.cell and { "plain", "run", "time", "all" } or { "plain", "run", "probes", "full", "all" }
    for _, variant in ipairs(variants) do
      add(variant, { exe, "lua", here .. "/steps.lua", i, variant, dir })
    end
    for _, variant in ipairs(not torch and {} or net.cell and { "plain", "time" } or { "plain", "full", "all" }) do
      local words = net.cell and { "torch_sequence.py", net.inputs, net.width, net.length, net.batch, variant }
        or { "torch_steps.py", net.depth, net.width, net.batch, variant }
      words[1] = here .. "/" .. words[1]
      add("torch_" .. variant, { "/usr/bin/python3", table.unpack(words) })
    end
    sides.take_turns(list)
    print_net(net, by_name, torch)
  end
end

-- Layers whose aim is a speed beside PyTorch: layers.lua and torch_layers.py have the same.
local function layers()
  local torch = sides.torch()
  sides.print_torch(torch)
  print(("ms per training step, median of %d rounds"):format(sides.ROUNDS))
  for _, layer in ipairs(dofile(here .. "/layers.lua")) do
    local dir <close> = process.tempdir()
    local ours = sides.start("sonde", { exe, "lua", here .. "/layers.lua", layer.name }, dir)
    local theirs = torch and sides.start("torch", { "/usr/bin/python3", here .. "/torch_layers.py", layer.name }, dir)
    sides.take_turns { ours, theirs }
    print(("  %-5s %-46s sonde %7.3f   PyTorch %s"):format(layer.name, layer.about, median(ours.times),
      theirs and ("%7.3f, %.2fx (aim: at least %gx)"):format(median(theirs.times), ratio(theirs, ours), layer.aim)
        or "not installed"))
    print(("        %.2f times what its %.0f million multiplications take at the speed of a large product"):format(
      median(ours.times) / (layer.multiplications * 2 / sides.peak() * 1e3), layer.multiplications / 1e6))
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
  os.execute(process.quote(exe) .. " lua " .. process.quote(here .. "/sequence_memory.lua"))
end

-- ---- files -------------------------------------------------------------------------------------------------------

-- What 10,000 steps of the deepest network with every default probe leave behind.
local function files()
  local dir <close> = process.tempdir()
  local net = nets[1]
  print(("\nthe file of 10,000 steps (%s, every default probe)"):format(net.name))
  io.stdout:flush()
  local side = process.run({ exe, "lua", here .. "/steps.lua", 1, "all", dir }, { stdin = "10000\n" })
  assert(side.code == 0, side.stderr)
  local path = dir / "1-all.h5"
  print(("  size                %7.1f MB (aim: under 200)"):format(lfs.attributes(path, "size") / 1e6))
  local opened = process.run { "/usr/bin/python3", here .. "/open_xarray.py", path }
  if opened.code ~= 0 then print "  xarray is not installed: apt-get install python3-xarray python3-netcdf4" end
  for engine, seconds in opened.stdout:gmatch "(%S+) (%S+)\n" do
    print(("  xarray opens it in  %7.2f s with %s (aim: under 1)"):format(tonumber(seconds), engine))
  end
end

local benchmarks = { steps = steps, layers = layers, start = start_up, memory = memory, files = files }
local wanted = #arg > 0 and { table.unpack(arg) } or { "start", "memory", "files", "steps", "layers" }
for _, name in ipairs(wanted) do
  if not benchmarks[name] then
    io.stderr:write("unknown benchmark '", name, "'; there are: files, layers, memory, start, steps\n")
    os.exit(2)
  end
end
for _, name in ipairs(wanted) do benchmarks[name]() end
