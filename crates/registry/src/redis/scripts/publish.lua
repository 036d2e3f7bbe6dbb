-- A peer publishes a file, or a mapping is taken over from another store.
-- KEYS: the peer's seen, files, withheld, strikes; its due set and the count of mappings beside it; the file's peers,
-- hashes; the listed names of its shard. A Cluster has them in four slots: peer, due, file, names.
-- ARGV: 1 owner, 2 file, 3 hash and size, 4 peer TTL in ms (0: none), 5 index TTL in ms (0: none), 6 TTL that was asked for,
-- 7 address, 8 port, 9 most files, 10 most peers, 11 first wait of the withheld in ms, 12 when strikes are forgotten in ms,
-- 13 when the taken over was seen in ms (0: a publish).
-- Gives what became of it, the wait in ms, and whether others have to hear that the peer changed. 1 listed, 2 withheld; 0 the
-- peer is dead and something of its former life is still there: nothing was done; -1 too many files; -2 too many peers;
-- -3 the peer of what was to be taken over is dead.
local seen = redis.call('GET', KEYS[1])
local owner, file, imported = ARGV[1], ARGV[2], ARGV[13] ~= '0'
local new = redis.call('SADD', KEYS[2], file) == 1
local files = new and redis.call('SCARD', KEYS[2]) or 0
if not seen and files ~= 1 then
  if new then
    redis.call('SREM', KEYS[2], file)
  end
  return { 0, 0, 0 }
end
local us = now_us()
local now_ms = math.floor(us / 1000)
local struck = redis.call('EXISTS', KEYS[3], KEYS[4]) > 0
local peer_wait, file_wait = 0, 0
if struck then
  local strikes = redis.call('HMGET', KEYS[4], '', file)
  peer_wait = wait_left(strikes[1], now_ms, ARGV[11], ARGV[12])
  file_wait = wait_left(strikes[2], now_ms, ARGV[11], ARGV[12])
end

local life = life_of(ARGV[4], ARGV[6])
local at_ms, left, keep = now_ms, life, false
if imported then
  at_ms = math.min(tonumber(ARGV[13]), now_ms)
  if life > 0 then
    left = at_ms + life - now_ms
  end
  local dead = life > 0 and left <= 0
  if dead and not seen then
    redis.call('SREM', KEYS[2], file)
    return { -3, 0, 0 }
  end
  keep = seen and (dead or tonumber((split(seen))) >= at_ms)
  if struck and file_wait == 0 and redis.call('SISMEMBER', KEYS[3], file) == 1 then
    file_wait = 1
  end
  peer_wait = seen and select(6, split(seen)) == 'w' and math.max(peer_wait, 1) or peer_wait
end
local changed = 0
if not keep then
  local rest = rest_of(ARGV[6], ARGV[7], ARGV[8], peer_wait > 0)
  if not seen or select(2, split(seen)) ~= rest then
    changed = 1
  end
  set_presence(KEYS[1], text(at_ms) .. rest, left)
end

if files > tonumber(ARGV[9]) then
  redis.call('SREM', KEYS[2], file)
  return { -1, 0, changed }
elseif not new and keep and redis.call('HEXISTS', KEYS[8], owner) == 1 then
  -- What is here is newer.
  return { 1, 0, changed }
end

local same = not new and redis.call('HGET', KEYS[8], owner) == ARGV[3]
local peers = 0
if file_wait > 0 then
  if redis.call('SADD', KEYS[3], file) == 1 then
    redis.call('ZREM', KEYS[7], owner)
  end
  renew(KEYS[3], ARGV[5])
else
  if struck then
    redis.call('SREM', KEYS[3], file)
  end
  if not same or not redis.call('ZSCORE', KEYS[7], owner) then
    if redis.call('ZADD', KEYS[7], text(us), owner) == 1 then
      peers = redis.call('ZCARD', KEYS[7])
      if peers > tonumber(ARGV[10]) then
        redis.call('ZREM', KEYS[7], owner)
        redis.call('HDEL', KEYS[8], owner)
        redis.call('SREM', KEYS[2], file)
        if not new then
          redis.call('DECR', KEYS[6])
        end
        return { -2, 0, changed }
      end
    end
  end
end
if new then
  if files == 1 then
    -- Also where peers live for ever: the setting may change.
    redis.call('ZADD', KEYS[5], 'NX', text(left > 0 and now_ms + left or 0), owner)
    renew(KEYS[2], ARGV[5])
  end
  redis.call('INCR', KEYS[6])
end
if not same and redis.call('HSET', KEYS[8], owner, ARGV[3]) == 1 or peers == 1 then
  if peers < 2 and redis.call('HLEN', KEYS[8]) == 1 then
    redis.call('ZADD', KEYS[9], 0, file)
  end
  -- Both were made together and are renewed together, but for one that was emptied by reports.
  if peers == 1 or needs_renewal(KEYS[8], ARGV[5]) then
    for key = 7, 8 do
      renew(KEYS[key], ARGV[5])
    end
  end
end
local wait = math.max(peer_wait, file_wait)
if wait > 0 then
  return { 2, wait, changed }
end
return { 1, 0, changed }
