-- Deletes what cannot be a value, unless something else has come there since.
for i, key in ipairs(KEYS) do
  local now = redis.pcall('GETRANGE', key, 0, 15)
  if type(now) ~= 'string' or now == ARGV[i] then
    redis.call('DEL', key)
  end
end
