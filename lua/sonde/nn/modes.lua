-- The training modes of all modules of a network, to be put back as they are now by restore(), or when the returned
-- value is closed.
return function(net)
  local modules, modes = {}, {}
  for _, module in net:named_modules() do
    modules[#modules + 1], modes[#modes + 1] = module, module.training
  end
  local function restore()
    for i, module in ipairs(modules) do module:train(modes[i]) end -- children too: their own come later
    for i, module in ipairs(modules) do
      if #module:children() == 0 then module:train(modes[i]) end -- one that has two parents, again
    end
  end
  return setmetatable({ restore = restore }, { __close = restore })
end
