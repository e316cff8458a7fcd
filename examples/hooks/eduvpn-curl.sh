#!/bin/sh
# A script as they are written for eduVPN: it hands what it was given to a web form and does not wait for it. It runs
# unchanged. A webhook (docs/webhooks.md) or notify.sh is told again until it was taken; this is not.
#
#   connectScriptPath: /etc/sallyport/hooks/eduvpn-curl.sh

url=https://events.example.org/vpn

settings=${0%.sh}.conf
if [ -r "$settings" ]; then . "$settings"; fi

curl --silent --max-time 10 --output /dev/null \
    --data-urlencode "event=$VPN_EVENT" \
    --data-urlencode "user=$VPN_USER_ID" \
    --data-urlencode "profile=$VPN_PROFILE_ID" \
    --data-urlencode "ip4=${VPN_IP_FOUR:-}" \
    --data-urlencode "ip6=${VPN_IP_SIX:-}" \
    --data-urlencode "from=${VPN_ORIGINATING_IP:-}" \
    "$url" &

exit 0
