-- A report against a peer, for one of its files or for all.
-- KEYS: the peer's seen, files, withheld, strikes, the reports against it for the file. On one Redis, where there is a file, also
-- the file's hashes, withheld; a Cluster has these in another slot, and moves the claim in a step of its own.
-- ARGV: 1 owner, 2 file (empty: all), 3 network of the reporter, 4 whether it is decisive (1), 5 how long a report counts in
-- ms, 6 how many networks it takes, 7 index TTL in ms (0: none), 8 when strikes are forgotten in ms, 9 most strikes.
-- Gives 0 when there is no such thing to report, 1 when it was noted, 2 when it is withheld.
local seen, file = redis.call('GET', KEYS[1]), ARGV[2]
if not seen or file ~= '' and redis.call('SISMEMBER', KEYS[2], file) == 0 then
  return 0
end
local ms, _, asked, address, port, flags = split(seen)
if file == '' and flags == 'w' or file ~= '' and redis.call('SISMEMBER', KEYS[3], file) == 1 then
  return 2
end
local now_ms = math.floor(now_us() / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[5], '-inf', text(now_ms - ARGV[5]))
redis.call('ZADD', KEYS[5], text(now_ms), ARGV[3])
redis.call('PEXPIRE', KEYS[5], ARGV[5])
if ARGV[4] ~= '1' and redis.call('ZCARD', KEYS[5]) < tonumber(ARGV[6]) then
  return 1
end
-- When it comes back, these count no more.
redis.call('DEL', KEYS[5])
local times = strikes_of(redis.call('HGET', KEYS[4], file), now_ms, ARGV[8])
if times == 0 and redis.call('HLEN', KEYS[4]) >= tonumber(ARGV[9]) then
  redis.call('HDEL', KEYS[4], redis.call('HRANDFIELD', KEYS[4]))
end
redis.call('HSET', KEYS[4], file, text(times + 1) .. ' ' .. text(now_ms))
redis.call('PEXPIRE', KEYS[4], ARGV[8])
if file == '' then
  redis.call('SET', KEYS[1], ms .. rest_of(asked, address, port, true), 'KEEPTTL')
else
  redis.call('SADD', KEYS[3], file)
  renew(KEYS[3], ARGV[7])
  local claim = KEYS[6] and redis.call('HGET', KEYS[6], ARGV[1])
  if claim then
    redis.call('HDEL', KEYS[6], ARGV[1])
    redis.call('HSET', KEYS[7], ARGV[1], claim)
    renew(KEYS[7], ARGV[7])
  end
end
return 2
