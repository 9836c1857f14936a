-- Jobs whose payload is newer than the workers that saw them: an index over the delayed ones, by payload version.
-- needs: prefix

local NEWER = prefix .. 'parked:newer' -- zset
