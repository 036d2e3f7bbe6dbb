-- A sign of life of a peer that is alive.
-- KEYS: the peer's seen. ARGV: peer TTL in ms (0: none).
-- Gives how long the peer lives now in ms (0: for ever), -1 when it is dead.
local seen = redis.call('GET', KEYS[1])
if not seen then
  return -1
end
local _, rest, asked = split(seen)
local life, life_text = life_of(ARGV[1], asked)
-- With a read: a Redis that is full is read all the same, and notes nothing.
pcall(set_presence, KEYS[1], text(math.floor(now_us() / 1000)) .. rest, life_text)
return life
