-- Looks whether a peer is alive, and renews the expiry of its indexes when it is.
-- KEYS: the peer's seen, its files, its withheld. ARGV: index TTL in ms (0: none).
-- Gives the ms that it has left; -1 for ever; -2 dead.
local left = redis.call('PTTL', KEYS[1])
if left ~= -2 then
  renew(KEYS[2], ARGV[1])
  renew(KEYS[3], ARGV[1])
end
return left
