-- sonde check FILE: does a file, whoever wrote it, follow the format?
local cli = require "sonde.cli"

local command = { usage = "FILE [--json]", summary = "whether a file follows this format, whoever wrote it",
                  apart = true }

function command.parser(parser)
  parser:argument("file", "The file; FILE.part where the run goes on or was killed.")
  parser:flag("--json", "One JSON document.")
end

local MOST = 50 -- problems shown

function command.run(options)
  local open = require "sonde.history.open"
  local file, path = open.file(options.file)
  if not file then return cli.fail(path) end
  local _ <close> = file
  local problems = require "sonde.history.check"(file)
  if options.json then
    local json = require "sonde.json"
    print(json.encode({ file = path, follows = #problems == 0, problems = json.array(problems) }, "  "))
    return #problems == 0 and 0 or 1
  end
  for i = 1, math.min(#problems, MOST) do print(("%s: %s"):format(problems[i].path, problems[i].text)) end
  if #problems > MOST then print(("… and %d more"):format(#problems - MOST)) end
  if #problems > 0 then
    return cli.fail(("'%s' does not follow the format sonde-history 1.0: %d thing%s wrong"):format(path, #problems,
      #problems == 1 and " is" or "s are"))
  end
  print(("%s follows the format sonde-history 1.0 (%d steps)"):format(path, (open.progress(file))))
  return 0
end

return command
