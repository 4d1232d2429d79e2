-- sonde.optim.lr_scheduler: how learning rates change while the training goes on, as in PyTorch. Make a schedule with
-- its optimiser, and call step() after the optimiser's step (or at the end of each pass): it sets the groups' rates.
local lr_scheduler = { ReduceLROnPlateau = require "sonde.optim.lr_scheduler.plateau" }

for _, family in ipairs { "decay", "cycles", "composed" } do
  for name, make in pairs(require("sonde.optim.lr_scheduler." .. family)) do lr_scheduler[name] = make end
end

return require "sonde.suggest".namespace("sonde.optim.lr_scheduler", lr_scheduler)
