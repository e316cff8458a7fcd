#!/bin/sh
# Gives each client a name in DNS while it is connected: DEVICE.vpn.example.org, by dynamic updates (RFC 2136, nsupdate).
# Adding what is there and deleting what is not are no failures, so it may be told twice.
#
#   - { name: dns, script: /etc/sallyport/hooks/dns-update.sh, events: [connect, disconnect] }
set -eu

server=192.0.2.53
port=53
zone=vpn.example.org
ttl=60
# A key (tsig-keygen) that the zone's update-policy lets change it; empty: none.
key_file=

settings=${0%.sh}.conf
if [ -r "$settings" ]; then . "$settings"; fi

# What a name in DNS may hold; what is left over is no label.
label=$(printf %s "$VPN_CONNECTION_ID" | tr 'A-Z' 'a-z' | tr -c 'a-z0-9-' '-' | sed 's/^-*//; s/-*$//' | cut -c 1-63)
if [ -z "$label" ]; then exit 0; fi
name=$label.$zone.

# Only this connection's own addresses go: the device may be back with others.
change() {
    if [ "$VPN_EVENT" = C ]; then
        echo "update add $name $ttl $1 $2"
    else
        echo "update delete $name $1 $2"
    fi
}

{
    echo "server $server $port"
    echo "zone $zone"
    if [ -n "${VPN_IP_FOUR:-}" ]; then change A "$VPN_IP_FOUR"; fi
    if [ -n "${VPN_IP_SIX:-}" ]; then change AAAA "$VPN_IP_SIX"; fi
    echo send
} | nsupdate -t 4 ${key_file:+-k "$key_file"}
