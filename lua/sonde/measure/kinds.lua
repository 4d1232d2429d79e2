-- The costly measures by name. Each is a table:
--   options            names of its options besides `every`
--   settings(where, options)  its options, checked, with their defaults; where: how messages begin
--   takes              what it is measured of, as text (where a layout may be empty)
--   needs_loss         it needs the loss and the target; else the network's input is enough
--   columns            { { name, "what it means", axis = name or nil }, … }: float64 [T,P], with an axis [T,P,K]
--   axis_length(settings, layout)  K
--   layout(context, settings)  what is measured in this network: { { probe =, layer =, module =, role = }, … }
--   new(settings)      what it keeps from row to row, handed to …
--   measure(state, context, layout)  … which returns { column = { one number (or list) per entry of the layout } };
--                      what is missing is NaN
local kinds = { names = { "gradient_noise", "hessian", "jacobian", "lyapunov" } }

for _, name in ipairs(kinds.names) do kinds[name] = require("sonde.measure." .. name) end

return kinds
