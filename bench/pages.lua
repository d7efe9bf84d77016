-- For wrk: lists from the first page to the last, again and again, and prints its percentiles in milliseconds. Arguments after the URL: path with its limit, and token.
local path, headers
local continue = ""

function init(args)
  path = args[1]
  headers = { ["Authorization"] = "Bearer " .. args[2] }
end

function request()
  return wrk.format("GET", path .. continue, headers)
end

function response(status, _, body)
  local token = string.match(string.sub(body, 1, 1000), '"continue":"([^"]+)"')
  continue = token and ("&continue=" .. token) or ""
end

function done(summary, latency)
  local refused = summary.errors.status + summary.errors.read + summary.errors.timeout
  io.write(string.format("pages %d refused %d p50 %.3f p99 %.3f\n", summary.requests, refused, latency:percentile(50) / 1000, latency:percentile(99) / 1000))
end
