-- What a recipe sees instead of the plain globals: `pairs` in a fixed order, `math.random` from the run's user
-- stream, `require` that finds modules beside the recipe, and `print` that does not tear the progress bar.
-- It keeps accidents from making a run irreproducible; it confines nothing.
local environment = {}

local ranks = { number = 1, string = 2, boolean = 3 }

local function before(a, b)
  local rank_a, rank_b = ranks[type(a)], ranks[type(b)]
  if rank_a ~= rank_b then return rank_a < rank_b end
  if rank_a == 3 then return a == false and b == true end
  return a < b
end

-- Visits 1..n, then the other keys in sorted order (numbers, texts, booleans; keys without an order come last).
function environment.sorted_pairs(t)
  local meta = getmetatable(t)
  if type(meta) == "table" and rawget(meta, "__pairs") then return meta.__pairs(t) end
  local n, keys, others = #t, {}, {}
  for key in next, t do
    if math.type(key) == "integer" and key >= 1 and key <= n then
      -- comes by its number
    elseif ranks[type(key)] then
      keys[#keys + 1] = key
    else
      others[#others + 1] = key
    end
  end
  table.sort(keys, before)
  table.move(others, 1, #others, #keys + 1, keys)
  local i = 0
  return function()
    while i < n + #keys do
      i = i + 1
      local key = i
      if i > n then key = keys[i - n] end
      local value = rawget(t, key)
      if value ~= nil then return key, value end
    end
  end, t, nil
end

local function read(path)
  local file = io.open(path, "rb")
  if not file then return nil end
  local text = file:read("a")
  file:close()
  return text
end
environment.read = read

-- Text of a chunk ready for `load`: without a byte order mark or a "#!" line (the line itself stays, for its number).
local function plain(text)
  return (text:gsub("^\239\187\191", ""):gsub("^#[^\n]*", ""))
end

-- Compiles text as a chunk of this environment; binary chunks are refused.
function environment.compile(text, path, env)
  return load(plain(text), "@" .. path, "t", env)
end

-- `require` that looks beside the recipe first and notes the source of what it finds there in env's record.
local function make_require(folder, record, env)
  local loaded = {}
  return function(name)
    if loaded[name] ~= nil then return loaded[name] end
    if type(name) == "string" and name ~= "sonde" and not name:find("^sonde%.") then
      local stem = folder .. "/" .. name:gsub("%.", "/")
      for _, path in ipairs { stem .. ".lua", stem .. "/init.lua" } do
        local text = read(path)
        if text then
          local chunk, message = environment.compile(text, path, env)
          if not chunk then error(message, 0) end
          record.modules[name] = text
          record.chunks["@" .. path] = path
          local value = chunk(name, path)
          if value == nil then value = true end
          loaded[name] = value
          return value, path
        end
      end
    end
    return require(name)
  end
end

local function make_math(random)
  local copy = {}
  for name, value in next, math do copy[name] = value end
  copy.random, copy.randomseed = random.random, random.randomseed
  return copy
end

-- An environment for a recipe in `folder`. `record.modules` (name → source) and `record.chunks` (chunk name → path)
-- grow as the recipe requires; `random` = { random =, randomseed = }; `on_print()` is called before each print.
function environment.new(folder, record, random, on_print)
  local env = { pairs = environment.sorted_pairs, math = make_math(random) }
  env.require = make_require(folder, record, env)
  env.print = function(...)
    on_print()
    print(...)
  end
  env._G = env
  return setmetatable(env, { __index = _G })
end

return environment
