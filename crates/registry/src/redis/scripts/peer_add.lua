-- A peer publishes a file: its part of it.
-- KEYS: the peer's seen, its files. ARGV: the file, peer TTL in ms (0: none), index TTL in ms (0: none), most files.
-- Gives 0 when the peer is dead and something of its former life is still there, -1 when it has too many files; nothing
-- is changed then.
if redis.call('EXISTS', KEYS[1]) == 0 and redis.call('EXISTS', KEYS[2]) == 1 then
  return 0
end
if redis.call('SCARD', KEYS[2]) >= tonumber(ARGV[4]) and redis.call('SISMEMBER', KEYS[2], ARGV[1]) == 0 then
  return -1
end
local time = redis.call('TIME')
local now_ms = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
redis.call('SADD', KEYS[2], ARGV[1])
if ARGV[2] == '0' then
  redis.call('SET', KEYS[1], now_ms)
  redis.call('PERSIST', KEYS[2])
else
  redis.call('SET', KEYS[1], now_ms, 'PX', ARGV[2])
  redis.call('PEXPIRE', KEYS[2], ARGV[3])
end
return 1
