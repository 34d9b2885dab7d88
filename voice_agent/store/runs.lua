-- The atomic changes of runs, and of turns that wait for their client. As in scripts.lua, what stands before the first
-- `-- script:` line is put in front of each script. A pair's `runs` lists its records, "<created ms>:<id>" by the time
-- they run out. The journal of a turn that is, or was, set aside holds it (`suspended`) and how many `whole` steps there
-- were then. The pair's `waiting` holds the `turn` that waits (its member in the index of open turns), the `epoch` it
-- was left under and when it had `begun`; and of the last one that was taken up its run (`answered`), the epoch it was
-- taken `from` and the one it has (`epoch`), and the process that did (`slot`, `incarnation`).
local ANSWERED_TTL_S = 604800

local function waits_no_more(waiting, member)
  if redis.call('HGET', waiting, 'turn') ~= member then return end
  redis.call('HDEL', waiting, 'turn', 'begun')
  redis.call('EXPIRE', waiting, ANSWERED_TTL_S)
end

-- A user of whom neither a turn is in the log nor one waits is listed no longer.
local function unlist(users, log, waiting, user)
  if redis.call('XLEN', log) > 0 or redis.call('HEXISTS', waiting, 'turn') == 1 then return end
  redis.call('ZREM', users, user)
end

-- script: write_run
-- KEYS record, runs, session · ARGV slot, incarnation, member of runs, ms to live or '' for ever, record
local owner = redis.call('HMGET', KEYS[3], 'slot', 'incarnation')
if owner[1] and (owner[1] ~= ARGV[1] or owner[2] ~= ARGV[2]) then
  return redis.error_reply('FENCED the run belongs to another process now')
end
local now, ends = now_ms(), '+inf'
if ARGV[4] == '' then
  redis.call('SET', KEYS[1], ARGV[5])
else
  redis.call('SET', KEYS[1], ARGV[5], 'PX', ARGV[4])
  ends = string.format('%.0f', now + tonumber(ARGV[4]))
end
redis.call('ZADD', KEYS[2], ends, ARGV[3])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', string.format('%.0f', now))
local last = redis.call('ZREVRANGE', KEYS[2], 0, 0, 'WITHSCORES')[2]
if last == 'inf' then
  redis.call('PERSIST', KEYS[2])
else
  redis.call('PEXPIREAT', KEYS[2], string.format('%.0f', tonumber(last)))
end
return 1

-- script: ask_cancel
-- KEYS changes · ARGV agent, user, run
return redis.call('XADD', KEYS[1], 'MAXLEN', '~', CHANGES_MAX, '*', 'agent', ARGV[1], 'user', ARGV[2], 'kind', 'cancel',
  'version', 0, 'labels', '[]', 'lag_ms', 0, 'run', ARGV[3])

-- script: suspend_turn
-- KEYS session, journal, index, waiting, users · ARGV epoch, member, suspension, user
local fault = fenced(KEYS[1], ARGV[1])
if fault then return fault end
-- A turn that is not open was never begun, is committed, or is set aside already and the reply was lost.
local begun = redis.call('ZSCORE', KEYS[3], ARGV[2])
if not begun then return 0 end
if redis.call('HEXISTS', KEYS[4], 'turn') == 1 then
  return redis.error_reply('FENCED another turn of this user waits for its client already')
end
local marks = redis.call('HEXISTS', KEYS[2], 'suspended') == 1 and {'head', 'suspended', 'whole'} or {'head'}
redis.call('HSET', KEYS[2], 'suspended', ARGV[3], 'whole', redis.call('HLEN', KEYS[2]) - #marks)
redis.call('HSET', KEYS[4], 'turn', ARGV[2], 'epoch', ARGV[1], 'begun', begun)
redis.call('PERSIST', KEYS[4])
redis.call('ZREM', KEYS[3], ARGV[2])
redis.call('ZADD', KEYS[5], 0, ARGV[4])
linger(KEYS[1])
return 1

-- script: resume_turn
-- KEYS session, journal, index, waiting, record · ARGV member, run, epoch, slot, incarnation
if redis.call('EXISTS', KEYS[2]) == 0 then return false end
local held = redis.call('HMGET', KEYS[4], 'turn', 'epoch', 'begun', 'answered', 'from', 'slot', 'incarnation')
if not held[1] and held[4] == ARGV[2] and held[5] == ARGV[3] and held[6] == ARGV[4] and held[7] == ARGV[5] then
  return tonumber(held[2])
end
if held[1] ~= ARGV[1] or held[2] ~= ARGV[3] then return false end
local epoch = math.max(tonumber(redis.call('HGET', KEYS[1], 'epoch') or 0), tonumber(ARGV[3])) + 1
own(KEYS[1], epoch, ARGV[4], ARGV[5])
redis.call('ZADD', KEYS[3], held[3], ARGV[1])
redis.call('HSET', KEYS[4], 'answered', ARGV[2], 'from', ARGV[3], 'epoch', epoch, 'slot', ARGV[4],
  'incarnation', ARGV[5])
waits_no_more(KEYS[4], ARGV[1])
-- Kept for ever while its turn waited: it is not, if whoever took it up dies before it writes it again.
redis.call('EXPIRE', KEYS[5], ANSWERED_TTL_S)
return epoch

-- script: trim_runs
-- KEYS runs, waiting, log, users, journal of the turn that waits, records that go
-- ARGV user, the turn that waits, ms, members of runs that go
for place = 6, #KEYS do redis.call('DEL', KEYS[place]) end
for place = 4, #ARGV do redis.call('ZREM', KEYS[1], ARGV[place]) end
local held = redis.call('HMGET', KEYS[2], 'turn', 'begun')
if held[1] and held[1] == ARGV[2] and tonumber(held[2]) < tonumber(ARGV[3]) then
  redis.call('DEL', KEYS[2], KEYS[5])
end
unlist(KEYS[4], KEYS[3], KEYS[2], ARGV[1])
return 1
