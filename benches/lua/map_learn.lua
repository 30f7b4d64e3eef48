-- The backend says what to block, and `core.set_map` puts it into a map of HAProxy.
local map = os.getenv("BENCH_MAP")

core.register_action("map_learn", { "http-res" }, function(txn)
    core.set_map(map, txn:get_var("txn.base"), "false")
end)
