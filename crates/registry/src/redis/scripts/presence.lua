-- Shared by several scripts, in front of them.
-- A presence is "MS", the last sign of life, or "MS TTL ADDRESS PORT FLAGS", `-` for what there is not: the time to
-- live that was asked for in ms, the address of a peer with an id, its port, `w` when it is withheld.

-- Gives the time in us and in ms since 1970, as text: made of text, since Lua takes longer to write a number.
local function now()
  local time = redis.call('TIME')
  local us = time[1] .. string.sub('00000' .. time[2], -6)
  return us, string.sub(us, 1, -4)
end

local function now_us()
  return tonumber((now()))
end

local function text(number)
  return string.format('%.0f', number)
end

-- Gives the time of the sign of life as text, what follows it, and its parts.
local function split(presence)
  local ms, rest = string.match(presence, '^(%d+)(.*)$')
  local asked, address, port, flags = string.match(rest or '', '^ (%S+) (%S+) (%S+) (%S+)')
  return ms or '0', rest or '', asked or '-', address or '-', port or '-', flags or '-'
end

local function rest_of(asked, address, port, withheld)
  if asked == '-' and address == '-' and port == '-' and not withheld then
    return ''
  end
  return ' ' .. asked .. ' ' .. address .. ' ' .. port .. (withheld and ' w' or ' -')
end

-- How long a peer lives in ms, also as text: what it asked for, but not longer than all; 0 is for ever.
local function life_of(longest, asked)
  local most = tonumber(longest)
  local wanted = tonumber(asked)
  if not wanted or most > 0 and most < wanted then
    return most, longest
  end
  return wanted, asked
end

-- Gives what was there before.
local function set_presence(key, value, left_ms)
  if left_ms == '0' then
    return redis.call('SET', key, value, 'GET')
  end
  return redis.call('SET', key, value, 'PX', left_ms, 'GET')
end

-- Whether a quarter or more of the time to live of an index is gone. 0: none.
local function needs_renewal(key, ttl_ms)
  local left = redis.call('PTTL', key)
  if ttl_ms == '0' then
    return left >= 0
  end
  return left * 4 < ttl_ms * 3
end

-- Gives an index its whole time to live again.
local function expire(key, ttl_ms)
  if ttl_ms == '0' then
    redis.call('PERSIST', key)
  else
    redis.call('PEXPIRE', key, ttl_ms)
  end
end

local function renew(key, ttl_ms)
  if needs_renewal(key, ttl_ms) then
    expire(key, ttl_ms)
  end
end

-- A strike is "N MS": how often it was withheld, and when last.
local function strikes_of(strike, now_ms, forget_ms)
  local times, last = string.match(strike or '', '^(%d+) (%d+)$')
  if not times or now_ms - last >= tonumber(forget_ms) then
    return 0, 0
  end
  return tonumber(times), tonumber(last)
end

-- How long, in ms, until a publish or heartbeat brings it back.
local function wait_left(strike, now_ms, wait_ms, forget_ms)
  local times, last = strikes_of(strike, now_ms, forget_ms)
  if times < 2 then
    return 0
  end
  return math.max(0, last + math.min(wait_ms * 2 ^ (times - 2), tonumber(forget_ms)) - now_ms)
end
