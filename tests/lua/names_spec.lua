--- Misspelt names: the nearest right one is named.
local sonde = require "sonde"
local expect = require "support.expect"
local process = require "support.process"
local recipe = require "support.recipe"

it("a name that a namespace does not have is an error that names the nearest", function()
  local nn, optim = sonde.nn, sonde.optim
  for _, case in ipairs {
    { "sonde has no 'zeroes'; did you mean 'zeros'?", function() return sonde.zeroes(2) end },
    { "sonde has no 'optimizers'", function() return sonde.optimizers.SGD end },
    { "sonde.tensor has no 'zeroes'; did you mean 'zeros'?", function() return sonde.tensor.zeroes end },
    { "sonde.nn has no 'Liner'; did you mean 'Linear'?", function() return nn.Liner(2, 2) end },
    { "sonde.nn.init has no 'kaiming_normal'; did", function() nn.init.kaiming_normal(sonde.ones(2, 2)) end },
    { "sonde.nn.utils has no 'clip_grad_norm'; did", function() nn.utils.clip_grad_norm {} end },
    { "sonde.optim has no 'Adamw'; did you mean 'AdamW'?", function() return optim.Adamw end },
    { "sonde.optim.lr_scheduler has no 'StepLr'; did", function() return optim.lr_scheduler.StepLr end },
    { "sonde.optim.swa_utils has no 'SWALr'; did", function() return optim.swa_utils.SWALr end },
    { "sonde.data has no 'fashon_mnist'; did", function() return sonde.data.fashon_mnist end },
    { "sonde.h5 has no 'opn'; did you mean 'open'?", function() return sonde.h5.opn end },
  } do
    expect.error(case[1], case[2])
  end
  assert.is_nil(rawget(nn, "Liner")) -- how one asks
  assert.is_nil(nn._private) -- what printers ask of any table
  assert.is_nil(nn[1])
  assert.equal("function", type(sonde.data.blobs))
end)

it("a name that a run does not have is an error in a recipe", function()
  local dir <close> = process.tempdir()
  for _, case in ipairs {
    { "run:lgo { loss = 1 }", "run has no 'lgo'; did you mean 'log'?" },
    { "local _ = run.batchs", "run has no 'batchs'; did you mean 'batches'?" },
    { "print(run.something_else)", "run has no 'something_else'\n" },
  } do
    local _, line = recipe.write(dir / "r.lua", { before = case[1] }, case[1])
    local result = process.sonde({ "run", "r.lua", "--quiet", "--force" }, { cwd = tostring(dir) })
    assert.equal(1, result.code)
    assert.truthy((result.stderr .. "\n"):find(("r.lua:%d: %s"):format(line, case[2]:gsub("\n", "")), 1, true),
      result.stderr)
  end
  recipe.write(dir / "r.lua", { before = "run.mine = run.file == 'small.h5' and rawget(run, 'nothing') == nil",
                                after = "assert(run.mine)" })
  local result = process.sonde({ "run", "r.lua", "--quiet", "--force" }, { cwd = tostring(dir) })
  assert.equal(0, result.code, result.stderr)
end)

it("of several unknown options the same one is named each time: the first in the alphabet", function()
  local words = { "zz", "mm", "aa", "qq", "bb" }
  for shift = 1, #words do
    local options = {}
    for i = 1, #words do options[words[(i + shift) % #words + 1]] = 1 end
    expect.error("unknown option 'aa'", function() sonde.nn.Linear(1, 1, options) end)
    expect.error("unknown option 'aa'", function() sonde.optim.SGD({ sonde.ones(1) }, options) end)
    expect.error("unknown option 'aa'", function() sonde.data.fashion_mnist(options) end)
  end
end)
