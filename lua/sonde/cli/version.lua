-- sonde version, sonde --version
local version = { usage = "", summary = "the version of sonde and of what it is built on" }

function version.main()
  local core = require "sonde.core"
  local build = core.system.build()
  print(("sonde %s (%s, HDF5 %s, %s)"):format(build.sonde, build.lua, core.h5.library_version(), build.compiler))
  return 0
end

return version
