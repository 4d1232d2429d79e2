-- sonde diagnose FILE: what is wrong with a run, where, since when, with the evidence.
local cli = require "sonde.cli"
local json = require "sonde.json"

local command = {
  usage = "FILE [--json] [--check]",
  summary = "name what is wrong with a run, where, since when, with the evidence",
  apart = true,
}

function command.parser(parser)
  parser:argument("file", "A run's file, or the FILE.part of one that is live or was killed.")
  parser:flag("--json", "One JSON document.")
  parser:flag("--check", "Exit 1 if anything is wrong.")
  parser:option("--threshold", "Draw a line elsewhere, e.g. vanishing_decades=3. May be given several times.")
    :argname("NAME=VALUE"):count("*")
end

local function thresholds_from(options)
  local values = {}
  for _, setting in ipairs(options.threshold) do
    local name, value = setting:match("^([%w_]+)=(.+)$")
    if not name or not tonumber(value) then
      return nil, ("--threshold: expected NAME=NUMBER, got '%s'"):format(setting)
    end
    values[name] = tonumber(value)
  end
  return values
end

local function document_of(report)
  local findings = json.array()
  for i, finding in ipairs(report.findings) do
    findings[i] = {
      pathology = finding.pathology, severity = finding.severity, layers = json.array(finding.layers),
      since_step = finding.since_step, evidence = finding.evidence, cause = finding.cause,
      cures = json.array(finding.cures),
    }
  end
  return { file = report.file, healthy = report.healthy, findings = findings }
end

function command.run(options)
  local thresholds, message = thresholds_from(options)
  if not thresholds then return cli.fail(message, 2) end
  local diagnose = require "sonde.diagnose"
  for name in next, thresholds do
    if not diagnose.thresholds[name] then
      local names = {}
      for known in next, diagnose.thresholds do names[#names + 1] = known end
      table.sort(names)
      return cli.fail("--threshold: " .. require "sonde.suggest".unknown("threshold", name, names), 2)
    end
  end
  local report, trouble = diagnose.file(options.file, { thresholds = thresholds })
  if not report then return cli.fail(trouble) end
  if options.json then
    print(json.encode(document_of(report), "  "))
  else
    print(require "sonde.diagnose.report"(report))
  end
  return options.check and not report.healthy and 1 or 0
end

return command
