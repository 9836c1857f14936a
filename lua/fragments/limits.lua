-- What a worker may say of how its jobs start: `singleton`, at most one at a time over all workers; `rate_max`, how many
-- in a window of `rate_window_ms`, 0 for no limit; `key_limit`, of concurrency keys whose dispatch named none, 0 for none;
-- `default_ttl_ms`, time to live of jobs whose dispatch gave none, 0 for none; `rate_key`, what is counted apart from
-- the task, or empty. Written in this order, with spaces between them; empty when a worker says nothing of it.
-- needs: limits

local singleton, rate_max, rate_window_ms, key_limit, default_ttl_ms, rate_key =
  string.match(limits, '^([01]) (%d+) (%d+) (%d+) (%d+) (.*)$')
rate_max, rate_window_ms = tonumber(rate_max or '0'), tonumber(rate_window_ms or '0')
key_limit, default_ttl_ms = tonumber(key_limit or '0'), tonumber(default_ttl_ms or '0')
