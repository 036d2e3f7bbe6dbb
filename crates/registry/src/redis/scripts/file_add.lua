-- A peer publishes a file: the file's part of it.
-- KEYS: the file's peers, its hashes. ARGV: the peer, the content hash, index TTL in ms (0: none).
local time = redis.call('TIME')
redis.call('ZADD', KEYS[1], string.format('%.0f', time[1] * 1000000 + time[2]), ARGV[1])
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
for _, key in ipairs(KEYS) do
  if ARGV[3] == '0' then
    redis.call('PERSIST', key)
  else
    redis.call('PEXPIRE', key, ARGV[3])
  end
end
return 1
