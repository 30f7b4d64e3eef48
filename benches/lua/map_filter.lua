-- A map of HAProxy asked from Lua: `core.set_map` changes it while HAProxy runs.
local map = Map.new(os.getenv("BENCH_MAP"), Map["_" .. os.getenv("BENCH_MATCH")])

core.register_converters("map_filter", function(key)
    return map:lookup(key) ~= nil
end)
