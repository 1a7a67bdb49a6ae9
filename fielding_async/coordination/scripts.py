"""The scripts of the shared pace. Each is atomic, and reads the time of the server; times are its microseconds.

`SYNC` is the one call of a member: it says what it needs and what it saw, and learns what holds for all. `LEARN` is how
the leader sets the pace. What they keep, in one hash and four small keys that expire a day after the last call:

`n` counts calls, so that a store that was emptied or rolled back is noticed. `cursor` is the next free send time: each
slot that is leased moves it by the interval. `epoch` counts pauses, `until` is the end of the latest, `row` how many
there were in a row. `burst` is the epoch of the latest that started with the first 429 of a burst: nothing is concluded
from a 429 to what was permitted before, but for a configured rate. `change` counts what moved or ended the slots that
were leased before. `interval`, `strict`, `opening`, `state`, `knows` (the epoch that the pace takes account of) come
from the leader, who is `leader` until `leads`. `factor` is by how much a configured interval was lengthened. `owner` is
the member with the last slots before `cursor`. A probe is `wanted`, or in progress by `prober` until `probing`.
"""

from .client import Script

__all__ = ["LEARN", "SYNC"]

_COMMON = """
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local function text(number) return string.format('%.0f', number) end
local function news(...) redis.call('XADD', KEYS[6], 'MAXLEN', '~', '200', '*', ...) end
"""

SYNC = Script(
    _COMMON
    + """
local me, leaves, told = ARGV[1], ARGV[2] == '1', tonumber(ARGV[3])
local want, lane, horizon = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local demand, lasts, burst = tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])
local refused, retry, longest, dice = tonumber(ARGV[10]), tonumber(ARGV[11]), tonumber(ARGV[12]), tonumber(ARGV[13])
local paused, seen, accepted, accepted_epoch = tonumber(ARGV[14]), ARGV[15], tonumber(ARGV[16]), tonumber(ARGV[17])
local probe, refusal, margin, batch = ARGV[18], ARGV[19], tonumber(ARGV[20]), tonumber(ARGV[21])
local lacks, found = ARGV[22] == '1', tonumber(ARGV[23])

local names = {'n', 'cursor', 'epoch', 'until', 'row', 'blind', 'change', 'interval', 'strict', 'opening', 'knows',
  'factor', 'refused_at', 'length', 'wanted', 'probing', 'since', 'accepted', 'window', 'lane', 'lane_from', 'leads',
  'batch', 'burst'}
local values = redis.call('HMGET', KEYS[1], unpack(names))
local s = {}
for i, name in ipairs(names) do s[name] = tonumber(values[i] or '0') or 0 end
local prober = redis.call('HGET', KEYS[1], 'prober') or ''
local leader = redis.call('HGET', KEYS[1], 'leader') or ''
local owner = redis.call('HGET', KEYS[1], 'owner') or ''
local learned = told == 0
if s.n == 0 then
  s.interval, s.opening, s.factor, s.since = 117647, 1, 1, now
  -- a store that was emptied goes on at the pace that a member had from it
  if found > 0 then s.interval, s.opening = found, 0 end
end
s.n = s.n + 1

-- a clock that was set back must not make a pause or a wait of it
if s['until'] > now + s.length then s['until'] = now + s.length end
if paused > 0 and now + paused > s['until'] then
  s.epoch, s.change = s.epoch + 1, s.change + 1
  s.burst = s.epoch
  s['until'], s.length, s.cursor = now + paused, paused, now + paused
  news('k', 'p', 'e', text(s.epoch), 'u', text(s['until']), 'r', text(s.row), 'c', text(s.change))
end

-- members, and those with requests
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', text(now))
redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', text(now))
if leaves then
  redis.call('ZREM', KEYS[2], me)
  redis.call('ZREM', KEYS[3], me)
else
  redis.call('ZADD', KEYS[2], text(now + lasts), me)
  if demand > 0 then redis.call('ZADD', KEYS[3], text(now + 500000), me) end
  if batch > 0 then s.batch = now + 500000 end
end
local members = math.max(redis.call('ZCARD', KEYS[2]), 1)
local active = math.max(redis.call('ZCARD', KEYS[3]), 1)

-- what was seen
if seen ~= '' then redis.call('XADD', KEYS[5], 'MAXLEN', '~', '5000', '*', 's', seen) end
if accepted > 0 then
  s.accepted = s.accepted + accepted
  if accepted_epoch >= s.burst and accepted_epoch <= s.epoch then s.row, s.blind = 0, 0 end
end
if probe == 'free' and prober == me then prober, s.wanted = '', 1 end
if probe == 'done' and prober == me then
  prober = ''
  news('k', 'g')
end
if probe == 'held' and prober == me then s.probing = now + 2000000 end
local calm = 20000000
if s.strict == 1 then calm = 60000000 end
if told > 0 and s.factor > 1.07 and now - s.refused_at > calm then
  s.refused_at, s.factor, s.strict = now, math.max(s.factor / 1.15, 1), 0
end

-- a 429
if refused >= 0 then
  local is_late, was_paused, seconds = refused < s.burst or refused > s.epoch, s['until'] > now, nil
  if prober == me and not is_late then prober = '' end
  local began = 0
  if retry < 0 then
    if not (is_late and was_paused) then
      if not is_late then s.blind = math.min(s.blind + 1, 16) end
      local ceiling = math.min(100000 * 2 ^ s.blind, longest)
      local least = math.min(100000, ceiling)
      seconds, s.wanted = least + dice * (ceiling - least), 1
    end
  else
    seconds = math.min(retry, longest)
    if retry > longest then s.wanted = 1 end
  end
  if seconds then
    if not is_late or not was_paused then
      began = 1
      s.epoch = s.epoch + 1
      if not is_late then
        if learned and retry >= 0 and s.row > 0 then
          s.wanted = 1
          seconds = math.max(seconds, math.min(seconds * s.row, math.min(8000000, longest)))
        end
        s.row, s.burst = s.row + 1, s.epoch
      end
      if told > 0 then  -- late ones too: of even spacing they are the evidence that comes first
        local quiet = now - s.refused_at
        -- at the rate that is told, no window and no bucket of a second's worth is full after so few
        local few = burst == 0 and retry >= 0 and s.row == 1 and s.accepted * told < 500000
        local step = 1.15
        if quiet > 20000000 or s.factor < 1.07 then step = 1.02 end
        if s.strict == 1 then step = 1.04 end
        s.factor, s.refused_at = math.min(s.factor * step, 100), now
        if quiet < 5000000 or few then
          -- even spacing is demanded, and processes are late one by one
          s.strict, s.factor = 1, math.max(s.factor, 1.12)
        end
      end
      if not is_late then
        s.window = math.max(now + seconds - s.since, 1000) / math.max(s.accepted, 1)
        s.since, s.accepted = now + seconds, 0
      end
    end
    if now + seconds > s['until'] or began == 1 then
      s['until'] = math.max(s['until'], now + seconds)
      s.length = s['until'] - now
      s.cursor, s.change = s['until'], s.change + 1
      redis.call('DEL', KEYS[4])
      news('k', 'p', 'e', text(s.epoch), 'u', text(s['until']), 'r', text(s.row), 'c', text(s.change))
    end
  end
  if learned and refusal ~= '' then
    if is_late then began = 0 end
    redis.call('XADD', KEYS[5], 'MAXLEN', '~', '5000', '*', 'r', refusal, 'b', tostring(began), 'e', text(s.epoch),
      'p', text(seconds or 0))
  end
end

-- who learns for all
local state = ''
if learned and not leaves then
  if leader == me then
    s.leads = now + 1500000
  elseif leader == '' or now > s.leads then
    leader, s.leads = me, now + 1500000
    news('k', 'l')
  end
  if leader == me and lacks then state = redis.call('HGET', KEYS[1], 'state') or '' end
elseif leaves and leader == me then
  leader, s.leads = '', 0
  news('k', 'l')
end

-- slots
for i = 24, #ARGV do redis.call('ZADD', KEYS[4], ARGV[i], ARGV[i]) end
redis.call('ZREMRANGEBYSCORE', KEYS[4], '-inf', text(now + margin))
if prober ~= '' and now > s.probing then prober, s.wanted = '', 1 end
local interval, is_ready = told * s.factor, 1
if learned then
  interval = s.interval
  if s.knows < s.epoch then
    -- the leader has not said yet how to go on after the pause
    if now < s['until'] + 30000 then is_ready = 0 else interval = math.max(s.window, s.interval) end
  end
end
if told < 0 then interval = 0 end
local slots, pushed, flags = {}, 0, 0
local start = math.max(now, s['until'])
if prober ~= '' then
  is_ready = 0
  flags = 4
elseif s.wanted == 1 then
  flags = 4
  if want > 0 and (is_ready == 1 or now >= s['until']) then
    prober, s.wanted, s.probing = me, 0, start + 2000000
    slots[1] = text(start)
    s.cursor = math.max(s.cursor, start + interval)
    flags = 16
  end
  is_ready = 0
end
if is_ready == 1 and interval > 0 and want > 0 then
  -- where even spacing is demanded a member gets some slots in a row, and time behind them by which it may be late
  local is_even, guard, wide = s.strict == 1 and not learned, 0, 1
  if is_even then horizon, guard, wide = math.max(horizon, 24 * active * interval), interval * 0.5, 2 end
  if s.cursor > start + 4 * (horizon + active * interval) + interval * burst then s.cursor = start end
  s.cursor = math.max(s.cursor, start - interval * burst)
  local most = math.max(1, math.floor(horizon / interval / active + 0.5))
  local count = math.min(want, most)
  local from = math.max(now + margin, s['until'])
  if now > s.batch then lane = 0 end
  if now - s.lane_from > 1000000 then s.lane_from, s.lane = now, 0 end
  while lane > 0 and s.lane * interval < 900000 do
    -- calls take slots of the batch, whose owners are moved back by as many
    local steps = math.floor((s.cursor - from) / interval)
    if steps < 1 then break end
    local at = s.cursor - steps * interval
    s.cursor, s.lane, s.change = s.cursor + interval * wide, s.lane + 1, s.change + 1
    news('k', 'm', 'f', text(at - 1), 'x', '1', 'b', text(interval * wide), 'c', text(s.change))
    at = at + interval * (wide - 1)
    slots[#slots + 1] = text(at)
    pushed, lane, count, from = pushed + 1, lane - 1, count - 1, at + interval
  end
  if count > 0 and not is_even then
    local back = redis.call('ZRANGEBYSCORE', KEYS[4], text(now + margin), text(s.cursor), 'LIMIT', 0, count)
    for _, at in ipairs(back) do
      redis.call('ZREM', KEYS[4], at)
      slots[#slots + 1] = at
      count = count - 1
    end
  end
  -- who goes on with a slice of its own needs no time between
  if count > 0 and owner == me and s.cursor - guard >= from then s.cursor = s.cursor - guard end
  for _ = 1, count do
    slots[#slots + 1] = text(s.cursor)
    s.cursor = s.cursor + interval
  end
  if count > 0 then s.cursor, owner = s.cursor + guard, me end
end

local kept = {'prober', prober, 'leader', leader, 'owner', owner}
for _, name in ipairs(names) do
  kept[#kept + 1] = name
  kept[#kept + 1] = string.format('%.17g', s[name])
end
redis.call('HSET', KEYS[1], unpack(kept))
for _, key in ipairs(KEYS) do redis.call('EXPIRE', key, 86400) end
if s.strict == 1 then flags = flags + 1 end
if s.opening == 1 and learned and s.knows >= s.epoch then flags = flags + 2 end
if leader == me then flags = flags + 8 end
if is_ready == 1 and interval == 0 then flags = flags + 32 end
if now <= s.batch then flags = flags + 64 end
return {s.n, text(now), s.epoch, text(s['until']), s.row, s.change, members, active, text(interval), flags, state,
  slots, pushed, text(s.window)}
"""
)

LEARN = Script(
    _COMMON
    + """
local me, interval, strict, opening = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4]
local knows, state, margin = tonumber(ARGV[5]), ARGV[6], tonumber(ARGV[7])
local names = {'n', 'cursor', 'until', 'interval', 'knows', 'change', 'epoch', 'leads'}
local values = redis.call('HMGET', KEYS[1], unpack(names))
local s = {}
for i, name in ipairs(names) do s[name] = tonumber(values[i] or '0') or 0 end
if redis.call('HGET', KEYS[1], 'leader') ~= me then return {0} end
s.leads = now + 1500000
s.n = s.n + 1
local start = math.max(now + margin, s['until'])
local is_told = false
if interval > 0 and s.interval > 0 and s.cursor > start and knows >= s.epoch and s.knows >= s.epoch then
  -- the slots that are leased already get the new spacing as well
  local ratio = interval / s.interval
  if ratio < 0.98 or ratio > 1.02 then
    s.change = s.change + 1
    s.cursor = start + (s.cursor - start) * ratio
    news('k', 'm', 'f', text(start), 'x', string.format('%.9g', ratio), 'b', '0', 'c', text(s.change))
  end
elseif interval == 0 and s.interval > 0 then
  is_told = true
end
if knows > s.knows or is_told then news('k', 'g') end
s.interval, s.knows = interval, knows
local kept = {'strict', strict, 'opening', opening, 'state', state}
for _, name in ipairs(names) do
  kept[#kept + 1] = name
  kept[#kept + 1] = string.format('%.17g', s[name])
end
redis.call('HSET', KEYS[1], unpack(kept))
return {1, s.n}
"""
)
