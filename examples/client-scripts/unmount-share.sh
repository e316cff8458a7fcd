#!/bin/sh
# Takes away the share that mount-share.sh mounted: without the VPN every look at it would hang.
#
#   SHARE_URL     the share, such as smb://files.example.org/eng
#
# For disconnect, as the user, on Linux with GVfs.
set -eu

if ! gio mount --list | grep -qF -- "-> $SHARE_URL"; then exit 0; fi
# The tunnel is gone already: do not wait for what is still to be written.
exec gio mount --force --unmount "$SHARE_URL"
