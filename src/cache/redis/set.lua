-- Keeps values where nothing newer is there, and for how many milliseconds. A value begins with its revision.
for i, key in ipairs(KEYS) do
  local new, lasts = ARGV[2 * i - 1], ARGV[2 * i]
  local old = redis.pcall('GETRANGE', key, 0, 15)
  if type(old) ~= 'string' or old <= string.sub(new, 1, 16) then
    redis.call('SET', key, new, 'PX', lasts)
  end
end
