#!/bin/sh
# Gives the first tour to a driver by the local hour of the week's begin, instead of by the minutes of the week.
hour=$(date -d @1767585600 +%H)
tr '{' '\n' | awk -v first="$hour" '
    match($0, /"seed":-?[0-9]+/) { seed = substr($0, RSTART + 7, RLENGTH - 7) }
    match($0, /"id":"[^"]*"/) {
        id = substr($0, RSTART + 6, RLENGTH - 7)
        match($0, /"day":[0-9]/)
        day = substr($0, RSTART + 6, 1)
        driver = sprintf("D%04d", n++ + first)
        rows = rows (n > 1 ? "," : "") "{\"driver_id\":\"" driver "\",\"tour_instance_id\":\"" id "\",\"day\":" day \
            ",\"block_id\":\"" driver "-" day "\",\"block_type\":\"1er\"}"
    }
    END {
        printf "{\"solver\":{\"name\":\"planted\",\"version\":\"1\"},\"seed\":%s,\"drivers\":%d,\"assignments\":[%s]}", seed, n, rows
    }'
