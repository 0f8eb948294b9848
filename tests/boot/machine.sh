# Sourced by tests/boot/run and packaging/check-packages: a Debian in a folder, and a real systemd that boots there (systemd-nspawn).
# Who sources it has `$work` (a folder of its own, for what is said) and `$root` (where the Debian is to be), and ends with
# `power_off`.
# shellcheck shell=bash disable=SC2154

nspawn= init=

# debian KEPT: a Debian of this machine's release in $root. It is made once, by debootstrap, and kept in the folder KEPT;
# PROXYD_BOOT_ROOT names a tree that was made before, PROXYD_BOOT_SUITE another release.
debian() {
  local suite kept
  suite=${PROXYD_BOOT_SUITE:-$(. /etc/os-release && printf '%s' "${VERSION_CODENAME:-stable}")}
  kept=$1/debian-$suite
  if [ -z "${PROXYD_BOOT_ROOT:-}" ] && [ ! -e "$kept/made" ]; then
    rm -rf --one-file-system "$kept"
    mkdir -p "$kept"
    debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus,libpam-systemd,procps,ca-certificates,curl "$suite" "$kept/root" \
      >"$work/debootstrap.log" 2>&1 || {
      printf 'debootstrap failed: %s\n' "$(tail -n 3 "$work/debootstrap.log")"
      rm -rf --one-file-system "$kept"
      return 1
    }
    rm -rf "$kept/root/var/cache/apt/archives/"*.deb "$kept/root/var/lib/apt/lists/"*
    touch "$kept/made"
  fi
  cp -a "${PROXYD_BOOT_ROOT:-$kept/root}" "$root"
}

# With no network but a loopback of its own, and the calls of landlock, which nspawn of Debian 12 does not let through by itself. Not a
# machine that is registered at a manager, which may not be there.
power_on() {
  systemd-nspawn --quiet --directory="$root" --register=no --keep-unit --private-network --boot --console=pipe \
    --system-call-filter="landlock_create_ruleset landlock_add_rule landlock_restrict_self" </dev/null >"$work/console.log" 2>&1 &
  nspawn=$!
  for _ in $(seq 600); do
    init=$(pgrep -P "$nspawn" | head -n 1) && booted systemctl is-system-running 2>/dev/null | grep -qE 'running|degraded' && return
    kill -0 "$nspawn" 2>/dev/null || break
    sleep 0.1
  done
  printf 'systemd does not come up in a container here: %s\n' "$(tail -n 5 "$work/console.log")"
  return 1
}

# Asks init to power off (SIGRTMIN+4), which ends nspawn, too.
power_off() {
  [ -n "$nspawn" ] || return 0
  [ -z "$init" ] || kill -s RTMIN+4 "$init" 2>/dev/null || true
  for _ in $(seq 300); do
    kill -0 "$nspawn" 2>/dev/null || break
    sleep 0.1
  done
  kill -KILL "$nspawn" 2>/dev/null || true
  wait "$nspawn" 2>/dev/null || true
  nspawn=
}

# booted COMMAND...: runs it there, as root.
booted() { nsenter -t "$init" -a -- env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive "$@"; }

# within COMMAND...: until it succeeds, for a minute.
within() {
  for _ in $(seq 600); do
    ! "$@" >/dev/null 2>&1 || return 0
    sleep 0.1
  done
  "$@"
}

# is UNIT PROPERTY VALUE
is() {
  local value
  value=$(booted systemctl show -P "$2" "$1")
  [ "$value" = "$3" ] || { printf '%s of %s is %s\n' "$2" "$1" "$value"; return 1; }
}
answers() { [ "$(booted curl -s -o /dev/null -w '%{http_code}' --max-time 30 http://127.0.0.1:8080/healthz)" = 200 ]; }
pid() { booted systemctl show -P MainPID proxyd.service; }
