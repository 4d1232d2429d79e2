--- Arguments of a call, and their mending by what the messages ask for: a message that says which argument is wrong and
--- what it should be leads to a call that gets further.

-- The places of arguments that a function's list of names leaves out.
local UNNAMED = { optimizer = 1, model = 1, net = 1, module = 1, tensor = 1, params = 1, name = 2, x = 2, other = 2,
  parametrization = 3 }

local calls = {}

--- Random arguments of a target: { arguments =, options = the last of them or nil }.
function calls.make(source, target)
  local arguments = { n = 0 }
  local function add(value)
    arguments.n = arguments.n + 1
    arguments[arguments.n] = value
  end
  if target.receiver and source:chance(0.95) then add(source[target.receiver](source)) end
  local names, options = target.names, nil
  local positional = source:chance(0.6) and 0 or source.stream:integer(1, 3) -- the others as messages ask for them
  for _ = 1, positional do add(source:any()) end
  if #names > 0 and source:chance(0.7) then
    options = {}
    for _, name in ipairs(names) do
      if source:chance(0.1) then options[name] = source:any() end
    end
    if source:chance(0.03) then options.no_such_option = 1 end
    add(options)
  end
  return { arguments = arguments, options = options }
end

--- Sets the argument at a place; the options stay the last.
local function put(call, place, value)
  local arguments, last = call.arguments, call.options and call.arguments.n
  if last and place >= last then arguments[last], arguments[place + 1], arguments.n = nil, call.options, place + 1 end
  arguments[place] = value
  arguments.n = math.max(arguments.n, place)
end

--- What a message says about which argument: a number or a name (nil), and the words for what it should be.
local function read(message)
  local text = message:match("^[^\n]*"):gsub("^.-:%d+: ", "")
  local asked = text:match("expected (.-),? got") or text:match("%((%a+) expected") or text:match("must be (.-), got")
    or text:match("^.-: (.*)") or text
  local name = text:match("bad argument '([%w_]+)'") or text:match("([%w_]+)'? must be")
    or text:match("'([%w_]+)' is missing") or text:match("([%w_]+) is needed")
  return text, asked, tonumber(text:match("bad argument #(%d)")) or name
end

--- The same of an argument with a name: by position or by name.
local function set_named(source, target, call, name, text, asked)
  local before = call.arguments.n - (call.options and 1 or 0)
  local place = UNNAMED[name]
  for i, known in ipairs(target.names) do
    if known == name then place = i + (target.receiver and 1 or 0) end
  end
  if not place and before == 0 and text:find "bad argument" then place = 1 end
  if place and place <= before + 1 and source:chance(0.5) then -- the list may be that of the options alone
    return put(call, place, source:wanted(asked))
  end
  if not call.options then
    local options = {}
    put(call, before + 1, options)
    call.options = options
  end
  call.options[name] = source:wanted(asked)
end

--- Changes what the message complains about; false if it does not say.
function calls.mend(source, target, call, message)
  local text, asked, which = read(message)
  source:learn(text)
  local arguments, options = call.arguments, call.options
  local before = arguments.n - (options and 1 or 0) -- those by position
  if text:find "unknown option" or text:find "given twice" then
    local name = text:match "unknown option '([^']+)'" or text:match "'([%w_]+)' given twice"
    if not options or options[name] == nil then return false end
    options[name] = nil
  elseif text:find "takes at most" then
    if before == 0 then return false end
    arguments[before], arguments[arguments.n] = options, nil
    arguments.n = arguments.n - 1
  elseif type(which) == "number" then
    put(call, which, source:wanted(asked))
  elseif which then
    set_named(source, target, call, which, text, asked)
  else
    put(call, source.stream:integer(target.receiver and 2 or 1, math.max(before, 1) + 1), source:wanted(asked))
  end
  return true
end

return calls
