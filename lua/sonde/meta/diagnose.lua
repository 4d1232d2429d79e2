---@meta
-- For editors only: sonde.diagnose. Never loaded.

---@class sonde.Finding
---@field pathology string one of diagnose.pathologies
---@field severity number 0..1
---@field layers string[] paths of modules (unbalanced_updates: of parameters); none where it is the whole network
---@field since_step integer
---@field evidence table<string, number|string>
---@field cause string
---@field cures string[] the likeliest first

---@class sonde.Diagnosis
local Diagnosis = {}

---One row of measurements: group → variable → one number per probe. What was not measured is absent.
---@param row table `{ step =, metrics = { loss =, grad_norm = }, activation_grad = { l2_norm = { … } }, … }`
---@return boolean news may a finding have begun?
function Diagnosis:feed(row) end

---What is wrong now, the worst first; none: healthy. ended: no row will follow, so that what held for a quarter of the
---rows counts too.
---@param ended? boolean
---@return sonde.Finding[]
function Diagnosis:findings(ended) end

---What is no finding but should be known: what was not measured, and a loss that stands still for no fault of the
---gradient. Sentences.
---@param ended? boolean
---@return string[]
function Diagnosis:notes(ended) end

local diagnose = {}

---The names a finding may have.
---@type string[]
diagnose.pathologies = {}

---Where the detectors draw their lines, by name; any can be overridden.
---@type table<string, number>
diagnose.thresholds = {}

---Judges rows as they come.
---@param groups table group → `{ probe =, module =, depth =, role = }`, lists along the probe axis
---@param thresholds? table<string, number>
---@return sonde.Diagnosis
function diagnose.new(groups, thresholds) end

---What is wrong with a run, from its file, also from the FILE.part of one that is live or was killed.
---@param path string
---@param options? { thresholds?: table<string, number> }
---@return { file: string, healthy: boolean, findings: sonde.Finding[], notes: string[] }?, string?, string?
function diagnose.file(path, options) end

return diagnose
