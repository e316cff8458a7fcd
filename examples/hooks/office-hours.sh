#!/bin/sh
# Lets people in during office hours alone, and tells them so.
#
#   - { name: office-hours, script: /etc/sallyport/hooks/office-hours.sh, events: [connect], veto: true, showOutput: true }
set -eu

opens=7
closes=20
# Never kept out; one name a line.
exempt=/etc/sallyport/hooks/office-hours.exempt

settings=${0%.sh}.conf
if [ -r "$settings" ]; then . "$settings"; fi

# A name may hold anything, even line ends: it reaches awk through its environment and is compared whole, as text.
is_exempt() {
    awk '$0 "" == ENVIRON["VPN_USER_ID"] "" { found = 1; exit } END { exit !found }' "$exempt"
}
if [ -r "$exempt" ] && is_exempt; then exit 0; fi

hour=$(date +%k)
if [ "$hour" -ge "$opens" ] && [ "$hour" -lt "$closes" ]; then exit 0; fi

# The last line is what the person reads.
echo "The VPN is open from $opens to $closes o'clock."
exit 1
