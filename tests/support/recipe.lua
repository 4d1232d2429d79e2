--- Small recipes for specs: a two-layer network on 96 synthetic samples in batches of 16, a few milliseconds to run.
local process = require "support.process"

local recipe = {}

local template = [[
local sonde = require "sonde"
local nn, optim, data = sonde.nn, sonde.optim, sonde.data
return {
  name = "small",
  about = "Does it learn?",
  params = { width = 8, lr = 0.1, steps = 12 },
  $fields
  run = function(p, run)
    $before
    local train = data.blobs { n = 96, classes = 3, features = 4 }
    local net = run:model(nn.Sequential { nn.Linear(4, p.width), nn.Tanh(), nn.Linear(p.width, 3) })
    local loss_fn = nn.CrossEntropyLoss()
    local opt = run:optimizer(optim.SGD(net:parameters(), { lr = p.lr }))
    run:probe(net)
    for x, y in run:batches(train, { batch_size = 16, steps = p.steps }) do
      opt:zero_grad()
      $forward
      local loss = loss_fn(net(x), y)
      loss:backward()
      $update
      opt:step()
      $log
    end
    $after
  end,
}
]]

--- The text of the recipe; parts: code for fields, before, forward, update, log (run:log{...}), after.
function recipe.text(parts)
  parts = parts or {}
  return (template:gsub("%$(%l+)", function(name)
    return parts[name] or (name == "log" and "run:log { loss = loss:item() }") or ""
  end))
end

--- Writes it as `path`, and returns the line number of the first line that holds `mark` (nil: no mark).
function recipe.write(path, parts, mark)
  local text = recipe.text(parts)
  process.write(path, text)
  if not mark then return path end
  local at = text:find(mark, 1, true)
  local _, lines = text:sub(1, at):gsub("\n", "")
  return path, lines + 1
end

return recipe
