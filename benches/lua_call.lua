-- What a call from Lua costs, in the plain interpreter: an empty function, then the module's two hot functions.
--   lua5.3 benches/lua_call.lua DIRECTORY_OF_EDGE_FILTER_SO
-- The module links no Lua: the interpreter must export its symbols, as those of Debian do.

local directory = arg[1] or "dist/lua5.3"
local CALLS, ROUNDS = 500000, 7
local own = {}

-- A list of the script's own: 100,000 addresses, 10,000 resources.
local function list(text)
  local name = os.tmpname()
  local file = assert(io.open(name, "w"))
  file:write(text)
  file:close()
  own[#own + 1] = name
  return name
end

-- The module reads the names of its lists from the environment, which Lua cannot set: the script starts itself
-- again.
if arg[2] ~= "measure" then
  local networks, resources = {}, {}
  for n = 0, 99999 do
    networks[#networks + 1] = ("10.%d.%d.%d"):format(n // 65536, n // 256 % 256, n % 256)
  end
  for n = 0, 9999 do
    resources[#resources + 1] = ("shop.example/listed/%05d"):format(n)
  end
  local command = ("EDGE_NATIVE=off EDGE_BLOCK_FILES=%s EDGE_RESOURCE_FILES=%s '%s' '%s' '%s' measure"):format(
    list(table.concat(networks, "\n")), list(table.concat(resources, "\n")), arg[-1], arg[0], directory)
  local succeeded = os.execute(command)
  for _, name in ipairs(own) do
    os.remove(name)
  end
  os.exit(succeeded and 0 or 1)
end

package.cpath = directory .. "/?.so"
local edge = require("edge_filter")
assert(not edge.failure, edge.failure)

-- Nanoseconds of processor time a call; the median of some rounds, the arguments taken in turn.
local function ns_a_call(call, arguments)
  local times = {}
  for round = 1, ROUNDS do
    local count, at = #arguments, 0
    local start = os.clock()
    for _ = 1, CALLS do
      at = at % count + 1
      call(arguments[at])
    end
    times[round] = (os.clock() - start) / CALLS * 1e9
  end
  table.sort(times)
  return times[ROUNDS // 2 + 1]
end

local function report(name, call, arguments, expected)
  for _, argument in ipairs(arguments) do
    local verdict = call(argument)
    assert(expected == nil or (verdict ~= 0) == expected, argument .. " has verdict " .. tostring(verdict))
  end
  print(("%-36s%8.1f"):format(name, ns_a_call(call, arguments)))
end

-- 4096 arguments of one form.
local function each(form)
  local all = {}
  for n = 0, 4095 do
    all[n + 1] = form(n * 7919 % 100000)
  end
  return all
end

local listed = each(function(n) return ("10.%d.%d.%d"):format(n // 65536, n // 256 % 256, n % 256) end)
local unlisted = each(function(n) return ("192.%d.%d.%d"):format(n // 65536, n // 256 % 256, n % 256) end)
local unlisted_v6 = each(function(n) return ("2001:db8:%x::%x"):format(n % 65536, n // 2) end)
local blocked = each(function(n) return ("shop.example/listed/%05d"):format(n % 10000) end)
local open = each(function(n) return ("shop.example/basket/%05d"):format(n) end)
local crooked = each(function(n) return ("Shop.Example:8080//listed/./%05d"):format(n % 10000) end)

print(("%-36s%8s"):format("", "ns"))
report("empty Lua function", function(_) end, listed)
report("edge_ip, hit", edge.edge_ip, listed, true)
report("edge_ip, miss", edge.edge_ip, unlisted, false)
report("edge_ip, IPv6 miss", edge.edge_ip, unlisted_v6, false)
report("edge_resource, hit", edge.edge_resource, blocked, true)
report("edge_resource, miss", edge.edge_resource, open, false)
report("edge_resource, hit, not canonical", edge.edge_resource, crooked, true)
