-- sonde recover FILE.part: makes the file of a killed run whole.
local cli = require "sonde.cli"

local command = {
  usage = "FILE.part",
  summary = "make a killed run's file whole and name it FILE",
  apart = true,
  about = "Makes the file of a killed run whole: every row that was on disk is kept, FILE gets status\n"
    .. "\"recovered\", and FILE.part goes. Never use h5clear on such a file: alone it truncates it.",
}

function command.parser(parser)
  parser:argument("part", "The file that the run left.")
  parser:flag("--force", "Replace FILE if it exists.")
end

function command.run(options)
  local recovered, message = require "sonde.core".h5.recover(options.part, options.force)
  if not recovered then return cli.fail(message) end
  print(("recovered %s: %d steps"):format(recovered.path, recovered.n_steps))
  if recovered.rows_dropped > 0 then
    cli.fail(("%d incomplete rows were dropped"):format(recovered.rows_dropped), 0)
  end
  if recovered.side_lost then
    cli.fail("the file .side beside it could not be read: late metrics, event texts and saved tensors are missing", 0)
  end
  return 0
end

return command
