-- For wrk: creates config maps, each under a name of its own. Arguments after the URL: namespace and token.
local made = 0
local path, headers
local value = string.rep("x", 200)

function init(args)
  path = "/api/v1/namespaces/" .. args[1] .. "/configmaps"
  headers = { ["Authorization"] = "Bearer " .. args[2], ["Content-Type"] = "application/json" }
end

function request()
  made = made + 1
  local name = "wrk-" .. made
  local body = '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"' .. name .. '","labels":{"app":"load"}},"data":{"value":"' .. value .. '"}}'
  return wrk.format("POST", path, headers, body)
end
