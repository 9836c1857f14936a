-- The mark of a claim of a schedule that no longer counts, although its time is not over.
-- needs: prefix, ms_text
local function withdrawn_key(schedule, claimed_until_ms)
  return prefix .. 'occurrences:' .. schedule .. ':withdrawn:' .. ms_text(claimed_until_ms)
end
