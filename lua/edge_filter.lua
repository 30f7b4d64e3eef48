-- Edge Filter for HAProxy: registration glue. Every decision is made in edge_filter.so.
--
--   global
--       lua-prepend-path /usr/lib/edge-filter/?.so cpath
--       lua-load-per-thread /usr/lib/edge-filter/edge_filter.lua
--
-- Runs once per Lua state: once with lua-load, once per thread with lua-load-per-thread. Nothing in here may
-- raise an error while traffic flows: HAProxy would write an alert for each request.

-- Stops HAProxy. It reads the rest of its configuration first, so the names are registered all the same: the
-- reason would be followed by a complaint about each use of them otherwise.
local function refuse_to_start(reason)
    local function nothing() end
    core.register_converters("edge_ip", nothing)
    core.register_converters("edge_resource", nothing)
    core.register_action("edge_check", { "http-req" }, nothing)
    core.register_action("edge_learn", { "http-res" }, nothing)
    core.register_service("edge_metrics", "http", nothing)
    core.register_service("edge_status", "http", nothing)
    error("Edge Filter: " .. reason, 0)
end

-- Not require: it looks for edge_filter.lua first, and would find this file when HAProxy is started in its
-- directory.
local path = package.searchpath("edge_filter", package.cpath)
if not path then
    refuse_to_start("edge_filter.so is not in lua-prepend-path ... cpath: " .. package.cpath)
end
local open, problem = package.loadlib(path, "luaopen_edge_filter")
if not open then
    refuse_to_start("this library is not for HAProxy's " .. _VERSION .. ": " .. problem)
end
local edge = open("edge_filter", path)
if edge.failure then
    refuse_to_start(edge.failure)
end

local function warn(line)
    if line then
        core.Warning("Edge Filter: " .. line)
    end
end

-- To whoever starts or checks HAProxy, as its own warnings of that time. core.Warning does not reach them from here:
-- the log is not open yet, and HAProxy 3 keeps from stderr what goes to the log (tune.lua.log.stderr). The states of
-- later threads have nothing new to say: the module gives its warnings once.
for _, warning in ipairs(edge.warnings()) do
    io.stderr:write("[WARNING]  Edge Filter: ", warning, "\n")
end

-- Converters ---------------------------------------------------------------------------------------------

-- src,lua.edge_ip and base,lua.edge_resource: an integer verdict. Where the module speaks HAProxy's own
-- interface it has registered them natively, and HAProxy calls them without Lua.
if not edge.native() then
    core.register_converters("edge_ip", edge.edge_ip)
    core.register_converters("edge_resource", edge.edge_resource)
end

-- http-request lua.edge_check -------------------------------------------------------------------------------

local session_cookies = edge.session_cookies()

-- No session cookie and no Authorization.
local function is_anonymous(txn)
    if txn.f:req_fhdr_cnt("authorization") ~= 0 then
        return false
    end
    for _, name in ipairs(session_cookies) do
        if txn.f:req_cook_cnt(name) ~= 0 then
            return false
        end
    end
    return true
end

-- What edge_resource answers where a rule has conditions, or lets one request through near its end.
local ASK = -1

-- All dimensions of a request. Sets txn.edge.verdict (integer), and of the rule that decided, if one did,
-- txn.edge.rule and txn.edge.reason. Where edge_resource asked, edge_ip has judged the client before it: a second
-- look would count twice.
core.register_action("edge_check", { "http-req" }, function(txn)
    local fetch = txn.sf
    local client_is_judged = txn:get_var("txn.edge.verdict") == ASK
    -- The base, not Host and path: edge_resource must not have judged another host.
    local verdict, rule, reason = edge.check(
        fetch:base(), fetch:query(), fetch:method(), is_anonymous(txn), fetch:src(), client_is_judged)
    txn:set_var("txn.edge.verdict", verdict)
    if rule then
        txn:set_var("txn.edge.rule", rule)
        txn:set_var("txn.edge.reason", reason)
    end
end)

-- http-response lua.edge_learn ------------------------------------------------------------------------------

local HEADER = "x-edge-resource"

-- What a response says of the resource. The request is gone by now: haproxy.cfg keeps what is needed of it in
-- txn.edge.base, txn.edge.method and txn.edge.query, and sets txn.edge.partial where the answer is not that to a plain
-- request.
core.register_action("edge_learn", { "http-res" }, function(txn)
    local fetch = txn.sf
    local header_count = txn.f:res_fhdr_cnt(HEADER)
    if not header_count or header_count == 0 then
        return
    end
    -- A boolean is an integer for Lua before HAProxy 3.1 (tune.lua.bool-sample-conversion).
    local partial = txn:get_var("txn.edge.partial")
    local line = edge.learn({
        header = fetch:res_fhdr(HEADER),
        header_count = header_count,
        base = txn:get_var("txn.edge.base"),
        method = txn:get_var("txn.edge.method"),
        query = txn:get_var("txn.edge.query"),
        is_partial = partial ~= nil and partial ~= false and partial ~= 0,
        client = fetch:src(),
        status = txn.f:status(),
        backend = fetch:be_name(),
        server = fetch:srv_name(),
        unique_id = fetch:unique_id(),
    })
    warn(line)
end)

-- Services -----------------------------------------------------------------------------------------------

-- In place of a text that the module could not make.
local FAILED = "Edge Filter caught a panic; the log has its words"

local function register_page(name, content_type, body)
    core.register_service(name, "http", function(applet)
        local text = body()
        applet:set_status(text and 200 or 500)
        text = text or FAILED
        applet:add_header("content-type", content_type)
        applet:add_header("content-length", tostring(#text))
        applet:add_header("cache-control", "no-store")
        applet:start_response()
        if applet.method ~= "HEAD" then
            applet:send(text)
        end
    end)
end

register_page("edge_metrics", "text/plain; version=0.0.4; charset=utf-8", edge.metrics)
register_page("edge_status", "application/json", edge.status)

-- CLI: reads only, since HAProxy asks no level of these commands -------------------------------------------

core.register_cli({ "show", "edge", "status" }, "show edge status : state of Edge Filter, as JSON", function(applet)
    applet:send((edge.status() or FAILED) .. "\n")
end)

-- Rules formatted at once, about one buffer of HAProxy (16 KiB). applet:send waits by itself while the buffer is
-- full, and HAProxy does other work then. No core.yield: in HAProxy 2.6 it schedules the task of this command, which
-- is not unscheduled when the client leaves (hlua_cli_io_release_fct in src/hlua.c), and then wakes freed memory.
local RULES_PER_SLICE = 256

core.register_cli({ "show", "edge", "rules" }, "show edge rules [ip|resource] : the rules in force",
    function(applet, _, _, _, kind)
        local rules = edge.rules(kind or "")
        if not rules then
            applet:send("Say: show edge rules [ip|resource]\n")
            return
        end
        local slice = rules:next(RULES_PER_SLICE)
        while slice do
            applet:send(slice)
            slice = rules:next(RULES_PER_SLICE)
        end
    end)

core.register_cli({ "get", "edge" }, "get edge <ip or url> : what the edge would do, and why",
    function(applet, _, _, text)
        applet:send((edge.explain(text or "") or FAILED) .. "\n")
    end)

core.register_cli({ "edge", "sync" }, "edge sync : read on in the state directory, answer with the revision", function(applet)
    applet:send((edge.sync() or FAILED) .. "\n")
end)

-- Upkeep -------------------------------------------------------------------------------------------------

local UPKEEP_EVERY_MS = 25
-- While the module has more to do than fits one turn. The timer has passed when HAProxy has looked at all connections
-- once more, and not before: with core.yield it would run up to 200 turns (tune.runqueue-depth) between two looks.
local UPKEEP_SOON_MS = 0

-- One task per Lua state. The first (0 with lua-load, 1 with lua-load-per-thread) also applies what waits, sweeps
-- what ended, and follows the state directory; each lets go of the old rules that its own thread still holds.
local is_first = core.thread <= 1
core.register_task(function()
    while true do
        local lines, is_cut = edge.tick(is_first)
        for _, line in ipairs(lines) do
            warn(line)
        end
        core.msleep(is_cut and UPKEEP_SOON_MS or UPKEEP_EVERY_MS)
    end
end)
