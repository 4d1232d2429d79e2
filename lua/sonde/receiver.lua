-- receiver("Dataset", methods, is): the methods written in Lua say so when they are called on something that is none
-- (`d.split(0.8)` for `d:split(0.8)`).
local fail = require "sonde.fail"

return function(class, methods, is)
  for name, fn in next, methods do
    if type(fn) == "function" and name:sub(1, 1) ~= "_" and debug.getinfo(fn, "S").what ~= "C" then
      methods[name] = function(self, ...)
        if is(self) then return fn(self, ...) end
        fail("bad argument #1 to %s:%s: expected %s, got %s (a method is called with a colon)", class, name, class,
          self == nil and "no value" or self)
      end
    end
  end
end
