-- A peer publishes a file: the file's part, on a Cluster.
-- KEYS: the file's hashes, withheld.
-- ARGV: as in publishing.lua; 7 owner, 8 hash and size, 9 whether it is new to the peer, 10 struck, 11 kept (1: yes), 12 wait of the
-- file in ms.
-- Gives 1, or -2 when the file has too many peers; whether it may have to be listed; whether what was here is newer.
local new, file_wait = ARGV[9] == '1', tonumber(ARGV[12])
local kept, peers, newer =
  publish_for_file(KEYS[1], KEYS[2], ARGV[7], ARGV[8], new, ARGV[10] == '1', ARGV[11] == '1', file_wait)
return { kept, (peers == 1 or file_wait > 0) and 1 or 0, newer and 1 or 0 }
