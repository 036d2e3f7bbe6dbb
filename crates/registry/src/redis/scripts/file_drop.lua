-- A dead peer has a file no more: the file's part of it.
-- KEYS: the file's peers, its hashes. ARGV: the peer, and a time in us: what it published later stays.
-- Gives how many peers have it yet, or -1 when nothing was dropped.
local published = redis.call('ZSCORE', KEYS[1], ARGV[1])
if published and tonumber(published) > tonumber(ARGV[2]) then
  return -1
end
-- One that is withheld is among the hashes only.
if redis.call('ZREM', KEYS[1], ARGV[1]) + redis.call('HDEL', KEYS[2], ARGV[1]) == 0 then
  return -1
end
return redis.call('HLEN', KEYS[2])
