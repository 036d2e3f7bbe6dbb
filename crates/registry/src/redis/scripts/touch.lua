-- A sign of life of a peer that is alive.
-- KEYS: the peer's seen. ARGV: peer TTL in ms (0: none).
if redis.call('EXISTS', KEYS[1]) == 0 then
  return 0
end
local time = redis.call('TIME')
local now_ms = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
if ARGV[1] == '0' then
  redis.call('SET', KEYS[1], now_ms)
else
  redis.call('SET', KEYS[1], now_ms, 'PX', ARGV[1])
end
return 1
