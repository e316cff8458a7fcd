#!/bin/sh
# Keeps an nftables set of client addresses for each group, so that firewall rules can name groups. Who belongs where
# stands in a file, one person a line, the group first:
#
#   engineering alice
#   accounts    Bob O'Brien
#
# Whoever is in no group is refused.
#
#   - name: nftables-groups
#     script: /etc/sallyport/hooks/nftables-groups.sh
#     events: [connect, disconnect]
#     veto: true
#     showOutput: true
#
# Rules then look like:  ip saddr @engineering_v4 ip daddr 10.1.0.0/16 accept
set -eu

table=sallyport_groups
members=/etc/sallyport/hooks/nftables-groups.members

settings=${0%.sh}.conf
if [ -r "$settings" ]; then . "$settings"; fi

# The name reaches awk through its environment and is compared whole, as text, so it may hold anything.
group_of_user() {
    awk '/^[ \t]*(#|$)/ { next }
         { group = $1; sub(/^[ \t]*[^ \t]+[ \t]+/, ""); if ($0 "" == ENVIRON["VPN_USER_ID"] "") { print group; exit } }' "$members"
}

all_groups() {
    awk '/^[ \t]*(#|$)/ { next } { print $1 }' "$members" | sort -u
}

# Adding what is there does nothing, so a repeat is harmless.
declare_group() {
    echo "add table inet $table"
    echo "add set inet $table $1_v4 { type ipv4_addr; }"
    echo "add set inet $table $1_v6 { type ipv6_addr; }"
}

add_client() {
    declare_group "$1"
    if [ -n "${VPN_IP_FOUR:-}" ]; then echo "add element inet $table $1_v4 { $VPN_IP_FOUR }"; fi
    if [ -n "${VPN_IP_SIX:-}" ]; then echo "add element inet $table $1_v6 { $VPN_IP_SIX }"; fi
}

# nft cannot delete what is not there: added first, it is.
delete_client() {
    add_client "$1"
    if [ -n "${VPN_IP_FOUR:-}" ]; then echo "delete element inet $table $1_v4 { $VPN_IP_FOUR }"; fi
    if [ -n "${VPN_IP_SIX:-}" ]; then echo "delete element inet $table $1_v6 { $VPN_IP_SIX }"; fi
}

# Each call of nft is one transaction: all of it, or nothing.
case "$VPN_EVENT" in
C)
    group=$(group_of_user)
    if [ -z "$group" ]; then
        echo "No network has been set up for your account."
        exit 1
    fi
    add_client "$group" | nft -f -
    ;;
D)
    # From all of them: the file may have changed since the connect.
    for group in $(all_groups); do delete_client "$group"; done | nft -f -
    ;;
esac
