-- A filter as it is written in an hour: a table of what is blocked, asked by a converter.
local blocked = {}
for line in io.lines(os.getenv("BENCH_KEYS")) do
    blocked[line] = true
end

core.register_converters("table_filter", function(key)
    return blocked[key] ~= nil
end)
