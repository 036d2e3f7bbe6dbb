-- A sign of life of a peer that is alive, from where it is now.
-- KEYS: the peer's seen, withheld, strikes. ARGV: 1 peer TTL in ms (0: none), 2 TTL that was asked for (`-`: none, `=`: as before),
-- 3 address, 4 port, 5 first wait of the withheld in ms, 6 when strikes are forgotten in ms, 7 most names.
-- Gives whether it is alive, whether others have to hear that it changed, and files of it that are withheld.
local seen = redis.call('GET', KEYS[1])
if not seen then
  return { '0', '0' }
end
local now_ms = math.floor(now_us() / 1000)
local _, old, asked, _, _, flags = split(seen)
if ARGV[2] ~= '=' then
  asked = ARGV[2]
end
local withheld = flags == 'w'
if withheld then
  withheld = wait_left(redis.call('HGET', KEYS[3], ''), now_ms, ARGV[5], ARGV[6]) > 0
end
local rest = rest_of(asked, ARGV[3], ARGV[4], withheld)
set_presence(KEYS[1], text(now_ms) .. rest, (select(2, life_of(ARGV[1], asked))))
local answer = { '1', rest == old and '0' or '1' }
for _, file in ipairs(redis.call('SRANDMEMBER', KEYS[2], ARGV[7])) do
  answer[#answer + 1] = file
end
return answer
