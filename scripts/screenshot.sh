#!/bin/sh
# A picture of an HTML file, as a browser without a window draws it.
#   scripts/screenshot.sh report.html picture.png [width=1300] [height=6000] [light|dark]
set -eu
page=$(realpath "$1")
picture=$2
width=${3:-1300}
height=${4:-6000}
[ "${5:-light}" = dark ] && theme="--blink-settings=preferredColorScheme=0" || theme="--blink-settings=preferredColorScheme=1"
browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome) || {
    echo "screenshot: expected chromium, found none. Install it." >&2
    exit 1
}
profile=$(mktemp -d)
trap 'rm -rf "$profile"' EXIT
# No window is narrower than 500 pixels, so the page goes into a frame.
printf '<body style="margin:0"><iframe src="file://%s" style="width:%spx;height:%spx;border:0;display:block"></iframe>' \
    "$page" "$width" "$height" > "$profile/frame.html"
"$browser" --headless --no-sandbox --disable-gpu --disable-background-networking --no-first-run --hide-scrollbars \
    --user-data-dir="$profile" "$theme" --window-size="$width,$height" --virtual-time-budget=8000 \
    --screenshot="$picture" "file://$profile/frame.html" 2>/dev/null
