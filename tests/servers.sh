# shellcheck shell=bash
# The private servers of tests/run and benches/run, which source it: from the project's directory, with
#   me     what messages begin with
#   limit  the seconds that everything together may take
# Servers live in $temp, a temporary directory; however the run ends, they are stopped and it is removed. What the system
# lacks is unpacked from Debian's packages under target/test-tools. Nothing is installed: no root is needed.
: "${me:?}" "${limit:?}"
shopt -s nullglob
umask 022 # what is made here, a server may read as another user
set -m # each job in a process group of its own: ended as a whole, and out of reach of the terminal's Ctrl-C

tools=$PWD/target/test-tools
job=       # the process that is being waited for
servers=() # the processes of the servers

say() { printf '%s: %s\n' "$me" "$*" >&2; }
die() { say "$*"; exit 1; }
cannot() { say "$*"; exit 3; } # something is missing: nothing was tried, so nothing has failed

# limited LIMIT SIGNAL COMMAND...  becomes the command. SIGNAL ends it when the time is up, and KILL 20 s later. Any signal
# sent to it goes to its whole process group, with the same 20 s; it is sent SIGNAL if this script is killed outright.
limited() {
  local left=$(($1 - SECONDS))
  exec setpriv --pdeathsig "$2" timeout --signal "$2" --kill-after 20 $((left > 1 ? left : 1)) "${@:3}" </dev/null
}

# Ends what is left of a job, gently first.
end() {
  kill -TERM -- "-$1" 2>/dev/null || return 0
  for _ in {1..50}; do
    sleep 0.1
    kill -0 -- "-$1" 2>/dev/null || return 0
  done
  kill -KILL -- "-$1" 2>/dev/null || true
}

# run COMMAND...  waits for it. It is a background job, because a trap would wait for a foreground one.
run() {
  local code=0
  limited "$limit" TERM "$@" &
  job=$!
  wait "$job" || code=$?
  ((code != 124)) || say "time is up: $limit s"
  ! kill -0 -- "-$job" 2>/dev/null || say "ending what $1 left running"
  end "$job"
  job=
  return "$code"
}

finish() {
  local code=$? server
  set +e
  trap '' HUP INT TERM # a second Ctrl-C does not cut this short
  [[ ! $job ]] || end "$job"
  for server in "${servers[@]}"; do
    kill -INT "$server" || { say "a server died"; tail -n 20 "$temp"/*/log; code=1; } >&2
  done
  wait
  rm -rf "$temp"
  exit "$code"
}
temp=$(mktemp -d -p "${TMPDIR:-/tmp}" --suffix=".sentby-${me%%/*}")
trap finish EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# alone COMMAND...  while no other run changes $tools. What it calls may ask for the same.
alone() {
  local code
  [[ ! $tools_lock ]] || { "$@"; return; }
  mkdir -p "$tools"
  exec {tools_lock}>"$tools/lock"
  run flock "$tools_lock" || cannot "another run is still preparing target/test-tools: start this one again when it has ended"
  "$@"
  code=$?
  exec {tools_lock}>&-
  tools_lock=
  return "$code"
}
tools_lock=

# unpack NAME PACKAGE...  puts the packages, and what they need that the system lacks, into $tools/NAME.
unpack() { alone unpack_alone "$@"; }
unpack_alone() {
  local tree=$tools/$1 fresh=$temp/$1.packages missing deb
  local apt=(apt-get -qq -o Dir::State::lists="$temp/apt/lists" -o Dir::Cache="$temp/apt" -o Dir::Log="$temp/apt"
    -o APT::Sandbox::User=root -o Acquire::Languages=none)
  [[ ! -d $tree ]] || return 0
  command -v apt-get >/dev/null || return
  say "unpacking ${*:2} into target/test-tools/$1"
  if [[ ! -d $temp/apt ]]; then # lists of its own: those of the system may be old or absent
    mkdir -p "$temp"/apt/{lists,archives}/partial
    run "${apt[@]}" update || return
  fi
  # "Inst NAME (VERSION" is missing here; "Inst NAME [OLD VERSION] (VERSION" would only be upgraded.
  missing=$("${apt[@]}" --simulate --no-install-recommends install "${@:2}" | awk '/^Inst/ && $3 ~ /^\(/ { print $2 }') || return
  mkdir "$fresh" || return
  # shellcheck disable=SC2086 # one word each
  run env -C "$fresh" "${apt[@]}" download $missing || return
  rm -rf "$tree.part" && mkdir -p "$tree.part" || return
  for deb in "$fresh"/*.deb; do dpkg --extract "$deb" "$tree.part" || return; done
  mv "$tree.part" "$tree" # whole, or not there
}

# The value of LD_LIBRARY_PATH for programs of an unpacked tree.
libraries() { local IFS=: dirs=("$1"/usr/lib/*-linux-gnu{,/pulseaudio} "$1"/lib/*-linux-gnu); printf '%s' "${dirs[*]}"; }

# wrap FILE TREE PROGRAM [NAME=VALUE...]  makes FILE a program that becomes PROGRAM with the libraries of the unpacked tree
# and these variables. At once, because another run may be starting it.
wrap() {
  local fresh=$1.$$
  {
    printf '#!/bin/sh\nexec env'
    printf ' %q' LD_LIBRARY_PATH="$(libraries "$2")" "${@:4}" "$3"
    printf ' "$@"\n'
  } >"$fresh"
  chmod +x "$fresh"
  mv "$fresh" "$1"
}

# The directory of the newest PostgreSQL server programs of the system; fails if there are none from version 15 on.
system_postgres() {
  local dir dirs version newest=14 found=
  IFS=: read -ra dirs <<<"$PATH"
  for dir in /usr/lib/postgresql/*/bin "${dirs[@]}"; do
    [[ -x $dir/initdb && -x $dir/postgres && -x $dir/pg_isready ]] || continue
    version=$("$dir/postgres" --version 2>/dev/null || true) # postgres (PostgreSQL) 15.18 (...)
    if [[ $version =~ \)\ ([0-9]+) ]] && ((BASH_REMATCH[1] > newest)); then newest=${BASH_REMATCH[1]} found=$dir; fi
  done
  [[ $found ]] && echo "$found"
}

# start_postgres [NAME=VALUE...]  a new PostgreSQL with its default durability and these settings. $postgres_url is its
# superuser, $postgres_programs the folder of its programs.
start_postgres() {
  local home=$temp/postgres tree=$tools/postgresql as=(env -C "$temp/postgres") owner programs port setting settings=()
  for setting; do settings+=(-c "$setting"); done
  mkdir "$home"
  if ((EUID == 0)); then # which PostgreSQL refuses to run as
    owner=$(id -un postgres 2>/dev/null || echo nobody)
    chmod 711 "$temp"
    chown "$owner" "$home"
    as+=(setpriv --reuid "$owner" --regid "$(id -g "$owner")" --clear-groups)
  fi
  if ! programs=$(system_postgres); then
    unpack postgresql postgresql ||
      cannot "found no PostgreSQL 15 or newer. An administrator can install it: apt-get install --no-install-recommends postgresql"
    if ! "${as[@]}" test -r "$tree/usr"; then # a clone that its owner is not let into
      cp -a "$tree" "$temp/programs"
      tree=$temp/programs
    fi
    as+=(env LD_LIBRARY_PATH="$(libraries "$tree")")
    programs=$(echo "$tree"/usr/lib/postgresql/*/bin)
    [[ $programs =~ /(1[5-9]|[2-9][0-9])/bin$ ]] || cannot "this distribution's PostgreSQL is older than 15"
  fi
  # Left alone for its second, also by `finish`: when ended it leaves shared memory behind.
  limited "$limit" TERM "${as[@]}" "$programs/initdb" -D data --no-sync --auth trust --username postgres --encoding UTF8 \
    --locale C.UTF-8 >"$home/log" 2>&1 &
  wait $! || { cat "$home/log" >&2 && cannot "initdb failed"; }
  for _ in {1..20}; do # only the server itself can tell, without a race, whether a port is free
    port=$((20000 + RANDOM % 12000)) # below those that the system hands to clients
    limited $((limit + 60)) INT "${as[@]}" "$programs/postgres" -D data -h 127.0.0.1 -p "$port" -k "$home" \
      "${settings[@]}" >"$home/log" 2>&1 & # outlives the jobs
    job=$!
    while kill -0 "$job" 2>/dev/null; do
      if "${as[@]}" "$programs/pg_isready" -q -h "$home" -p "$port"; then
        servers+=("$job") job=
        # shellcheck disable=SC2034 # for who sourced this
        postgres_url=postgres://postgres@127.0.0.1:$port/postgres postgres_programs=$programs
        return
      fi
      sleep 0.1
    done
    job=
  done
  cat "$home/log" >&2
  cannot "PostgreSQL does not start"
}

# Whether a program is a Redis of version 7 or newer.
is_redis() {
  local version
  version=$("$1" --version 2>/dev/null || true) # Redis server v=7.0.15 sha=...
  [[ $version =~ v=([0-9]+) ]] && ((BASH_REMATCH[1] >= 7))
}

# $redis_server: a program that becomes Redis.
find_redis() {
  local tree=$tools/redis
  if redis_server=$(command -v redis-server) && is_redis "$redis_server"; then return; fi
  unpack redis redis-server ||
    cannot "found no Redis 7 or newer. An administrator can install it: apt-get install --no-install-recommends redis-server"
  redis_server=$tools/redis-server
  wrap "$redis_server" "$tree" "$tree/usr/bin/redis-server"
  is_redis "$redis_server" || cannot "this distribution's Redis is older than 7"
}

# start_redis [OPTION...]  a new Redis that keeps nothing on disk, with these options of redis-server. $redis_url is where.
start_redis() {
  local home=$temp/redis port
  find_redis
  mkdir "$home"
  for _ in {1..20}; do
    port=$((20000 + RANDOM % 12000))
    limited $((limit + 60)) INT env -C "$home" "$redis_server" --bind 127.0.0.1 --port "$port" --save "" --appendonly no \
      "$@" >"$home/log" 2>&1 &
    job=$!
    while kill -0 "$job" 2>/dev/null; do
      if grep -q 'Ready to accept connections' "$home/log"; then
        servers+=("$job") job=
        # shellcheck disable=SC2034 # for who sourced this
        redis_url=redis://127.0.0.1:$port
        return
      fi
      sleep 0.1
    done
    job=
  done
  cat "$home/log" >&2
  cannot "Redis does not start"
}

# $pgbouncer: a program that becomes PgBouncer, or nothing: before 1.21 it does not know prepared statements. The tests that
# need one then say aloud that they are skipped.
find_pgbouncer() {
  local tree=$tools/pgbouncer version
  if ! pgbouncer=$(command -v pgbouncer); then
    unpack pgbouncer pgbouncer || true
    pgbouncer=$tools/pgbouncer-program
    wrap "$pgbouncer" "$tree" "$tree/usr/sbin/pgbouncer"
  fi
  version=$("$pgbouncer" --version 2>/dev/null || true) # PgBouncer 1.24.1 ...
  if [[ $version =~ \ ([0-9]+)\.([0-9]+) ]] && ((BASH_REMATCH[1] > 1 || BASH_REMATCH[2] >= 21)); then return; fi
  say "SKIPPED: what needs PgBouncer 1.21 or newer; name one with SENTBY_TEST_PGBOUNCER"
  pgbouncer=
}

# $chromium: a program that becomes a headless Chromium, or nothing: then the tests that need one say aloud that they are
# skipped, or fail where REQUIRE_CHROMIUM is set.
find_chromium() {
  local tree=$tools/chromium name fonts
  chromium=
  for name in chromium-headless-shell chromium chromium-browser google-chrome; do
    if chromium=$(command -v "$name") && [[ $("$chromium" --version 2>/dev/null) =~ Chrom ]]; then return; fi
  done
  chromium=
  unpack chromium chromium-headless-shell fontconfig-config fonts-dejavu-core fonts-liberation ||
    { say "found no Chromium. An administrator can install it: apt-get install --no-install-recommends chromium"; return; }
  chromium=$tools/chromium-program
  # the fonts of the tree too, and its rules for them where the system has none
  fonts=(XDG_DATA_HOME="$tree/usr/share")
  [[ -e /etc/fonts/fonts.conf ]] || fonts+=(FONTCONFIG_PATH="$tree/etc/fonts")
  wrap "$chromium" "$tree" "$tree/usr/lib/chromium/chromium-headless-shell" "${fonts[@]}"
  [[ $("$chromium" --version 2>/dev/null) =~ Chrom ]] || { say "the unpacked Chromium does not start"; chromium=; }
}

# prepare_python NAME REQUIREMENTS MODULE  a Python with these packages, of which MODULE is one. $python: a program that
# becomes it.
prepare_python() { alone prepare_python_alone "$@"; }
prepare_python_alone() {
  local venv=$tools/$1 wanted=$2 tree=$tools/python3 base wheels pip=(-m pip)
  python=$venv/run
  if cmp -s "$wanted" "$venv/requirements.txt" && "$python" -c "import $3" 2>/dev/null; then return; fi
  say "preparing target/test-tools/$1"
  rm -rf "$venv"
  if ! python3 -m venv "$venv" >/dev/null 2>&1; then # no Python, or Debian's without its venv package
    unpack python3 python3 python3-pip-whl ||
      cannot "found no Python. An administrator can install it: apt-get install --no-install-recommends python3-venv"
    base=$(command -v python3 || echo "$tree/usr/bin/python3")
    wheels=({"$tree",}/usr/share/python-wheels/pip-*.whl)
    pip=("${wheels[0]}/pip")
    LD_LIBRARY_PATH=$(libraries "$tree") "$base" -m venv --without-pip "$venv"
  fi
  wrap "$python" "$tree" "$venv/bin/python"
  run "$python" "${pip[@]}" install --quiet --no-input --disable-pip-version-check --only-binary :all: -r "$wanted" ||
    cannot "cannot install $wanted"
  cp "$wanted" "$venv/requirements.txt" # last: it says that the rest is complete
}
