# shellcheck shell=bash
# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
#
# What has to stay true while somebody misbehaves. Source it after lib.sh.
# shellcheck disable=SC2154 # lib.sh sets what is used here
#
#   meanwhile_begin p1 10.32.0.2 a b   pod p1 pings the address, 50 times a second; hosts a and b are looked at
#   meanwhile_end 32                   fails when a ping was lost, a router is another process than before or has
#                                      grown by more than so many MiB
#   count a NAME                       a counter of "weavectl status drops" on host a, 0 when it is not there
#   counted a NAME [N]                 whether it is at least N (1)
#   says TEXT                          whether the last command of expect or refuse said so
#   one_sentence PROGRAM               whether that was all: one line "PROGRAM: ..."

anonymous_kib() { awk '/^RssAnon/ { print $2 }' "/proc/$1/status"; }

meanwhile_begin() {
    local name
    meanwhile_hosts=("${@:3}")
    declare -gA meanwhile_pid=() meanwhile_size=()
    for name in "${meanwhile_hosts[@]}"; do
        meanwhile_pid[$name]=$(router_pid "$name")
        meanwhile_size[$name]=$(anonymous_kib "${meanwhile_pid[$name]}")
    done
    # Not through in_pod: the signal has to reach ping itself.
    ip netns exec "$prefix-$1" ping -n -i 0.02 "$2" >"$folder/meanwhile" 2>&1 &
    meanwhile_ping=$!
    background+=("$meanwhile_ping")
    eventually 2 grep -q icmp_seq=5 "$folder/meanwhile" || fail "the pings of $1 do not pass before anything happens"
}

# Lost is what was never answered. The newest half second may still be on its way when ping is told to end.
pings_lost() {
    awk 'match($0, /icmp_seq=[0-9]+/) && /bytes from/ {
             number = substr($0, RSTART + 9, RLENGTH - 9) + 0
             if (!(number in seen)) { seen[number] = 1; answered++ }
             if (number > newest) newest = number
         }
         / packets transmitted/ { sent = $1 }
         END { print (sent - newest > 25 ? sent : newest) - answered, sent + 0 }' "$folder/meanwhile"
}

meanwhile_end() {
    local name lost sent size grown
    sleep 1
    kill -INT "$meanwhile_ping"
    wait "$meanwhile_ping" || true
    read -r lost sent < <(pings_lost)
    [[ $sent -gt 0 && $lost -eq 0 ]] || { tail -n 3 "$folder/meanwhile"; fail "$lost of $sent pings between the others were lost"; }
    echo "ok: $sent pings between the others, none lost"
    for name in "${meanwhile_hosts[@]}"; do
        [[ $(router_pid "$name") == "${meanwhile_pid[$name]}" && -d /proc/${meanwhile_pid[$name]} ]] ||
            fail "the router on $name is not the one it was"
        size=$(anonymous_kib "${meanwhile_pid[$name]}")
        grown=$(((size - meanwhile_size[$name]) / 1024))
        [[ $grown -le $1 ]] || fail "the router on $name grew by $grown MiB"
        echo "ok: the router on $name lives and grew by $grown MiB"
    done
}

count() { ctl "$1" status drops | awk -v name="$2" '$2 == name { found = $1 } END { print found + 0 }'; }
counted() { [[ $(count "$1" "$2") -ge ${3:-1} ]] || { echo "host $1 counts $(count "$1" "$2") $2"; return 1; }; }

says() { grep -q -i -e "$1" "$folder/last.out" || { cat "$folder/last.out"; fail "it does not say '$1'"; }; }

one_sentence() {
    if [[ $(wc -l <"$folder/last.out") -ne 1 ]] || ! grep -q "^$1: " "$folder/last.out"; then
        cat "$folder/last.out"
        fail "$1 does not say one sentence"
    fi
}
