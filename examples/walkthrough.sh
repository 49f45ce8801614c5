#!/usr/bin/env bash
# A tour with curl: login, gate, 429, one cache fill by two clients, key rotation, logout, revoke-all.
#
#   examples/walkthrough.sh [path of redoubt]
#
# Starts a server of its own on a free port with a data directory that goes away afterwards.
set -euo pipefail

redoubt=${1:-$(dirname "$0")/../build/release/redoubt}
redoubt=$(realpath "$redoubt")
work=$(mktemp -d)
(cd "$work" && REDOUBT_DATA_DIR=$work/data REDOUBT_LISTEN=127.0.0.1:0 \
  REDOUBT_LIMIT_CHAT='3/1m burst 3 gcra' exec "$redoubt" serve) >"$work/out" 2>"$work/err" &
server=$!
trap 'kill $server 2>/dev/null || true; wait $server 2>/dev/null || true; rm -rf "$work"' EXIT
until grep -q Ctrl-C "$work/out"; do # The last line of its welcome.
  kill -0 $server 2>/dev/null || { cat "$work/err" >&2; exit 1; }
  sleep 0.05
done
url=$(sed -n 's,^  API *\(http.*\)/api/v1$,\1,p' "$work/out")
key=$(grep -o 'rdk_[0-9A-Za-z_]*' "$work/out" | head -n 1)

say() { printf '\n# %s\n' "$1"; }
api() { # METHOD PATH [curl arguments]: as the backend, with its API key
  local method=$1 path=$2
  shift 2
  curl -s -X "$method" "$url$path" -H "Authorization: Bearer $key" \
    -H 'Content-Type: application/json' "$@"
}

say 'Login: a session for ada, acting through the agent planner'
login=$(api POST /api/v1/sessions \
  -d '{"user":"ada","agent":"planner","device":"laptop","data":{"plan":"pro"}}')
token=$(jq -r .token <<<"$login")
jq -c '{user, agent, device, data}' <<<"$login"

say 'The gate: session and limit in one call; three a minute'
for _ in 1 2 3 4; do
  api POST /api/v1/gate -d "{\"token\":\"$token\",\"limits\":[{\"policy\":\"chat\"}]}" \
    -o "$work/gate" -w '%{http_code} ' -D "$work/head"
  jq -cj '{outcome, principal}' <"$work/gate"
  tr -d '\r' <"$work/head" | grep -iE '^(ratelimit|retry-after):' | paste -sd' ' | sed 's/^/  /'
done

say 'The same for a proxy: a status and headers, no body to parse'
curl -s -o /dev/null -D - "$url/api/v1/gate/forward?limit=default:user" \
  -H "Authorization: Bearer $token" | tr -d '\r' | grep -E '^(HTTP|Redoubt-)' | sed 's/ses_.*/ses_.../'

say 'Two clients miss the same cache entry: one fills, the other waits for it'
entry=/api/v1/cache/entries/report:2026
api GET "$entry?lease=10s" -o /dev/null -D "$work/lease" -w 'client 1: %{http_code}, has the lease\n'
lease=$(tr -d '\r' <"$work/lease" | sed -n 's/^Redoubt-Fill-Lease: //p')
api GET "$entry?lease=10s&wait=5s" -o "$work/second" -w '%{http_code}' >"$work/status" &
second=$!
# The second client asks and waits while the first computes.
until curl -s "$url/metrics" | grep -q 'state="waiting".* 1$'; do sleep 0.02; done
curl -s -X PUT "$url$entry?ttl=1m" -H "Authorization: Bearer $key" \
  -H "Redoubt-Fill-Lease: $lease" -H 'Content-Type: text/plain' --data-binary 'computed once' \
  | jq -r '"client 1: computes and puts it, \(.outcome)"'
wait $second
printf 'client 2: %s, waited and got: %s\n' "$(cat "$work/status")" "$(cat "$work/second")"

say 'Rotate the encryption key while everything runs'
api POST /api/v1/keyring/rotate | jq -c '{keys: [.keys[] | {id: "…", primary}]}'
curl -s -o /dev/null -w "the session still works: %{http_code}\n" "$url/api/v1/sessions/current" \
  -H "Authorization: Bearer $token"

say 'Logout ends this session'
curl -s -o /dev/null -w '%{http_code}, then ' -X DELETE "$url/api/v1/sessions/current" \
  -H "Authorization: Bearer $token"
curl -s -o /dev/null -w '%{http_code}\n' "$url/api/v1/sessions/current" \
  -H "Authorization: Bearer $token"

say 'Revoke all: ada logs in twice, and is thrown out everywhere'
one=$(api POST /api/v1/sessions -d '{"user":"ada"}' | jq -r .token)
two=$(api POST /api/v1/sessions -d '{"user":"ada"}' | jq -r .token)
api DELETE /api/v1/users/ada/sessions | jq -c .
for t in "$one" "$two"; do
  curl -s -o /dev/null -w '%{http_code} ' "$url/api/v1/sessions/current" -H "Authorization: Bearer $t"
done
printf '\n'
