-- The training modes of all modules of a network, to be put back as they are now by restore(), or when the returned
-- value is closed. Each module gets its own, as train() would reach what stands below it too.
return function(net)
  local modules, modes = {}, {}
  for _, module in net:named_modules() do
    modules[#modules + 1], modes[#modes + 1] = module, module.training
  end
  local function restore()
    for i, module in ipairs(modules) do module.training = modes[i] end
  end
  return setmetatable({ restore = restore }, { __close = restore })
end
