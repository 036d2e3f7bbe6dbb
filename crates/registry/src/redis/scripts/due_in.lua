-- A peer that publishes has to be looked at some time, on a Cluster.
-- KEYS: its due set. ARGV: 1 the peer, 2 how long it lives in ms (0: for ever).
-- One that is there stays as it is, but for a lease (which has a fraction), by which somebody may be about to take the peer out of
-- the set, and for one that may be leased before the publish is done.
local now_ms = math.floor(now_us() / 1000)
local life = tonumber(ARGV[2])
local at = tonumber(redis.call('ZSCORE', KEYS[1], ARGV[1]) or '0.5')
if at ~= math.floor(at) or life > 0 and at <= now_ms + math.min(1000, life / 4) then
  redis.call('ZADD', KEYS[1], life > 0 and text(now_ms + life) or '0', ARGV[1])
end
return 1
