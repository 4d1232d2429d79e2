--- Every group that a file can have, in the hands of all readers. Those that are no part of Debian's usual packages
--- are asked where they are installed: Octave with its netcdf package, R with hdf5r.
local format = require "sonde.history.format"
local h5 = require "sonde.h5"
local process = require "support.process"

local here = debug.getinfo(1, "S").source:match("^@(.*)/groups_spec%.lua$")

local function installed(command) return process.run({ "sh", "-c", command }).code == 0 end

describe("a file with every group", function()
  local dir, path
  setup(function()
    dir = process.tempdir()
    path = dir / "every-group.h5"
    local done = process.sonde({ "run", here .. "/every_group.lua", "--quiet", "-o", path })
    assert(done.code == 0, done.stderr)
  end)
  teardown(function() getmetatable(dir).__close(dir) end)

  --- Path of a group → names of its datasets.
  local function groups()
    local file <close>, found = assert(h5.open(path)), {}
    for _, name in ipairs(file:list "/") do found[name] = file:list("/" .. name) end
    return found
  end

  it("has all that the format knows, and no other rows", function()
    local found = groups()
    for name in pairs(format.groups) do assert.truthy(found[name], "no /" .. name) end
    for name, datasets in pairs(found) do
      local has_rows = false
      for _, dataset in ipairs(datasets) do has_rows = has_rows or dataset == "step" end
      assert.equal(format.groups[name] ~= nil, has_rows, name)
    end
  end)

  it("follows the format, and every run of it is the same but for clocks", function()
    local checked = process.sonde { "check", path }
    assert.equal(0, checked.code, checked.stdout .. checked.stderr)
    local again = dir / "again.h5"
    assert.equal(0, process.sonde({ "run", here .. "/every_group.lua", "--quiet", "-o", again }).code)
    local diff = process.sonde { "diff", path, again }
    assert.equal(0, diff.code, diff.stdout)
  end)

  it("is read by h5py, both engines of xarray, which agree in every bit, and pandas", function()
    local done = process.run { "/usr/bin/python3", here .. "/read_history.py", path }
    assert.equal("", done.stderr)
    for name in pairs(format.groups) do assert.truthy(done.stdout:find(" " .. name .. "%f[^%w_]"), name) end
    local dims = process.python([[
import sys, xarray as xr
for engine in ("h5netcdf", "netcdf4"):
    for group, variable, expected in (
            ("gate", "openness", ("step", "probe")), ("gain", "gain", ("step", "probe")),
            ("skip", "branch_share", ("step", "probe")), ("weight_drift", "init_distance", ("step", "probe")),
            ("hidden_grad", "cell_l2_norm", ("step", "probe", "time_step")),
            ("hidden_jacobian", "l2_norm", ("step", "probe", "time_step")),
            ("jacobian", "singular_values", ("step", "probe", "index")),
            ("lyapunov", "exponents", ("step", "probe", "index")), ("hessian", "eigenvalue", ("step", "probe")),
            ("gradient_noise", "noise_scale", ("step", "probe")), ("cost", "seconds", ("step", "probe"))):
        ds = xr.open_dataset(sys.argv[1], group=group, engine=engine)
        assert ds[variable].dims == expected, (group, ds[variable].dims)
        assert "time" in ds[variable].coords, group
        first = ds.probe.values[0]
        assert ds.sel(probe=first)[variable].dims == tuple(d for d in expected if d != "probe")
        assert len(ds[variable].to_series()) == ds[variable].size
gate = xr.open_dataset(sys.argv[1], group="gate")
assert list(gate.role.values) == ["input_l0", "forget_l0", "output_l0"], gate.role.values
print(list(xr.open_dataset(sys.argv[1], group="cost").probe.values))]], { path })
    assert.equal("", dims.stderr)
  end)

  it("is read whole by ncdump and h5dump", function()
    if not installed "command -v ncdump && command -v h5dump" then pending("not installed") return end
    local nc, h5dump = process.run { "ncdump", path }, process.run { "h5dump", path }
    assert.equal(0, nc.code, nc.stderr)
    assert.equal(0, h5dump.code, h5dump.stderr)
    for name, datasets in pairs(groups()) do
      local body = nc.stdout:match("\ngroup: " .. name .. " {(.-)} // group " .. name .. "\n")
      for _, dataset in ipairs(datasets) do
        assert.truthy(body and body:find(" " .. dataset .. "%f[^%w_]"), name .. "/" .. dataset)
      end
    end
  end)

  --- All datasets of numbers that grow.
  local function numbers()
    local file <close>, paths = assert(h5.open(path)), {}
    for name, datasets in pairs(groups()) do
      for _, dataset in ipairs(datasets) do
        local info = file:info(("/%s/%s"):format(name, dataset))
        if info.kind == "dataset" and info.grows and not info.type:find("^string") and info.type ~= "uint32" then
          paths[#paths + 1] = ("/%s/%s"):format(name, dataset)
        end
      end
    end
    table.sort(paths)
    return paths
  end

  --- Compares the lines "path, how many numbers, their sum" of a reader with what we read; returns the lines after.
  local function check_sums(paths, result)
    local file <close>, lines = assert(h5.open(path)), {}
    for line in result.stdout:gmatch("[^\n]+") do lines[#lines + 1] = line end
    for i, dataset in ipairs(paths) do
      local sum, n = 0, 0
      for _, value in ipairs(file:read(dataset, { dtype = "float64" }):reshape(-1):totable()) do
        if value == value then sum, n = sum + value, n + 1 end
      end
      local name, count, total = (lines[i] or ""):match("^(%S+) (%d+) (%S+)$")
      assert.equal(("%s %d"):format(dataset, n), ("%s %s"):format(name, count), result.stderr)
      assert.truthy(math.abs(tonumber(total) - sum) <= 1e-9 * (1 + math.abs(sum)), lines[i] .. " | " .. sum)
    end
    return table.move(lines, #paths + 1, #lines, 1, {})
  end

  it("is read by Octave's netcdf package #slow", function()
    if not installed [[octave-cli --no-gui --eval "pkg load netcdf"]] then pending("not installed") return end
    local paths = numbers()
    process.write(dir / "read.m", ([[pkg load netcdf
paths = {'%s'};
for k = 1:numel(paths)
  x = double(ncread('%s', paths{k})(:));
  x = x(! isnan(x));
  printf("%%s %%d %%.17g\n", paths{k}, numel(x), sum(x));
end]]):format(table.concat(paths, "', '"), path))
    local done = process.run { "octave-cli", "--no-gui", dir / "read.m" }
    assert.same({}, check_sums(paths, done))
  end)

  it("is read by R's hdf5r, texts too #slow", function()
    if not installed [[Rscript -e "library(hdf5r)"]] then pending("not installed") return end
    local paths = numbers()
    process.write(dir / "read.R", ([==[suppressMessages(library(hdf5r))
f <- H5File$new("%s", mode = "r")
for (p in c("%s")) {
  x <- as.double(f[[p]]$read())
  x <- x[!is.nan(x)]
  cat(sprintf("%%s %%d %%.17g\n", p, length(x), sum(x)))
}
writeLines(c(f[["/weight_grad/probe"]]$read(), f[["/events/message"]]$read(), h5attr(f, "status")))
f$close_all()]==]):format(path, table.concat(paths, '", "')))
    local done = process.run { "Rscript", dir / "read.R" }
    local texts = h5.read(path, "/weight_grad/probe")
    table.move({ "größe", "complete" }, 1, 2, #texts + 1, texts)
    assert.same(texts, check_sums(paths, done))
  end)
end)
