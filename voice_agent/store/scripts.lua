-- The atomic changes, but for memory's (memory.lua, jobs.lua) and runs' (runs.lua). What stands before the first
-- `-- script:` line, in each of the files, is put in front of each script. A script takes all its keys in KEYS and can be
-- repeated: a client that lost the reply just sends it again. Replies that begin with FENCED or ABSENT are faults with a
-- meaning of their own.
local SESSION_TTL_S = 86400
local SEEN_MAX = 1000

local function fenced(session, epoch)
  local held = redis.call('HGET', session, 'epoch')
  if held and tonumber(held) > tonumber(epoch) then
    return redis.error_reply('FENCED the session is owned under epoch ' .. held .. ', this write came under ' .. epoch)
  end
  return nil
end

-- Comes last in a script: a full server refuses the first write that needs memory, but none after another write.
local function linger(session)
  redis.call('EXPIRE', session, SESSION_TTL_S)
end

local function own(session, epoch, slot, incarnation)
  redis.call('HSET', session, 'epoch', epoch, 'slot', slot, 'incarnation', incarnation)
  linger(session)
end

-- The id of a committed turn's entry, or nil. `seen` holds the ms part of the id, so that a turn long ago costs nothing.
local function committed(seen, log, turn)
  local ms = redis.call('ZSCORE', seen, turn)
  if not ms then return nil end
  for _, entry in ipairs(redis.call('XRANGE', log, ms, ms)) do
    local fields = entry[2]
    if fields[2] == 'turn' and fields[4] == turn then return entry[1] end
  end
  return nil
end

-- script: enter
-- KEYS store · ARGV schema, shards, new store id
if redis.call('EXISTS', KEYS[1]) == 0 then
  redis.call('HSET', KEYS[1], 'schema', ARGV[1], 'shards', ARGV[2], 'id', ARGV[3])
end
return redis.call('HMGET', KEYS[1], 'schema', 'shards')

-- script: open_session
-- KEYS session · ARGV slot, incarnation
local epoch = tonumber(redis.call('HGET', KEYS[1], 'epoch') or 0) + 1
own(KEYS[1], epoch, ARGV[1], ARGV[2])
return epoch

-- script: begin_turn
-- KEYS session, journal, index, seen · ARGV epoch, turn, member, head, started ms, slot, incarnation
local fault = fenced(KEYS[1], ARGV[1])
if fault then return fault end
if redis.call('ZSCORE', KEYS[4], ARGV[2]) then return 0 end
-- A session that said nothing for a day has expired: its turn brings it back.
if redis.call('EXISTS', KEYS[1]) == 0 then own(KEYS[1], ARGV[1], ARGV[6], ARGV[7]) end
redis.call('HSET', KEYS[2], 'head', ARGV[4])
-- A turn that was set aside is open again when it is taken up, and not before.
if redis.call('HEXISTS', KEYS[2], 'suspended') == 0 then redis.call('ZADD', KEYS[3], ARGV[5], ARGV[3]) end
linger(KEYS[1])
return 1

-- script: save_step
-- KEYS session, journal · ARGV epoch, index, messages
local fault = fenced(KEYS[1], ARGV[1])
if fault then return fault end
if redis.call('EXISTS', KEYS[2]) == 0 then return 0 end
redis.call('HSET', KEYS[2], ARGV[2], ARGV[3])
linger(KEYS[1])
return 1

-- script: commit_turn
-- KEYS session, journal, index, seen, log, meta, users, jobs, changes, waiting
-- ARGV epoch, turn, member, record, agent, user, last entry to evict or ''
local fault = fenced(KEYS[1], ARGV[1])
if fault then return fault end
local id = committed(KEYS[4], KEYS[5], ARGV[2])
if id then return id end
id = redis.call('XADD', KEYS[5], '*', 'kind', 'turn', 'key', ARGV[2], 'turn', ARGV[4])
redis.call('ZADD', KEYS[4], string.match(id, '^%d+'), ARGV[2])
redis.call('ZREMRANGEBYRANK', KEYS[4], 0, -SEEN_MAX - 1)
redis.call('HINCRBY', KEYS[6], 'turns', 1)
redis.call('HSETNX', KEYS[6], 'born', id)
redis.call('ZADD', KEYS[7], 0, ARGV[6])
redis.call('DEL', KEYS[2])
redis.call('ZREM', KEYS[3], ARGV[3])
waits_no_more(KEYS[10], ARGV[3])
if ARGV[7] ~= '' then evict(KEYS[6], KEYS[8], KEYS[9], ARGV[5], ARGV[6], ARGV[7]) end
linger(KEYS[1])
return id

-- script: commit_heard
-- KEYS session, seen, log · ARGV epoch, turn, messages
local fault = fenced(KEYS[1], ARGV[1])
if fault then return fault end
local entry = committed(KEYS[2], KEYS[3], ARGV[2])
if not entry then
  return redis.error_reply('ABSENT turn ' .. ARGV[2] .. ' is not in the log')
end
local last = redis.call('XREVRANGE', KEYS[3], '+', '-', 'COUNT', 1)[1]
if last and last[2][2] == 'heard' and last[2][4] == ARGV[2] and last[2][6] == ARGV[3] then return last[1] end
local id = redis.call('XADD', KEYS[3], '*', 'kind', 'heard', 'key', ARGV[2], 'messages', ARGV[3], 'entry', entry)
linger(KEYS[1])
return id

-- script: adopt
-- KEYS session, journal · ARGV epoch seen, slot, incarnation
local held = redis.call('HGET', KEYS[1], 'epoch')
if held and tonumber(held) ~= tonumber(ARGV[1]) then return false end
local journal = redis.call('HGETALL', KEYS[2])
if #journal == 0 then return false end
local epoch = tonumber(ARGV[1]) + 1
own(KEYS[1], epoch, ARGV[2], ARGV[3])
return {epoch, journal}

-- script: write_agent
-- KEYS rows, names · ARGV id, version expected, document · a row is "<version> <document>"
local row = redis.call('HGET', KEYS[1], ARGV[1])
local version = row and tonumber(string.match(row, '^%d+')) or 0
local expected = tonumber(ARGV[2])
local new = (expected + 1) .. ' ' .. ARGV[3]
-- A change whose reply was lost is not in conflict with itself; a second creation is.
if expected > 0 and row == new then return 1 end
if version ~= expected then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], new)
redis.call('ZADD', KEYS[2], 0, ARGV[1])
return 1

-- script: list_agents
-- KEYS rows, names · ARGV after, limit
local names = redis.call('ZRANGE', KEYS[2], '(' .. ARGV[1], '+', 'BYLEX', 'LIMIT', 0, ARGV[2])
if #names == 0 then return {} end
return {names, redis.call('HMGET', KEYS[1], unpack(names))}

-- script: delete_agent
-- KEYS rows, names · ARGV id
redis.call('ZREM', KEYS[2], ARGV[1])
return redis.call('HDEL', KEYS[1], ARGV[1])
