-- JSON as sonde writes it: keys sorted, so that the same values give the same text; numbers with every bit, and a
-- float never looks like an integer; NaN and infinities are null. And reading any JSON.
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

json.null = setmetatable({}, { __tostring = function() return "null" end })

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
  if kind == "nil" or value == json.null then return "null" end
  if kind == "boolean" then return tostring(value) end
  if kind == "number" then return number(value) end
  if kind == "string" then return quote(value) end
  if kind == "table" then return encode_table(value, indent, depth, seen) end
  return quote(tostring(value))
end

-- The text of a value; `indent` ("  ") spreads it over lines.
function json.encode(value, indent) return encode(value, indent, 0, {}) end

-- ---- reading -----------------------------------------------------------------------------------------------------

local DEEPEST = 500 -- lists in lists; deeper ones would end in a stack overflow

local unescapes = { b = "\b", f = "\f", n = "\n", r = "\r", t = "\t", ['"'] = '"', ["\\"] = "\\", ["/"] = "/" }

local function fail_at(text, at, what)
  local _, line = text:sub(1, at):gsub("\n", "")
  error({ json = ("line %d: %s"):format(line + 1, what) }, 0)
end

local function skip(text, at) return text:find("[^ \t\r\n]", at) or #text + 1 end

-- A \u escape at `at`, the second half of a pair with it: the character and where to go on.
local function read_unicode(text, at)
  local unit = tonumber(text:match("^%x%x%x%x", at + 2) or fail_at(text, at, "\\u needs four digits"), 16)
  at = at + 6
  if unit >= 0xD800 and unit < 0xDC00 then
    local low = tonumber(text:match("^\\u(%x%x%x%x)", at) or "0", 16)
    if low < 0xDC00 or low > 0xDFFF then return "\u{FFFD}", at end
    return utf8.char(0x10000 + (unit - 0xD800) * 0x400 + low - 0xDC00), at + 6
  end
  return unit >= 0xDC00 and unit <= 0xDFFF and "\u{FFFD}" or utf8.char(unit), at
end

local function read_string(text, at)
  local parts = {}
  at = at + 1
  while true do
    local stop = text:find('[%c"\\]', at) or fail_at(text, #text, "a text does not end")
    parts[#parts + 1] = text:sub(at, stop - 1)
    local sign = text:sub(stop, stop)
    if sign == '"' then return table.concat(parts), stop + 1 end
    if sign ~= "\\" then fail_at(text, stop, "a control character in a text") end
    local kind = text:sub(stop + 1, stop + 1)
    if kind == "u" then
      parts[#parts + 1], at = read_unicode(text, stop)
    else
      parts[#parts + 1] = unescapes[kind] or fail_at(text, stop, "an unknown escape")
      at = stop + 2
    end
  end
end

local function read_number(text, at)
  local word = text:match("^-?%d[%d.eE+-]*", at) or fail_at(text, at, "a value is expected")
  if not (word:match("^-?%d+%.?%d*$") or word:match("^-?%d+%.?%d*[eE][+-]?%d+$")) or word:match("^-?0%d")
    or word:match("%.$") or word:match("%.[eE]") then
    fail_at(text, at, ("'%s' is no number"):format(word))
  end
  return not word:find("[.eE]") and math.tointeger(word) or tonumber(word) + 0.0, at + #word
end

local words = { ["true"] = true, ["false"] = false, null = json.null }
local read_value

-- The items of a list or an object, up to `close`.
local function read_items(text, at, close, read_item)
  at = skip(text, at + 1)
  if text:sub(at, at) == close then return at + 1 end
  while true do
    at = skip(text, read_item(at))
    local sign = text:sub(at, at)
    if sign == close then return at + 1 end
    if sign ~= "," then fail_at(text, at, ("',' or '%s' is expected"):format(close)) end
    at = skip(text, at + 1)
  end
end

local function read_list(text, at, depth)
  local list = json.array()
  return list, read_items(text, at, "]", function(from)
    list[#list + 1], from = read_value(text, from, depth)
    return from
  end)
end

local function read_object(text, at, depth)
  local object = {}
  return object, read_items(text, at, "}", function(from)
    if text:sub(from, from) ~= '"' then fail_at(text, from, "a name is expected") end
    local name
    name, from = read_string(text, from)
    from = skip(text, from)
    if text:sub(from, from) ~= ":" then fail_at(text, from, "':' is expected") end
    object[name], from = read_value(text, skip(text, from + 1), depth)
    return from
  end)
end

function read_value(text, at, depth)
  local sign = text:sub(at, at)
  if depth > DEEPEST then fail_at(text, at, "too deep") end
  if sign == "{" then return read_object(text, at, depth + 1) end
  if sign == "[" then return read_list(text, at, depth + 1) end
  if sign == '"' then return read_string(text, at) end
  local word = text:match("^%l+", at)
  if word and words[word] ~= nil then return words[word], at + #word end
  return read_number(text, at)
end

-- The value of a text, or nil and a message. Objects and lists become tables, null becomes json.null, and a number
-- without a fraction an integer.
function json.decode(text)
  local ok, value = pcall(function()
    local value, at = read_value(text, skip(text, 1), 0)
    at = skip(text, at)
    if at <= #text then fail_at(text, at, "something follows the value") end
    return value
  end)
  if ok then return value end
  return nil, type(value) == "table" and value.json or error(value, 0)
end

return json
