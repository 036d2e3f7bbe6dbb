-- A peer publishes files: the peer's part, on a Cluster. Takes each file that goes on.
-- KEYS: the peer's seen, files, withheld, strikes, changing.
-- ARGV: as in publishing.lua; 7 who does it, 8 for how long a file is taken in ms. Then of each: file, TTL that was asked for,
-- address, port, when the taken over was seen in ms (0: a publish).
-- Gives of each: what became of it (as in publish.lua; 1 go on, -4 another one changes it now), whether the peer changed, is
-- new, struck, kept, and the waits of peer and file in ms.
local function number(flag)
  return flag and 1 or 0
end

local written = {}
for arg = 9, #ARGV, 5 do
  local file = ARGV[arg]
  local of = { -4, 0, 0, 0, 0, 0, 0 }
  if not is_taken(KEYS[5], file, ARGV[7], now_ms) then
    local code, changed, new, _, struck, keep, _, peer_wait, file_wait =
      publish_for_peer(KEYS[1], KEYS[2], KEYS[3], KEYS[4], unpack(ARGV, arg, arg + 4))
    of = { code, changed, number(new), number(struck), number(keep), peer_wait or 0, file_wait or 0 }
    if code == 1 then
      take(KEYS[5], file, ARGV[7], now_ms, ARGV[8])
    end
  end
  for _, value in ipairs(of) do
    written[#written + 1] = value
  end
end
return written
