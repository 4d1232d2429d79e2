---@meta
-- For editors only: sonde.probe. Never loaded.

---@class sonde.Probe
local Probe = {}

---Ends the step: one more row of everything.
function Probe:step() end

---The newest row: p:last().weight_grad["h1.weight"].l2_norm
---@return table<string, table<string, table<string, number|number[]>>>
function Probe:last() end

---Writes everything measured so far as a file.
---@param path string
---@return boolean? ok
---@return string? message
---@return string? code
function Probe:save(path) end

---Ends the measuring; the rows stay.
function Probe:remove() end

---@class sonde.AttachOptions : sonde.ProbeOptions
---@field optimizer? sonde.Optimizer  whose steps fill /weight

local probe = {}

---Measures a network outside a run, into memory. print(probe) shows the layer table.
---@param net sonde.Module
---@param options? sonde.AttachOptions
---@return sonde.Probe
function probe.attach(net, options) end

return probe
