-- A matchmaker hears a peer.
-- KEYS: the peer's homes and seen. ARGV: 1 `KIND NODE`, 2 how long homes live in ms, 3 peer TTL in ms (0: none; `-`: this is no
-- sign of life for the tracker).
-- Gives the others that said so, the newest first.
local now_ms = math.floor(now_us() / 1000)
-- First of all, so that a Redis that is full refuses it: after any other write of a script it would not.
redis.call('ZADD', KEYS[1], text(now_ms), ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', text(now_ms - ARGV[2]))
redis.call('PEXPIRE', KEYS[1], ARGV[2])
if ARGV[3] ~= '-' then
  local seen = redis.call('GET', KEYS[2])
  if seen then
    local _, rest, asked = split(seen)
    set_presence(KEYS[2], text(now_ms) .. rest, life_of(ARGV[3], asked))
  end
end
local others = {}
for _, member in ipairs(redis.call('ZREVRANGE', KEYS[1], 0, 7)) do
  if member ~= ARGV[1] then
    others[#others + 1] = member
  end
end
return others
