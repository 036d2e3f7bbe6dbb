-- Files of a peer are about to be withdrawn, on a Cluster. Takes those that nobody else changes now.
-- KEYS: the peer's changing. ARGV: 1 who does it, 2 for how long in ms; then the files. Gives 1 of each that it took, else 0.
local now_ms = math.floor(now_us() / 1000)
local answer = {}
for arg = 3, #ARGV do
  local free = not is_taken(KEYS[1], ARGV[arg], ARGV[1], now_ms)
  if free then
    take(KEYS[1], ARGV[arg], ARGV[1], now_ms, ARGV[2])
  end
  answer[#answer + 1] = free and 1 or 0
end
return answer
