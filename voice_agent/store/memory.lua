-- Memory's atomic changes, but for the worker's (jobs.lua). As in scripts.lua, what stands before the first
-- `-- script:` line is put in front of each script. A pair's `meta` holds how far memory is, as ids of log entries: `start` (the window begins after it), `evict`
-- (turns up to it are to leave the window), `cursor` (a job has dealt with all up to it), `wanted` (one is to). `job` is
-- the job that waits or runs, `done` the last one finished; `next_reason` and `next_asked` are of what was wanted since
-- the job was raised. `born` marks one life of the pair: it is another once the pair was forgotten, or
-- the beginning of its log was.
local GROUP = 'sleep'
local CHANGES_MAX = 10000
local VERSIONS_KEPT = 100
local BATCHES_MAX = 1000
local MARKS_LOOKED_AT = 1000
local NOTHING = '0-0'

local function later(a, b)
  local a_ms, a_n = string.match(a, '^(%d+)-(%d+)$')
  local b_ms, b_n = string.match(b, '^(%d+)-(%d+)$')
  if a_ms ~= b_ms then return tonumber(a_ms) > tonumber(b_ms) end
  return tonumber(a_n) > tonumber(b_n)
end

local function mark(meta, name)
  return redis.call('HGET', meta, name) or NOTHING
end

-- Moves a mark on, never back; true if it moved.
local function move(meta, name, to)
  if not later(to, mark(meta, name)) then return false end
  redis.call('HSET', meta, name, to)
  return true
end

-- What is to leave the window leaves it as far as it has been dealt with.
local function move_start(meta)
  local evict, cursor = mark(meta, 'evict'), mark(meta, 'cursor')
  return move(meta, 'start', later(evict, cursor) and cursor or evict)
end

-- The server's own time, as in the ids of its streams: clocks of other machines would make lags of nothing.
local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function field(fields, name)
  for place = 1, #fields, 2 do
    if fields[place] == name then return fields[place + 1] end
  end
  return nil
end

local function entry_at(stream, id)
  return redis.call('XRANGE', stream, id, id)[1]
end

local function announce(changes, agent, user, kind, version, labels, lag_ms)
  redis.call('XADD', changes, 'MAXLEN', '~', CHANGES_MAX, '*', 'agent', agent, 'user', user, 'kind', kind,
    'version', version, 'labels', labels, 'lag_ms', lag_ms)
end

local function ring(meta, jobs, agent, user, reason, asked_ms)
  local id = redis.call('XADD', jobs, '*', 'agent', agent, 'user', user, 'reason', reason,
    'upto', mark(meta, 'wanted'), 'asked', string.format('%.0f', asked_ms))
  redis.call('HSET', meta, 'job', id)
end

-- One job per pair: while one waits or runs, what is wanted besides is only noted. A job that is gone counts for none.
local function want(meta, jobs, agent, user, reason, upto)
  move(meta, 'wanted', upto)
  local job = redis.call('HGET', meta, 'job')
  if job and entry_at(jobs, job) then
    redis.call('HSETNX', meta, 'next_asked', string.format('%.0f', now_ms()))
    redis.call('HSET', meta, 'next_reason', reason)
    return
  end
  ring(meta, jobs, agent, user, reason, now_ms())
end

local function take_away(jobs, job)
  redis.call('XACK', jobs, GROUP, job)
  redis.call('XDEL', jobs, job)
end

-- Turns that a job has dealt with already leave at once; for the others one is raised.
local function evict(meta, jobs, changes, agent, user, upto)
  move(meta, 'evict', upto)
  if later(upto, mark(meta, 'cursor')) then return want(meta, jobs, agent, user, 'eviction', upto) end
  if move_start(meta) then
    announce(changes, agent, user, 'memory', tonumber(redis.call('HGET', meta, 'version') or 0), '[]', 0)
  end
end

-- A row is "<version> <block>".
local function block_version(blocks, label)
  local row = redis.call('HGET', blocks, label)
  return row and tonumber(string.match(row, '^%d+')) or 0
end

local function write_block(blocks, versions, label, version, block)
  redis.call('HSET', blocks, label, version .. ' ' .. block)
  redis.call('HSET', versions, version .. ':' .. label, block)
  redis.call('HDEL', versions, (version - VERSIONS_KEPT) .. ':' .. label)
end

-- script: load
-- KEYS meta, blocks, log · ARGV count
local entries = redis.call('XRANGE', KEYS[3], '(' .. mark(KEYS[1], 'start'), '+', 'COUNT', ARGV[1])
local last = redis.call('XREVRANGE', KEYS[3], '+', '-', 'COUNT', 1)[1]
return {
  redis.call('HMGET', KEYS[1], 'version', 'start', 'cursor', 'wanted', 'evict'),
  redis.call('HVALS', KEYS[2]), entries, last and last[1] or NOTHING,
}

-- script: write_block
-- KEYS meta, changes, blocks, versions · ARGV agent, user, label, version, block, labels
local version = tonumber(ARGV[4])
-- A write whose reply was lost is not in conflict with itself.
if redis.call('HGET', KEYS[3], ARGV[3]) == ARGV[4] .. ' ' .. ARGV[5] then return 1 end
if block_version(KEYS[3], ARGV[3]) ~= version - 1 then return 0 end
write_block(KEYS[3], KEYS[4], ARGV[3], version, ARGV[5])
announce(KEYS[2], ARGV[1], ARGV[2], 'memory', redis.call('HINCRBY', KEYS[1], 'version', 1), ARGV[6], 0)
return 1

-- script: block_history
-- KEYS blocks, versions · ARGV label
local fields, version = {}, block_version(KEYS[1], ARGV[1])
if version == 0 then return {} end
for kept = version, math.max(1, version - VERSIONS_KEPT + 1), -1 do
  fields[#fields + 1] = kept .. ':' .. ARGV[1]
end
return redis.call('HMGET', KEYS[2], unpack(fields))

-- script: add_documents
-- KEYS meta, docs, batches · ARGV digest of the batch, documents
local ids, ms = {}, redis.call('ZSCORE', KEYS[3], ARGV[1])
-- A batch whose reply was lost is there already: its entries have one ms part, by which they are found.
if ms then
  for _, entry in ipairs(redis.call('XRANGE', KEYS[2], ms, ms)) do
    if field(entry[2], 'batch') == ARGV[1] then ids[#ids + 1] = entry[1] end
  end
  if #ids == #ARGV - 1 then return ids end
  ids = {}
end
local id = '*'
for place = 2, #ARGV do
  ids[#ids + 1] = redis.call('XADD', KEYS[2], id, 'batch', ARGV[1], 'document', ARGV[place])
  ms = string.match(ids[1], '^%d+')
  id = ms .. '-*'
end
redis.call('ZADD', KEYS[3], ms, ARGV[1])
redis.call('ZREMRANGEBYRANK', KEYS[3], 0, -BATCHES_MAX - 1)
redis.call('HSETNX', KEYS[1], 'born', ids[1])
return ids

-- script: delete_document
-- KEYS docs, gone · ARGV entry, document
if redis.call('XDEL', KEYS[1], ARGV[1]) == 0 then return 0 end
redis.call('XADD', KEYS[2], '*', 'document', ARGV[2])
return 1

-- script: trim
-- KEYS meta, changes, log, seen, keys, users, waiting · ARGV agent, user, ms
local border = ARGV[3] .. '-0'
local last = redis.call('XREVRANGE', KEYS[3], '(' .. border, '-', 'COUNT', 1)[1]
if not last then return 0 end
last = last[1]
local gone = redis.call('XTRIM', KEYS[3], 'MINID', border)
-- Late heard marks hold the words of turns that are gone now: they follow them closely.
for _, entry in ipairs(redis.call('XRANGE', KEYS[3], '-', '+', 'COUNT', MARKS_LOOKED_AT)) do
  local turn = entry[2][2] == 'heard' and field(entry[2], 'entry')
  if turn and not later(turn, last) then gone = gone + redis.call('XDEL', KEYS[3], entry[1]) end
end
for _, entry in ipairs(redis.call('XRANGE', KEYS[5], '-', '+')) do
  local first = string.match(cjson.decode(field(entry[2], 'key')).first, '^%d+%-%d+')
  if first and not later(first, last) then redis.call('XDEL', KEYS[5], entry[1]) end
end
redis.call('ZREMRANGEBYSCORE', KEYS[4], '-inf', '(' .. ARGV[3])
move(KEYS[1], 'cursor', last)
move(KEYS[1], 'start', last)
redis.call('HSET', KEYS[1], 'born', 'after ' .. last)
unlist(KEYS[6], KEYS[3], KEYS[7], ARGV[2])
announce(KEYS[2], ARGV[1], ARGV[2], 'memory', tonumber(redis.call('HGET', KEYS[1], 'version') or 0), '[]', 0)
return gone

-- script: forget
-- KEYS meta, jobs, dead, changes, users, index, the pair's other keys · ARGV agent, user, members of the index
local meta = KEYS[1]
local job = redis.call('HGET', meta, 'job')
if job then take_away(KEYS[2], job) end
for _, letter in ipairs(redis.call('XRANGE', KEYS[3], '-', '+')) do
  if field(letter[2], 'agent') == ARGV[1] and field(letter[2], 'user') == ARGV[2] then
    redis.call('XDEL', KEYS[3], letter[1])
  end
end
local held = redis.call('DEL', meta) + redis.call('ZREM', KEYS[5], ARGV[2])
for place = 7, #KEYS do held = held + redis.call('DEL', KEYS[place]) end
for place = 3, #ARGV do redis.call('ZREM', KEYS[6], ARGV[place]) end
if held == 0 then return 0 end
announce(KEYS[4], ARGV[1], ARGV[2], 'forgotten', 0, '[]', 0)
return 1
