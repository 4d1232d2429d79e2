--- Runs one spec file with Busted inside this interpreter: `spec.lua FILE TIER`. Ends with "N passed, N failed"; fails
--- too if the file leaves an object of the runtime alive or an HDF5 id open.
local here = arg[0]:match("^(.*)/[^/]*$")
local path, tier = arg[1], arg[2]

package.path = here .. "/../?.lua;" .. package.path
local standard = {}
for name in pairs(package.loaded) do standard[name] = true end
local globals = {}
for name in pairs(_G) do globals[name] = true end

arg[1], arg[2] = "--output=" .. here .. "/output.lua", path -- what Busted reads
if tier ~= "slow" then arg[3] = "--exclude-tags=slow" end
require "busted.runner" { standalone = false } -- exits if a test fails

-- Everything a spec or Busted may still hold goes; then nothing of ours may be alive.
for name in pairs(_G) do
  if not globals[name] then _G[name] = nil end
end
for name in pairs(package.loaded) do
  if not standard[name] then package.loaded[name] = nil end
end
for _ = 1, 3 do collectgarbage() end
local core = require "sonde.core"
local live, left = core.live(), {}
live["HDF5 identifiers"] = core.h5.open_ids()
for kind, n in pairs(live) do
  if n ~= 0 then left[#left + 1] = n .. " " .. kind end
end
if #left > 0 then
  table.sort(left)
  print("left behind: " .. table.concat(left, ", "))
  os.exit(1, true)
end
