---@meta
-- For editors only: sonde.h5. Never loaded. Failures of the outside world are nil, message, code.

---@alias sonde.H5Value number|string|sonde.Tensor|string[]|number[]

---@class sonde.H5File
local File = {}

---Whole, or of every axis `count` places (all there are) from `start` (1; -1 is the last) on, each `step` (1) after the
---one before. Integers beyond int64 are refused; dtype = "float64" reads them.
---@param path string
---@param options? { start?: integer[], count?: integer[], step?: integer[], dtype?: string }
---@return sonde.H5Value?, string?, string?
function File:read(path, options) end

---@param path string
---@param value sonde.H5Value
---@param axes? string[]  names of the axes
---@return boolean?, string?, string?
function File:write(path, value, axes) end

---Along the first axis; makes a dataset that grows where there is none. The numbers of that axis come first, unless they
---only count.
---@param path string
---@param value sonde.H5Value
---@param axes? string[]  names of the axes
---@return boolean?, string?, string?
function File:append(path, value, axes) end

---@param group? string
---@return string[]?, string?, string?
function File:list(group) end

---@class sonde.H5Info
---@field kind "group"|"dataset"
---@field link "hard"|"soft"|"external"
---@field links integer  hard links to it
---@field object string  the same whatever path led to it
---@field type string?  "float32", "string", "string(12)" where of fixed length, …
---@field shape integer[]?
---@field is_null boolean?  without any shape
---@field grows boolean?  no limit along the first axis
---@field is_scale boolean?

---@param path string
---@return sonde.H5Info?, string?, string?
function File:info(path) end

---@param path string
---@param name string
---@return { type: string, shape: integer[], is_null: boolean }?, string?, string?
function File:attribute_info(path, name) end

---Names of a dataset's dimension scales: "" where there is none, the path of one in another group.
---@param path string
---@return string[]?, string?, string?
function File:axes(path) end

---@param path? string
---@return string[]?, string?, string?
function File:attributes(path) end

---@param path string
---@param name string
---@return sonde.H5Value?, string?, string?
function File:attribute(path, name) end

---@param path string
---@param name string
---@param value sonde.H5Value
---@return boolean?, string?, string?
function File:set_attribute(path, name, value) end

---@param path string
---@return boolean?, string?, string?
function File:make_group(path) end

---Is a run writing it, or was that run killed?
---@return boolean
function File:is_live() end

---Is a run writing it now?
---@return boolean
function File:has_writer() end

---In mode "w" the file gets its name now.
---@return boolean?, string?, string?
function File:close() end

---Closes it; in mode "w" nothing is left of the new file.
function File:discard() end

local h5 = {}

---@param path string
---@param mode? "r"|"r+"|"w"
---@return sonde.H5File?, string?, string?
function h5.open(path, mode) end

---One dataset of a file.
---@param file string
---@param path string
---@return sonde.H5Value?, string?, string?
function h5.read(file, path) end

---Writes tensors, numbers, texts, booleans and tables of these as a file. axes: with dimension scales.
---@param path string
---@param values table<string, any>
---@param options? { axes?: boolean }
---@return boolean?, string?, string?
function h5.save(path, values, options) end

---Everything in a file, or below a group of it, as a table; what save wrote comes back as it was.
---@param path string
---@param group? string
---@return table<string, any>?, string?, string?
function h5.load(path, group) end

---Of the HDF5 library.
---@return string
function h5.library_version() end

return h5
