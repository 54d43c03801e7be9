#!/usr/bin/env bash
# mail.sh FLAG: takes the flag down and sends one mail to 127.0.0.1:25, and nothing else: the floor of a dispatch.
set -euo pipefail
rm "$1"
exec 3<>/dev/tcp/127.0.0.1/25
heard() { read -r -u 3 answer && [[ $answer == [23]* ]] || { echo "mail.sh: $answer" >&2; exit 1; }; }
heard
for words in "HELO localhost" "MAIL FROM:<root@localhost>" "RCPT TO:<root@localhost>" DATA; do
    printf '%s\r\n' "$words" >&3
    heard
done
printf 'Subject: a unit failed\r\n\r\nno disk\r\n.\r\n' >&3
heard
printf 'QUIT\r\n' >&3
