#!/bin/sh
# Gets the Chromium that the tests of pages need, where there is none and we may install one (as
# root, with apt). It never fails: without a browser those tests are left out, and say so.
for name in "${CHROMIUM:-}" chromium chromium-browser google-chrome google-chrome-stable; do
    [ -n "$name" ] && command -v "$name" >/dev/null 2>&1 && exit 0
done
[ "${NIXFLEX_NO_INSTALL:-}" ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "installing chromium for the tests of pages (the first time takes a minute)"
    export DEBIAN_FRONTEND=noninteractive
    log=$(mktemp)
    { apt-get -qq update && apt-get -qq install -y --no-install-recommends chromium; } >"$log" 2>&1 ||
        { echo "it could not be installed:"; tail -n 3 "$log"; }
    rm -f "$log"
fi
exit 0
