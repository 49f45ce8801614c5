# Debian packages that building and testing need, and their installation. Source it.
#
#   rd_ensure_packages build             what `scripts/serve` needs
#   rd_ensure_packages build data        and `scripts/cluster`
#   rd_ensure_packages build data optimize   what `scripts/optimize` needs
#   rd_ensure_packages build data lab    what `scripts/lab` needs
#   rd_ensure_packages build data lab test   what `scripts/test` needs
#
# A line is: set | packages, the first available of several wins | what it is for
# Optional ones are installed where the release has them, and not missed elsewhere.
# shellcheck shell=bash
RD_PACKAGES='
build | clang-19 clang-20 clang-21           | the compiler
build | lld-19 lld-20 lld-21                 | the linker
build | cmake                                | configures the build
build | ninja-build                          | runs the build
build | ccache                               | builds again in seconds
build | pkg-config pkgconf                   | finds libraries
build | libboost1.81-dev libboost-dev        | Asio, Beast, unordered containers; 1.81 or newer
build | libboost-json1.81-dev libboost-json-dev | JSON
build | libboost-url1.81-dev libboost-url-dev   | URLs
build | libssl-dev                           | TLS and cryptography
build | libsqlite3-dev                       | the record, embedded
build | libpq-dev                            | the record on PostgreSQL
build | libfmt-dev                           | text formatting
build | libmimalloc-dev                      | the allocator of the server
build | libcli11-dev                         | the command line
build | libtomlplusplus-dev                  | redoubt.toml
build | python3                              | checks of the tree
test  | libclang-rt-19-dev libclang-rt-20-dev libclang-rt-21-dev | sanitizers and libFuzzer
test  | llvm-19 llvm-20 llvm-21              | readable sanitizer reports
test  | libgtest-dev                         | unit tests
test  | libgmock-dev                         | unit tests
test  | prometheus                           | promtool, which checks /metrics
test  | nginx-light nginx                    | the gate behind auth_request
data  | postgresql                           | the other engine of the record; tests start their own
data  | redis-server valkey-server           | the shared tier, likewise
data  | redis-tools valkey-tools             | redis-cli
test  | optional valkey-server               | the shared tier, once more
data  | curl                                 | examples and end-to-end tests
data  | jq                                   | the same
data  | openssl                              | certificates and keys for tests
lab   | iproute2                             | network namespaces
lab   | nftables                             | one-way and silent cuts
test  | sqlite3                              | looks into the record
test  | nodejs                               | the OpenAPI linter; 18 or newer
test  | npm                                  | installs it
test  | chromium                             | the API page
test  | wrk                                  | load
optimize | wrk                               | load to train with
optimize | llvm-19 llvm-20 llvm-21           | merges what the training noted
'

rd_say() { printf '%s\n' "$*" >&2; }
rd_die() { rd_say "error: $*"; exit 1; }

rd_as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  elif command -v sudo >/dev/null 2>&1; then
    sudo "$@"
  else
    rd_die "packages are missing and this is neither root nor has sudo; as root, run: $*"
  fi
}

rd_is_installed() {
  # Newer Debian names a library's package differently and provides the old name; a program already on
  # the path is as good as its package.
  case "$1" in
    nodejs) [ "$(node -p 'parseInt(process.versions.node) >= 18' 2>/dev/null)" = true ] && return 0 ;;
    prometheus) command -v promtool >/dev/null 2>&1 && return 0 ;;
    nginx-light) command -v nginx >/dev/null 2>&1 || [ -x /usr/sbin/nginx ] && return 0 ;;
    iproute2) command -v ip >/dev/null 2>&1 || [ -x /usr/sbin/ip ] && return 0 ;;
    nftables) command -v nft >/dev/null 2>&1 || [ -x /usr/sbin/nft ] && return 0 ;;
    curl | jq | openssl | sqlite3 | python3 | cmake | ccache | wrk | npm | chromium)
      command -v "$1" >/dev/null 2>&1 && return 0 ;;
  esac
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

rd_is_available() { apt-cache show --no-all-versions "$1" >/dev/null 2>&1; }

# The packages of the given sets that are neither installed nor have an installed alternative, each as
# its alternatives on one line.
rd_missing() {
  local line set packages package found
  while IFS= read -r line; do
    set=$(printf '%s' "${line%%|*}" | tr -d ' ')
    [ -n "$set" ] || continue
    case " $* " in *" $set "*) ;; *) continue ;; esac
    packages=${line#*|}
    packages=${packages%%|*}
    found=no
    for package in $packages; do
      [ "$package" != optional ] || continue
      # An unversioned libboost-dev counts only when no 1.81 exists to be preferred, see rd_choose.
      if rd_is_installed "$package" && rd_is_new_enough "$package"; then
        found=yes
        break
      fi
    done
    [ $found = yes ] || printf '%s\n' "$packages"
  done <<<"$RD_PACKAGES"
}

# Boost's unversioned packages are whatever the release has; before 1.81 they are of no use.
rd_is_new_enough() {
  local version
  case "$1" in
    libboost-dev | libboost-json-dev | libboost-url-dev)
      version=$(dpkg-query -W -f '${Version}' "$1" 2>/dev/null)
      [ -n "$version" ] || version=$(apt-cache show --no-all-versions "$1" 2>/dev/null | sed -n 's/^Version: //p')
      dpkg --compare-versions "$version" ge 1.81 ;;
    *) true ;;
  esac
}

# The package to install; empty for optional ones that the release does not have.
rd_choose() {
  local package
  for package in "$@"; do
    [ "$package" != optional ] || continue
    if rd_is_available "$package" && rd_is_new_enough "$package"; then
      printf '%s\n' "$package"
      return
    fi
  done
  [ "$1" = optional ]
}

# Debian starts a service as it installs it; nginx and prometheus would take ports. policy-rc.d is
# Debian's own way to say no. One that is already there is left alone.
rd_install() {
  local policy=/usr/sbin/policy-rc.d made=no status=0
  if [ ! -e $policy ]; then
    printf '#!/bin/sh\nexit 101\n' | rd_as_root tee $policy >/dev/null
    rd_as_root chmod 0755 $policy
    made=yes
  fi
  rd_as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y --no-install-recommends "$@" >&2 || status=$?
  [ $made = no ] || rd_as_root rm -f $policy
  return $status
}

rd_check_system() {
  [ -r /etc/os-release ] || rd_die "no /etc/os-release; build by hand as CONTRIBUTING.md says"
  local id version
  id=$(. /etc/os-release && printf '%s %s' "${ID:-}" "${ID_LIKE:-}")
  version=$(. /etc/os-release && printf '%s' "${VERSION_ID:-}")
  case " $id " in *" debian "*) ;; *) return 1 ;; esac
  case "$version" in
    '' | *[!0-9]*) ;;
    *) [ "$version" -ge 12 ] || rd_die "Debian $version is too old; Debian 12 or newer is needed" ;;
  esac
  command -v apt-get >/dev/null 2>&1
}

rd_explain_boost() {
  rd_is_installed libboost1.74-dev || return 0
  rd_die "libboost1.74-dev is installed. Redoubt needs Boost 1.81, whose headers are libboost1.81-dev, and
Debian lets only one version's headers be installed. If nothing else needs 1.74:
    apt-get remove libboost1.74-dev
and run this again."
}

rd_ensure_packages() {
  local missing line chosen list=()
  if ! rd_check_system; then
    rd_say "not Debian: packages are yours to install; these are Debian's names:"
    rd_say "$RD_PACKAGES"
    return 0
  fi
  missing=$(rd_missing "$@")
  [ -n "$missing" ] || return 0
  case "$missing" in *libboost1.81-dev*) rd_explain_boost ;; esac
  # The package lists may be absent (a fresh container) or stale; look once before asking the network.
  while IFS= read -r line; do
    # shellcheck disable=SC2086
    rd_choose $line >/dev/null || { rd_as_root apt-get update >&2; break; }
  done <<<"$missing"
  while IFS= read -r line; do
    # shellcheck disable=SC2086
    chosen=$(rd_choose $line) || rd_die "no package for: $line"
    [ -z "$chosen" ] || list+=("$chosen")
  done <<<"$missing"
  [ ${#list[@]} -gt 0 ] || return 0
  rd_say "installing: ${list[*]}"
  rd_install "${list[@]}" && return 0
  # A stale list names versions that the archive no longer has.
  rd_as_root apt-get update >&2
  rd_install "${list[@]}" || rd_die "installing packages failed"
}

# clang++ 19 or the newest there is.
rd_compiler() {
  local name
  for name in clang++-19 clang++-20 clang++-21; do
    if command -v "$name" >/dev/null 2>&1; then
      printf '%s\n' "$name"
      return
    fi
  done
  rd_die "no clang++ 19 or newer; see docs/decisions/0002-compilers.md"
}

# A compiler process takes up to 2 GiB here; more of them than memory holds only swap.
rd_jobs() {
  local cores memory
  cores=$(nproc 2>/dev/null || echo 1)
  memory=$(awk '/^MemAvailable:/ { print int($2 / 2097152) }' /proc/meminfo 2>/dev/null || echo 1)
  [ "${memory:-0}" -ge 1 ] || memory=1
  [ "$memory" -lt "$cores" ] && cores=$memory
  printf '%s\n' "$cores"
}

# rd_build preset [-D...] -- target...
rd_build() {
  local preset=$1 compiler options=()
  shift
  compiler=$(rd_compiler)
  while [ $# -gt 0 ] && [ "$1" != -- ]; do
    options+=("$1")
    shift
  done
  [ $# -eq 0 ] || shift
  (
    cd "$RD_ROOT" || exit
    cmake --preset "$preset" -DCMAKE_CXX_COMPILER="$compiler" "${options[@]}" >&2
    cmake --build "build/$preset" --parallel "$(rd_jobs)" ${1:+--target "$@"} >&2
  )
}
