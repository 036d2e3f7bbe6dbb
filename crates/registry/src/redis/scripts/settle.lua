-- Changes of a peer's mappings are done, on a Cluster: nobody has to wait for them any more.
-- KEYS: the peer's seen, files, withheld, changing. ARGV: 1 who did it. Then of each: file, `+` it has it, `-` it has it no more.
-- Gives how many it has lost, and whether it has any. What is not held any more is left to whoever took it since, or has
-- changed it by now.
local lost = 0
for arg = 2, #ARGV, 2 do
  local file = ARGV[arg]
  if is_held(KEYS[4], file, ARGV[1]) then
    redis.call('HDEL', KEYS[4], file)
    if ARGV[arg + 1] == '-' then
      lost = lost + redis.call('SREM', KEYS[2], file)
      redis.call('SREM', KEYS[3], file)
    end
  end
end
local has = redis.call('EXISTS', KEYS[2])
if lost > 0 and has == 0 then
  redis.call('DEL', KEYS[1])
end
return { lost, has }
