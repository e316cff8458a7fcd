#!/bin/sh
# Posts each event to a web service. Sallyport tells it again until the service has taken it; the key that repeats
# have in common lets the service ignore them.
#
#   - { name: notify, script: /etc/sallyport/hooks/notify.sh, events: [connect, disconnect], deadlineMs: 8000 }
set -eu

url=https://events.example.org/vpn

settings=${0%.sh}.conf
if [ -r "$settings" ]; then . "$settings"; fi

# --fail: an answer like 503 is a failure, so that the event is sent again later.
exec curl --fail --silent --show-error --max-time 5 --output /dev/null \
    --header 'Content-Type: application/json' \
    --header "Idempotency-Key: $VPN_EVENT_ID" \
    --data-binary @- "$url"
