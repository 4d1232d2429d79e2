--- Weights between PyTorch and sonde: files that h5py wrote under PyTorch's names, and files that PyTorch reads.
local process = require "support.process"
local reference = require "support.reference"
local sonde = require "sonde"
local nn = sonde.nn

local script = process.root .. "/tests/interop/weights.py"
local values = process.root .. "/tests/reference/torch_reference.h5"

--- The layers of weights.py, with weights of their own.
local function layers()
  return nn.Sequential { nn.Linear(5, 3), nn.Conv2d(2, 4, 3), nn.BatchNorm2d(3), nn.LSTM(3, 4), nn.Embedding(7, 3) }
    :to("float64"):eval()
end

--- Every layer gives what PyTorch's gave.
local function check(net)
  for i, name in ipairs { "linear", "conv2d", "batchnorm2d_eval", "lstm", "embedding" } do
    local group = reference.group("/layers/" .. name)
    local y
    if name == "lstm" then
      y = net[i](group.in_x, group.in_h0, group.in_c0)
    else
      y = net[i](name == "embedding" and group.in_idx + 1 or group.in_x)
    end
    reference.near(name, group.out_y, y)
  end
end

describe("weights in HDF5", function()
  local dir
  setup(function()
    dir = process.tempdir()
    local done = process.run { "/usr/bin/python3", script, "write", values, dir / "flat.h5", dir / "nested.h5" }
    assert(done.code == 0, done.stderr)
  end)
  teardown(function()
    reference.close()
    getmetatable(dir).__close(dir)
  end)

  it("are loaded by PyTorch's names, flat or in groups", function()
    for _, file in ipairs { "flat.h5", "nested.h5" } do
      local net = layers()
      local missing, unexpected = net:load_state_dict(assert(sonde.load(dir / file)), { names = "torch" })
      assert.same({ {}, {} }, { missing, unexpected })
      check(net)
      assert.equal(0, net[3].num_batches_tracked:item())
    end
  end)

  it("say that they count from 0", function()
    local state = assert(sonde.load(dir / "flat.h5"))
    local ok, message = pcall(function() layers():load_state_dict(state) end)
    assert.is_false(ok)
    assert.truthy(message:find('count from 0, as PyTorch\'s do: say { names = "torch" }', 1, true), message)
  end)

  it("are written so that h5py and PyTorch read them", function()
    local net = layers()
    net:load_state_dict(assert(sonde.load(dir / "nested.h5")), { names = "torch" })
    assert(sonde.save(dir / "ours.h5", net:state_dict { names = "torch" }))
    local done = process.run { "/usr/bin/python3", script, "read", values, dir / "ours.h5" }
    assert.equal(0, done.code, done.stderr)
    assert.matches("^same with", done.stdout)
  end)
end)
