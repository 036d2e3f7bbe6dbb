-- Looks whether a peer is alive, and renews the expiry of its index when it is.
-- KEYS: the peer's seen, its files. ARGV: index TTL in ms (0: none).
-- Gives the ms that it has left; -1 for ever; -2 dead.
local left = redis.call('PTTL', KEYS[1])
if left ~= -2 then
  if ARGV[1] == '0' then
    redis.call('PERSIST', KEYS[2])
  else
    redis.call('PEXPIRE', KEYS[2], ARGV[1])
  end
end
return left
