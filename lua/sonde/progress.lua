-- How far a run is, on stderr: a bar that is redrawn at most ten times a second on a terminal, otherwise a plain line
-- now and then. A terminal counts if TERM is set and not "dumb" and CI is not set. No colours are used, so NO_COLOR
-- has nothing to turn off.
local progress = {}

local Progress = {}
Progress.__index = Progress

local redraw_seconds, line_seconds = 0.1, 10
local bar_cells = { 8, 24 } -- at least, at most; where there is no room for the least there is no bar
local blocks = { "▏", "▎", "▍", "▌", "▋", "▊", "▉", "█" }

local function set(name)
  local value = os.getenv(name)
  return value ~= nil and value ~= "" and value
end

-- May stderr be drawn on?
function progress.on_terminal(isatty)
  local term = set("TERM")
  return isatty(2) and term and term ~= "dumb" and not set("CI") or false
end

local function speaks_utf8()
  local locale = set("LC_ALL") or set("LC_CTYPE") or set("LANG") or ""
  return locale:lower():find("utf%-?8") ~= nil
end

local function duration(seconds)
  seconds = math.floor(seconds + 0.5)
  if seconds < 3600 then return ("%d:%02d"):format(seconds // 60, seconds % 60) end
  return ("%d:%02d:%02d"):format(seconds // 3600, seconds // 60 % 60, seconds % 60)
end

-- options: quiet, clock (a function), terminal (boolean), write (a function of a text), width (a function), utf8.
function progress.new(options)
  return setmetatable({
    quiet = options.quiet, clock = options.clock, terminal = options.terminal, width = options.width,
    write = options.write or function(text) io.stderr:write(text):flush() end,
    utf8 = options.utf8 == nil and speaks_utf8() or options.utf8,
    started = options.clock(), shown = options.clock(), drawn = false, step = 0,
  }, Progress)
end

-- The number of the last step, as far as is known; nil: unknown.
function Progress:expect(total)
  self.total = total
  if self.step == 0 then self.started = self.clock() end -- what came before the steps says nothing of their pace
end

local function bar(share, cells, utf8)
  local filled = share * cells
  local whole = math.floor(filled)
  if not utf8 then return ("#"):rep(whole) .. ("."):rep(cells - whole) end
  local part = math.floor((filled - whole) * 8)
  local text = blocks[8]:rep(whole) .. (part > 0 and blocks[part] or "")
  return text .. (" "):rep(cells - whole - (part > 0 and 1 or 0))
end

function Progress:status()
  local parts = { "step " .. self.step .. (self.total and "/" .. self.total or "") }
  if self.loss then parts[#parts + 1] = "loss " .. (self.loss ~= self.loss and "NaN" or ("%.4g"):format(self.loss)) end
  local seconds = self.clock() - self.started
  if self.step > 0 and seconds > 0 then
    local rate = self.step / seconds
    parts[#parts + 1] = (rate < 10 and "%.2g steps/s" or "%.0f steps/s"):format(rate)
    if self.total and self.total > self.step then
      parts[#parts + 1] = duration((self.total - self.step) / rate) .. " left"
    end
  end
  return table.concat(parts, "  ")
end

function Progress:draw()
  local text, width = self:status(), self.width() - 1
  if self.total and self.total > 0 then
    local share = math.min(1, self.step / self.total)
    local cells = math.min(bar_cells[2], width - #text - #"100 %   ")
    if cells >= bar_cells[1] then text = bar(share, cells, self.utf8) .. "  " .. text end
    text = ("%3.0f %% %s"):format(share * 100, text)
  end
  if utf8.len(text) > width then text = text:sub(1, utf8.offset(text, width + 1) - 1) end
  self.write("\r" .. text .. "\27[K")
  self.drawn = true
end

-- A step has ended. loss: nil if there is none.
function Progress:advance(step, loss)
  self.step, self.loss = step, loss
  if self.quiet then return end
  local now = self.clock()
  if now - self.shown < (self.terminal and redraw_seconds or line_seconds) then return end
  self.shown = now
  if self.terminal then
    self:draw()
  else
    self.write(self:status() .. "\n")
  end
end

-- Takes the bar away, so that something else can be written.
function Progress:clear()
  if not self.drawn then return end
  self.write("\r\27[K")
  self.drawn = false
end

-- A line for the reader, also under --quiet: warnings and events.
function Progress:message(text)
  self:clear()
  self.write("sonde: " .. text .. "\n")
end

-- The run has ended: the last state stays as a plain line.
function Progress:finish()
  self:clear()
  if self.quiet or self.step == 0 then return end
  self.total = nil
  self.write(self:status() .. "\n")
end

return progress
