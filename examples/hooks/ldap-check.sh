#!/bin/sh
# Lets in whoever the directory has in a group, at this moment: also those who signed in with a certificate or a session
# alone. A directory that does not answer is a failure, not a no.
#
#   - { name: directory, script: /etc/sallyport/hooks/ldap-check.sh, events: [connect], veto: true, showOutput: true }
set -eu

url=ldaps://ldap.example.org
base=ou=people,dc=example,dc=org
group=cn=vpn,ou=groups,dc=example,dc=org
bind=cn=vpn,dc=example,dc=org
# A file with the password alone and no line end (printf %s … >FILE), which only the hook's account may read.
password_file=/etc/sallyport/hooks/ldap-check.password

settings=${0%.sh}.conf
if [ -r "$settings" ]; then . "$settings"; fi

# Every byte as \hh (RFC 4515): whatever a name holds, in a filter it is a name.
escaped() {
    printf %s "$1" | od -An -v -tx1 | tr -d ' \n' | sed 's/../\\&/g'
}

# Not `exit 1`, which is a no: a veto that is killed has given no answer, and `onFailure` decides.
no_answer() {
    echo "The directory gave no answer."
    kill -KILL $$
}

filter="(&(uid=$(escaped "$VPN_USER_ID"))(memberOf=$(escaped "$group")))"
found=$(ldapsearch -LLL -x -o nettimeout=3 -l 3 -H "$url" -D "$bind" -y "$password_file" -b "$base" "$filter" 1.1) || no_answer

case "$found" in
dn:*) ;;
*)
    echo "Your account may not use the VPN. Ask for the group vpn."
    exit 1
    ;;
esac
