-- A peer publishes a file: the file's part, on a Cluster.
-- KEYS: the file's hashes, withheld.
-- ARGV: as in publishing.lua; 7 owner, 8 hash and size, 9 whether it is new to the peer, 10 struck, 11 kept (1: yes), 12 wait of the
-- file in ms, 13 until when it may come in ms.
-- Gives 1, -2 when the file has too many peers, or -5, and did nothing, when it came too late; whether it may have to be listed; whether what was here is newer.
if now_ms > tonumber(ARGV[13]) then
  return { -5, 0, 0 }
end
local new, file_wait = ARGV[9] == '1', tonumber(ARGV[12])
local kept, peers, newer =
  publish_for_file(KEYS[1], KEYS[2], ARGV[7], ARGV[8], new, ARGV[10] == '1', ARGV[11] == '1', file_wait)
return { kept, (peers == 1 or file_wait > 0) and 1 or 0, newer and 1 or 0 }
