-- JSON as sonde writes it: keys sorted, so that the same values give the same text; numbers with every bit, and a
-- float never looks like an integer; NaN and infinities are null.
local json = {}

local escapes = { ['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t" }

local function quote(text)
  text = text:gsub('[%c"\\\127]', function(c) return escapes[c] or ("\\u%04x"):format(c:byte()) end)
  if not utf8.len(text) then -- bytes that are no UTF-8 become U+FFFD, for a reader must be able to parse the whole
    text = text:gsub("[\128-\255]", "\u{FFFD}")
  end
  return '"' .. text .. '"'
end

local function number(value)
  if math.type(value) == "integer" then return tostring(value) end
  if value ~= value or value == math.huge or value == -math.huge then return "null" end
  for digits = 15, 17 do
    local text = ("%." .. digits .. "g"):format(value)
    if tonumber(text) == value then return text:find("[.e]") and text or text .. ".0" end
  end
end

-- Marks a table as an array, so that an empty one is written [].
local array = {}
function json.array(t) return setmetatable(t or {}, array) end

local function is_array(t) return getmetatable(t) == array or #t > 0 end

local encode

local function encode_table(t, indent, depth, seen)
  if seen[t] then error("a table that contains itself has no JSON") end
  seen[t] = true
  local parts, open, close = {}, "{", "}"
  if is_array(t) then
    open, close = "[", "]"
    for i = 1, #t do parts[i] = encode(t[i], indent, depth + 1, seen) end
  else
    local keys, texts = {}, {}
    for key in next, t do
      local text = tostring(key)
      texts[text] = key
      keys[#keys + 1] = text
    end
    table.sort(keys)
    for i, text in ipairs(keys) do
      parts[i] = quote(text) .. (indent and ": " or ":") .. encode(t[texts[text]], indent, depth + 1, seen)
    end
  end
  seen[t] = nil
  if #parts == 0 then return open .. close end
  if not indent then return open .. table.concat(parts, ",") .. close end
  local line = "\n" .. indent:rep(depth + 1)
  return open .. line .. table.concat(parts, "," .. line) .. "\n" .. indent:rep(depth) .. close
end

function encode(value, indent, depth, seen)
  local kind = type(value)
  if kind == "nil" then return "null" end
  if kind == "boolean" then return tostring(value) end
  if kind == "number" then return number(value) end
  if kind == "string" then return quote(value) end
  if kind == "table" then return encode_table(value, indent, depth, seen) end
  return quote(tostring(value))
end

-- The text of a value; `indent` ("  ") spreads it over lines.
function json.encode(value, indent) return encode(value, indent, 0, {}) end

return json
