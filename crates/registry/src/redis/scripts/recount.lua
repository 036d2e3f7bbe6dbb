-- Sets a count right that was found wrong while others went on counting.
-- KEYS: the count. ARGV: what it was when the walk began, what the walk found.
-- What changed during the walk may or may not be in what it found: as long as that explains it, nothing is wrong.
local before, found = tonumber(ARGV[1]), tonumber(ARGV[2])
local now = tonumber(redis.call('GET', KEYS[1]) or 0)
local low, high = math.min(before, now), math.max(before, now)
if found < low then
  redis.call('DECRBY', KEYS[1], text(low - found))
elseif found > high then
  redis.call('INCRBY', KEYS[1], text(found - high))
end
return 1
