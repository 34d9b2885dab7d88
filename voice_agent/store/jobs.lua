-- The atomic changes of the sleeptime worker's jobs, on the marks that memory.lua tells of. As in scripts.lua, what stands
-- before the first `-- script:` line is put in front of each script.
local PAGE = 100

-- A job is over: it goes, and what was wanted past the cursor meanwhile is the next one's.
local function close(meta, jobs, agent, user, job)
  take_away(jobs, job)
  local reason = redis.call('HGET', meta, 'next_reason') or 'more'
  local asked = tonumber(redis.call('HGET', meta, 'next_asked')) or now_ms()
  redis.call('HDEL', meta, 'job', 'next_reason', 'next_asked')
  if later(mark(meta, 'wanted'), mark(meta, 'cursor')) then ring(meta, jobs, agent, user, reason, asked) end
end

local function last_turn(log)
  local to = '+'
  while true do
    local entries = redis.call('XREVRANGE', log, to, '-', 'COUNT', PAGE)
    for _, entry in ipairs(entries) do
      if field(entry[2], 'kind') == 'turn' then return entry[1] end
    end
    if #entries < PAGE then return NOTHING end
    to = '(' .. entries[#entries][1]
  end
end

-- script: raise_job
-- KEYS meta, jobs, log · ARGV agent, user, reason
local upto = last_turn(KEYS[3])
if not later(upto, mark(KEYS[1], 'cursor')) then return 0 end
want(KEYS[1], KEYS[2], ARGV[1], ARGV[2], ARGV[3], upto)
return 1

-- script: make_group
-- KEYS jobs · from the stream's beginning: jobs raised before the first worker came are its as well
local made = redis.pcall('XGROUP', 'CREATE', KEYS[1], GROUP, '0', 'MKSTREAM')
if made.err and not string.find(made.err, '^BUSYGROUP') then return made end
return 1

-- script: claim_jobs
-- KEYS jobs · ARGV worker, idle ms, count, ms after which a consumer with nothing pending goes
local claimed, from, page = {}, '-', nil
repeat
  page = redis.call('XPENDING', KEYS[1], GROUP, 'IDLE', ARGV[2], from, '+', PAGE)
  for _, held in ipairs(page) do
    local lease = string.format('%.0f', tonumber(ARGV[2]) * 2 ^ math.min(held[4] - 1, 16))
    if held[3] >= tonumber(lease) and #claimed < tonumber(ARGV[3]) then
      local entry = redis.call('XCLAIM', KEYS[1], GROUP, ARGV[1], lease, held[1])[1]
      if entry then claimed[#claimed + 1] = {entry[1], entry[2], held[4] + 1} end
    end
    from = '(' .. held[1]
  end
until #page < PAGE or #claimed >= tonumber(ARGV[3])
for _, consumer in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], GROUP)) do
  if field(consumer, 'pending') == 0 and field(consumer, 'idle') >= tonumber(ARGV[4]) then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], GROUP, field(consumer, 'name'))
  end
end
return claimed

-- script: renew_jobs
-- KEYS jobs · ARGV worker, jobs · a lease that another worker has taken over stays its own
for place = 2, #ARGV do
  local held = redis.call('XPENDING', KEYS[1], GROUP, ARGV[place], ARGV[place], 1)[1]
  if held and held[2] == ARGV[1] then
    redis.call('XCLAIM', KEYS[1], GROUP, ARGV[1], 0, ARGV[place], 'JUSTID')
  end
end
return 1

-- script: finish_job
-- KEYS meta, jobs, changes, blocks, versions, keys
-- ARGV agent, user, job, cursor read, cursor, start, labels, number of keys, the keys; label, version, block of each block
local meta, job = KEYS[1], ARGV[3]
if redis.call('HGET', meta, 'done') == job then return tonumber(redis.call('HGET', meta, 'version') or 0) end
if redis.call('HGET', meta, 'job') ~= job or mark(meta, 'cursor') ~= ARGV[4] then return false end
local first_block = 9 + tonumber(ARGV[8])
for place = first_block, #ARGV, 3 do
  if block_version(KEYS[4], ARGV[place]) ~= tonumber(ARGV[place + 1]) - 1 then return false end
end
local entry = entry_at(KEYS[2], job)
for place = 9, first_block - 1 do redis.call('XADD', KEYS[6], '*', 'key', ARGV[place]) end
for place = first_block, #ARGV, 3 do
  write_block(KEYS[4], KEYS[5], ARGV[place], tonumber(ARGV[place + 1]), ARGV[place + 2])
end
local moved = move(meta, 'cursor', ARGV[5])
moved = move(meta, 'start', ARGV[6]) or moved
moved = move_start(meta) or moved
if moved or #ARGV > 8 then
  local asked = entry and tonumber(field(entry[2], 'asked')) or now_ms()
  local version, lag = redis.call('HINCRBY', meta, 'version', 1), math.max(0, now_ms() - asked)
  announce(KEYS[3], ARGV[1], ARGV[2], 'memory', version, ARGV[7], string.format('%.0f', lag))
end
redis.call('HSET', meta, 'done', job)
redis.call('HDEL', meta, 'last_failure')
close(meta, KEYS[2], ARGV[1], ARGV[2], job)
return tonumber(redis.call('HGET', meta, 'version') or 0)

-- script: fail_job
-- KEYS meta · ARGV job, reason
if redis.call('HGET', KEYS[1], 'job') ~= ARGV[1] then return 0 end
return redis.call('HSET', KEYS[1], 'last_failure', ARGV[2])

-- script: bury_job
-- KEYS meta, jobs, changes, dead · ARGV agent, user, job, reason, deliveries
local meta, job = KEYS[1], ARGV[3]
if redis.call('HGET', meta, 'job') ~= job then
  take_away(KEYS[2], job)
  return 0
end
local entry = entry_at(KEYS[2], job)
local upto = entry and field(entry[2], 'upto') or mark(meta, 'wanted')
redis.call('XADD', KEYS[4], '*', 'agent', ARGV[1], 'user', ARGV[2], 'reason', ARGV[4], 'deliveries', ARGV[5],
  'cursor', mark(meta, 'cursor'), 'start', mark(meta, 'start'), 'upto', upto)
redis.call('HINCRBY', meta, 'dead', 1)
redis.call('HSET', meta, 'last_failure', ARGV[4])
move(meta, 'cursor', upto)
if move_start(meta) then
  announce(KEYS[3], ARGV[1], ARGV[2], 'memory', tonumber(redis.call('HGET', meta, 'version') or 0), '[]', 0)
end
close(meta, KEYS[2], ARGV[1], ARGV[2], job)
return 1

-- script: retry_job
-- KEYS meta, jobs, dead · ARGV agent, user, dead letter
local letter = entry_at(KEYS[3], ARGV[3])
if not letter then return 0 end
for _, name in ipairs({'cursor', 'start'}) do
  local was = field(letter[2], name)
  if later(mark(KEYS[1], name), was) then redis.call('HSET', KEYS[1], name, was) end
end
redis.call('XDEL', KEYS[3], ARGV[3])
redis.call('HINCRBY', KEYS[1], 'dead', -1)
want(KEYS[1], KEYS[2], ARGV[1], ARGV[2], 'retry', field(letter[2], 'upto'))
return 1

-- script: drop_job
-- KEYS meta, dead · ARGV dead letter
if redis.call('XDEL', KEYS[2], ARGV[1]) == 0 then return 0 end
redis.call('HINCRBY', KEYS[1], 'dead', -1)
return 1

-- script: memory_health
-- KEYS meta, jobs
local job = redis.call('HGET', KEYS[1], 'job')
local entry = job and entry_at(KEYS[2], job)
local lag = entry and math.max(0, now_ms() - tonumber(field(entry[2], 'asked'))) or 0
return {entry and 1 or 0, lag, redis.call('HMGET', KEYS[1], 'start', 'cursor', 'wanted', 'last_failure', 'dead')}
