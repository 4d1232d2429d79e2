--- Everything that can be called, called at random: it works, or says in a clear sentence why not. A failure names its
--- seed; FUZZ_SEED=S FUZZ_CALLS=1 repeats it (FUZZ_TRACE=FILE gets each call before it is made, for a crash). Other
--- seeds and more calls, best in a build with sanitizers: FUZZ_SEED=1000000 FUZZ_CALLS=200000.
local core = require "sonde.core"
local expect = require "support.expect"
local fuzz = require "support.fuzz"

local seed, calls = tonumber(os.getenv "FUZZ_SEED") or 1, tonumber(os.getenv "FUZZ_CALLS") or 10000

describe("random calls", function()
  after_each(function()
    fuzz.trace = nil
    core.memory_limit(0)
  end)

  it("of all functions, constructors, methods and of what they made", function()
    local trace = os.getenv "FUZZ_TRACE"
    fuzz.trace = trace and assert(io.open(trace, "w"))
    fuzz.run(seed, 1) -- loads everything
    expect.no_leak(core, function()
      local failures, worked, targets = fuzz.run(seed, calls)
      local first = table.concat(failures, "\n", 1, math.min(#failures, 20))
      assert.equal(0, #failures, first)
      if calls >= 10000 then -- most get beyond the checks of their arguments
        assert.truthy(worked > 0.75 * targets, ("%d of %d worked"):format(worked, targets))
      end
    end)
  end)

  it("find what is no clear sentence", function()
    for message, problem in pairs {
      ["a user's line:1: nn.Linear: in_features must be at least 1"] = false,
      ["a user's line:1: attempt to index a nil value"] = "attempt to",
      ["/usr/share/sonde/lua/sonde/optim/init.lua:7: expected a number, got nil"] = "caller's line",
      ["a user's line:1: bad argument #1 to '?': expected Tensor"] = "'?'",
      ["a user's line:1: expected a number, got table: 0x5581a0"] = "0x558",
      ["a user's line:1: invalid"] = "no sentence",
    } do
      local found = fuzz.complaint(message)
      assert.equal(problem and true or nil, found and found:find(problem, 1, true) and true, message)
    end
    assert.truthy(fuzz.complaint({}))
  end)
end)
