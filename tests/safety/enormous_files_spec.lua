--- Files of other programs that are enormous, deep, or linked in rings: an answer in bounded time and memory.
local core = require "sonde.core"
local process = require "support.process"

local function make(path, code)
  local done = process.python("import sys, h5py, numpy as np\nwith h5py.File(sys.argv[1], 'w') as f:\n"
    .. "    f.attrs['format'] = 'sonde-history'\n    " .. code:gsub("\n", "\n    "), { path })
  assert.equal(0, done.code, done.stderr)
end

--- Runs a command for at most 30 s with at most 4 GiB of memory (AddressSanitizer takes more addresses at the start).
local function call(dir, ...)
  local words = {}
  for i, word in ipairs { process.interpreter()[1], ... } do words[i] = process.quote(word) end
  local limit = core.system.build().built_for:find("address-sanitizer", 1, true) and "" or "ulimit -v 4194304; "
  local line = limit .. table.concat(words, " ")
  return process.run(line, { cwd = dir.path, timeout = 30, env = { OPENBLAS_NUM_THREADS = "1" } })
end

describe("show, check, diagnose and diff", function()
  it("answer for a thousand million rows, huge chunks and lists of texts", function()
    local dir <close> = process.tempdir()
    make(dir / "a.h5", [[
def column(g, name, axes, kind="f8", **more):
    d = g.create_dataset(name, (10**9,) * 1 if not axes[1:] else (10**9, 2), kind, chunks=True,
                         maxshape=(None,) + (2,) * len(axes[1:]))
    for i, axis in enumerate(axes): d.dims[i].attach_scale(g[axis])
for name in ("metrics", "weight_grad"):
    g = f.create_group(name)
    g.create_dataset("step", (10**9,), "i8", chunks=(1 << 20,), maxshape=(None,)).make_scale("step")
    g.create_dataset("probe", data=["a", "b"], dtype=h5py.string_dtype()).make_scale("probe")
column(f["metrics"], "loss", ["step"])
column(f["weight_grad"], "l2_norm", ["step", "probe"])
f.create_dataset("chunk", (1 << 28, 4), "f8", chunks=(1 << 26, 4), compression="gzip")
f.create_dataset("texts", (10**7,), h5py.string_dtype(), chunks=(1 << 16,))
f.create_dataset("fixed", (10**9,), "S1000", chunks=(1024,))]])
    local show = call(dir, "show", "a.h5")
    assert.equal(0, show.code, show.stderr)
    assert.truthy(show.stdout:find("/weight_grad: 1000000000 rows", 1, true), show.stdout)
    assert.equal(0, call(dir, "show", "a.h5", "--json").code)
    local diagnosed = call(dir, "diagnose", "a.h5")
    assert.equal(1, diagnosed.code)
    assert.truthy(diagnosed.stderr:find("^sonde: 'a.h5' cannot be judged: /%S+/step is too long to be judged: it has "
      .. "more than 4194304 values\n$"), diagnosed.stderr)
  end)

  it("answer for ten thousand variables, deep groups, rings and links out of the file", function()
    local dir <close> = process.tempdir()
    make(dir / "a.h5", [[
for i in range(10000): f["g%d/v%d" % (i % 10, i)] = np.zeros(3)
g = f
for i in range(1500): g = g.create_group("d")
f["ring/a"] = h5py.SoftLink("/ring"); f["ring/b"] = f["ring"]; f["loop"] = h5py.SoftLink("/loop")
f["gone"], f["self"] = h5py.ExternalLink("none.h5", "/x"), h5py.ExternalLink("a.h5", "/g1")
f.create_dataset("lzf", data=np.arange(1000.), chunks=(100,), compression="lzf")]])
    for command, code in pairs { show = 0, check = 1, diagnose = 1 } do
      local result = call(dir, command, "a.h5")
      assert.equal(code, result.code, command .. ": " .. result.stderr)
      assert.is_nil(result.stderr:find("traceback", 1, true), result.stderr)
    end
    assert.truthy(call(dir, "show", "a.h5", "--json").stdout:find("nested deeper than 100 are left out", 1, true))
    local diff = call(dir, "diff", "a.h5", "a.h5")
    assert.equal(1, diff.code, diff.stderr) -- links that lead nowhere
    assert.truthy(diff.stdout:find("/loop: cannot be read", 1, true), diff.stdout)
    assert.truthy(diff.stdout:find("groups nested deeper than 100 are not compared", 1, true), diff.stdout)
  end)

  it("check names links that lead nowhere", function()
    local dir <close> = process.tempdir()
    make(dir / "a.h5", 'f["loop"] = h5py.SoftLink("/loop")')
    local check = call(dir, "check", "a.h5")
    assert.equal(1, check.code)
    assert.truthy(check.stdout:find("/loop: is a link that leads nowhere", 1, true), check.stdout)
  end)
end)
