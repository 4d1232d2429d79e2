-- A value as messages name it: numbers, texts, booleans and nil as they are, everything else by its kind ("table",
-- "Tensor", "Dataset"), as an address in memory tells nobody anything.
local plain = { number = true, boolean = true, ["nil"] = true }

return function(value)
  local kind = type(value)
  if kind == "string" then return (value:gsub("\0", "\\0")) end -- messages are C's texts
  if plain[kind] then return tostring(value) end
  local meta = getmetatable(value)
  if type(meta) == "table" then meta = rawget(meta, "__name") end
  return type(meta) == "string" and meta or kind
end
