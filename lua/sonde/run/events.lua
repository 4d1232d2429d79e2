-- /events: what happened during a run, as numbers while it goes; the texts become the column `message` at its end.
local core = require "sonde.core"

local Events = {}
Events.__index = Events

-- The codes in the file. Numbers are never used again for something else.
Events.codes = {
  text = 0,                       -- run:event(text)
  nonfinite_loss = 1,             -- value: the loss
  nonfinite_weight_grad = 2,      -- value: how many elements; probe: along /weight_grad
  nonfinite_activation_grad = 3,  -- value: how many elements; probe: along /activation_grad
  nonfinite_grad_norm = 4,        -- value: the norm; found where no probe measures the gradients
  step_skipped = 5,               -- value: the norm of the gradient (on_nonfinite = "skip")
  stopped = 6,                    -- value: the loss or the norm (on_nonfinite = "stop")
  nonfinite_origin = 7,           -- value: how many elements; the text says which operator of which layer made them
}

-- The codes as text, for an attribute of the group.
function Events.legend()
  local names = {}
  for name, code in next, Events.codes do names[#names + 1] = ("%d %s"):format(code, name) end
  table.sort(names)
  return table.concat(names, ", ")
end

-- `history` gets the group; `seconds()` is the time since the run began.
function Events.new(history, seconds)
  local group = history:group("events")
  group:time_column("time", "float64", "time since the start of the run", "s")
  group:variable("code", "int64", "what happened: see the attribute `codes` of this group")
  group:variable("value", "float64", "what the code says of it")
  group:variable("probe", "int64", "index, from 0, along the probe axis of the group the code names; -1: none")
  return setmetatable({ group = group, seconds = seconds, texts = {} }, Events)
end

-- Adds an event of `step`. probe: from 1, or nil.
function Events:add(step, name, text, value, probe)
  self.group:append(step, { time = self.seconds(), code = Events.codes[name], value = value or core.nan,
                            probe = probe and probe - 1 or -1 })
  self.texts[self.group:rows()] = text
  if self.writer then self:write_text(self.group:rows()) end
end

function Events:write_text(row)
  local ok, message = self.writer:late("events", "message", row, self.texts[row])
  if not ok then error(message, 0) end
end

-- From now on the texts go to a writer too; those there are at once.
function Events:attach(writer)
  self.writer = writer
  for row = 1, self.group:rows() do self:write_text(row) end
end

return Events
