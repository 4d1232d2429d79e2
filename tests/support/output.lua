--- Busted's output for a whole suite: nothing for what passes, everything about what fails, and the count as last line.
local pretty = require "pl.pretty"

return function()
  local handler = require "busted.outputHandlers.base"()

  local function report(kind, entry)
    local message = entry.message
    if message == nil then message = "no message" end
    if type(message) ~= "string" then message = pretty.write(message) end
    print(("%s: %s\n%s"):format(kind, entry.name, message))
    if entry.trace and entry.trace.traceback then print(entry.trace.traceback) end
    print()
  end

  require "busted".subscribe({ "suite", "end" }, function()
    for _, entry in ipairs(handler.failures) do report("FAILED", entry) end
    for _, entry in ipairs(handler.errors) do report("ERROR", entry) end
    for _, entry in ipairs(handler.pendings) do print("skipped: " .. entry.name) end
    print(("%d passed, %d failed"):format(handler.successesCount, handler.failuresCount + handler.errorsCount))
    return nil, true
  end)
  return handler
end
