-- Arguments of one command through argparse, with our exit codes.
local argparse = require "argparse"

local function new_parser(name, command, on_help)
  local parser = argparse("sonde " .. name, command.about or command.summary):add_help(false)
  parser:usage_max_width(100):help_max_width(100):help_description_margin(28)
  command.parser(parser)
  parser:flag("-h --help", "Show this help."):action(on_help)
  return parser
end

local parse = {}

function parse.help(name, command)
  return new_parser(name, command, function() end):get_help()
end

-- "--seed -1" as "--seed=-1": argparse would take the number for an option.
local function join_negative(arguments)
  local joined = { [0] = arguments[0] }
  for _, word in ipairs(arguments) do
    local before = joined[#joined]
    if word:find("^%-%.?%d") and before and before:find("^%-%-[%w-]+$") then
      joined[#joined] = before .. "=" .. word
    else
      joined[#joined + 1] = word
    end
  end
  return joined
end

-- The options; or nil and the exit code, when help was asked for or the usage was wrong (which was then said).
local function call(_, name, command, arguments)
  local asked_for_help = false
  local parser = new_parser(name, command, function()
    asked_for_help = true
    error("help")
  end)
  local ok, parsed, result = pcall(parser.pparse, parser, join_negative(arguments))
  if asked_for_help then
    print(parser:get_help())
    return nil, 0
  end
  if not ok then error(parsed, 0) end
  if parsed then return result end
  io.stderr:write("sonde ", name, ": ", (result:gsub("\n", "; ")), "\n", parser:get_usage(), "\n")
  return nil, 2
end

-- A converter for argparse: the value of `option`, a whole number of at least `least` (and at most `most`).
function parse.whole(option, least, most)
  local range = most and ("from %d to %d"):format(least, most) or ("of at least %d"):format(least)
  return function(text)
    local number = math.tointeger(tonumber(text))
    if number and number >= least and number <= (most or number) then return number end
    return nil, ("%s: expected a whole number %s, got '%s'"):format(option, range, text)
  end
end

return setmetatable(parse, { __call = call })
