-- Counts that records and counters tell.

-- A count is digits, at most 15 of them. Anything else counts as 0: what other programs make of a number that is none
-- ('NaN', '1e21', '-1') must not become yet another number.
local function count_of(text)
  return text and #text <= 15 and string.find(text, '^%d+$') and tonumber(text) or 0
end

local function count_text(text)
  return string.format('%d', count_of(text))
end
