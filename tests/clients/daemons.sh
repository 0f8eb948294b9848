# What `run` and `programs` share: building the daemons, a home of its own, a pair of daemons for each client, and the
# count of the checks. Both set `here`, then source this, which also cleans up when they end.
#
# shellcheck shell=bash

# shellcheck disable=SC2154 # set by whoever sources this
root=$(cd "$here/../.." && pwd)
work=$here/.work
deadline=30 # seconds until a daemon must serve

die() {
  printf 'tests/clients/%s: %s\n' "$(basename "$0")" "$*" >&2
  exit 1
}

# needs TOOL...: ends the run if one is missing.
needs() {
  local tool
  for tool; do
    command -v "$tool" >/dev/null || die "$tool is not installed; these checks need $*"
  done
}

home=
proxyd_pid=
fake_pid=
# Ends what this run started and shows the logs if it did not end well.
finish() {
  local code=$?
  trap - EXIT
  stop_pair
  if [ -n "$home" ]; then
    if [ "$code" -ne 0 ]; then
      for log in "$home"/*.log; do
        [ -s "$log" ] && printf -- '--- the end of %s\n' "$(basename "$log")" >&2 && tail -n 40 "$log" >&2
      done
    fi
    rm -rf "$home"
  fi
  exit "$code"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# --- the daemons

# Prints the path of each program cargo built, whatever its target directory is.
build() {
  (cd "$root" && cargo build --quiet --message-format=json-render-diagnostics -p proxyd -p proxyctl -p proxy-tests --bins) |
    python3 -c '
import json, sys
for line in sys.stdin:
    built = json.loads(line)
    if built.get("executable") and "bin" in built["target"]["kind"]:
        print(built["target"]["name"], built["executable"])'
}

proxyd= proxyctl= fake_claude=
build_daemons() {
  local built name path
  built=$(build) || die "the programs do not build"
  while read -r name path; do
    case $name in
      proxyd) proxyd=$path ;;
      proxyctl) proxyctl=$path ;;
      fake-claude) fake_claude=$path ;;
    esac
  done <<<"$built"
  if [ -z "$proxyd" ] || [ -z "$proxyctl" ] || [ -z "$fake_claude" ]; then
    die "cargo did not build proxyd, proxyctl and fake-claude"
  fi
  export PROXYCTL=$proxyctl
}

# A home of its own, nothing of the caller's settings, and no proxy between the clients and loopback.
make_home() {
  local name
  home=$(mktemp -d)
  mkdir -m 0700 "$home/run"
  socket=$home/run/control.sock
  export CONTROL_SOCKET=$socket
  unset http_proxy https_proxy all_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY
  for name in $(compgen -e PROXYD_ || true) $(compgen -e ANTHROPIC_ || true) $(compgen -e OPENAI_ || true); do
    unset "$name"
  done
  export HOME=$home XDG_CONFIG_HOME=$home/config XDG_STATE_HOME=$home/state XDG_DATA_HOME=$home/data
  export XDG_CACHE_HOME=$home/cache XDG_RUNTIME_DIR=$home/run PYTHONDONTWRITEBYTECODE=1
}

# wait_until WHAT PID COMMAND...: until the command succeeds, as long as the process lives.
wait_until() {
  local what=$1 pid=$2 end=$((SECONDS + deadline))
  shift 2
  until "$@" 2>/dev/null; do
    kill -0 "$pid" 2>/dev/null || die "$what: the process has ended"
    [ "$SECONDS" -lt "$end" ] || die "$what: did not happen within $deadline s"
    sleep 0.1
  done
}

# http METHOD URL: the body of the answer; fails unless it is a 200.
http() {
  python3 -c '
import sys, urllib.request
request = urllib.request.Request(sys.argv[2], method=sys.argv[1])
sys.stdout.write(urllib.request.urlopen(request, timeout=10).read().decode())' "$@"
}

socket= # in the home
address=
read_address() {
  address=$("$proxyctl" --socket "$socket" status --json |
    python3 -c 'import json, sys; print(json.load(sys.stdin)["http_listen"][0])')
  [ -n "$address" ]
}
ready() { http GET "$PROXY_URL/readyz" >/dev/null; }

# Starts an upstream and a proxyd with one account of it, and tells the clients where they are.
start_pair() {
  rm -rf "$home/auth" "$home/state" "$home/fake.env" "$socket"
  mkdir -m 0700 "$home/auth"
  "$fake_claude" --listen 127.0.0.1:0 >"$home/fake.env" 2>>"$home/fake-claude.log" &
  fake_pid=$!
  wait_until "fake-claude prints its environment" "$fake_pid" grep -q PROXYD_CLAUDE__OAUTH__PROFILE_URL "$home/fake.env"
  # shellcheck disable=SC1091
  . "$home/fake.env"
  export FAKE_URL=$PROXYD_CLAUDE__API_BASE_URL

  "$proxyd" --listen 127.0.0.1:0 --auth-dir "$home/auth" --control-socket "$socket" >>"$home/proxyd.log" 2>&1 &
  proxyd_pid=$!
  wait_until "proxyd tells its address" "$proxyd_pid" read_address
  export PROXY_URL=http://$address

  # Written whole under another name, as a person's copy would not be seen half done.
  (umask 077 && http POST "$FAKE_URL/fake/accounts" >"$home/auth/.incoming")
  mv "$home/auth/.incoming" "$home/auth/claude-person@example.com.json"
  wait_until "proxyd has a usable account" "$proxyd_pid" ready
}

stop_pair() {
  local pid
  for pid in $proxyd_pid $fake_pid; do
    kill "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  done
  proxyd_pid='' fake_pid=''
}

# --- the checks

passed=0 failed=0
# client NAME COMMAND...: runs one script with a pair of daemons of its own, since an account is refreshed but once a
# minute and a client's checks expire its token, and counts its lines. One that dies, or checks nothing, has failed.
client() {
  local name=$1 code=0 good bad
  shift
  start_pair
  "$@" 2>>"$home/clients.log" | tee "$home/lines" || code=$?
  surprises "$name" | tee -a "$home/lines"
  stop_pair
  good=$(grep -c '^ok ' "$home/lines" || true)
  bad=$(grep -c '^FAILED ' "$home/lines" || true)
  if [ "$bad" -eq 0 ] && { [ "$code" -ne 0 ] || [ "$good" -lt 2 ]; }; then
    printf 'FAILED %s: the script ended with code %s after %s checks\n' "$name" "$code" "$((good - 1))"
    bad=1
  fi
  passed=$((passed + good))
  failed=$((failed + bad))
}

# surprises NAME: one more check, of what no correct client of the service does, seen over all the client's checks, and of
# thoughts that were sent back where something before them had changed.
surprises() {
  local seen
  if ! seen=$(http GET "$FAKE_URL/fake/state" | python3 -c '
import json, sys
state = json.load(sys.stdin)
lost = ["%s requests with misplaced thoughts" % state["lost_thoughts"]] if state["lost_thoughts"] else []
print("; ".join(state["surprises"] + lost))'); then
    printf 'FAILED %s: the upstream does not tell what it saw\n' "$1"
  elif [ -z "$seen" ]; then
    printf 'ok %s: the upstream saw no call it should not have seen\n' "$1"
  else
    printf 'FAILED %s: the upstream saw calls it should not have seen: %s\n' "$1" "$seen"
  fi
}

# summary: the last line; fails if a check failed.
summary() {
  printf '%s passed, %s failed\n' "$passed" "$failed"
  [ "$failed" -eq 0 ]
}
