#!/bin/sh
# What `make install` and `make uninstall` do; README.md, "Install", describes the variables. Everything that install
# makes is listed in the file LIST, so that uninstall needs nothing but PREFIX and DESTDIR, and that a second install
# knows what is ours.
set -eu

PREFIX=${PREFIX:-/usr/local}
DESTDIR=${DESTDIR:-}
NODE=${NODE:-$(command -v node || true)}
SOURCE=$(dirname "$0")
LIB=$PREFIX/lib/bucatini
LIST=$DESTDIR$LIB/installed

fail() {
    echo "cannot install: $1" >&2
    exit 1
}

check_paths() {
    for path in "$PREFIX" "$DESTDIR" "$NODE" "${CNI_BIN:-}" "${PASTA_BIN:-}" "${HOOKS:-}" "${CDI:-}"; do
        case $path in
            *[!-+,./:@_a-zA-Z0-9]*) fail "\"$path\" has a character in it that others trip over; choose a plain path" ;;
            "" | /*) ;;
            *) fail "\"$path\" is no absolute path; give one that begins with a slash" ;;
        esac
    done
}

# Names that lead to a file of ours: where they are, and the file in LIB.
links() {
    echo "$PREFIX/bin/bucatini bin/bucatini"
    echo "$PREFIX/libexec/cni/bucatini cni/bucatini"
    echo "$PREFIX/libexec/netavark/bucatini netavark/bucatini"
    [ -z "${CNI_BIN:-}" ] || echo "$CNI_BIN/bucatini cni/bucatini"
    [ -z "${PASTA_BIN:-}" ] || echo "$PASTA_BIN/pasta bin/pasta"
}

is_listed() {
    [ -e "$LIST" ] && grep -qxF "$1" "$LIST"
}

note() {
    is_listed "$1" || echo "$1" >>"$notes"
}

# Makes a directory; lists it, and those above it that were not there.
directory() {
    [ ! -d "$DESTDIR$1" ] || return 0
    directory "$(dirname "$1")"
    mkdir "$DESTDIR$1"
    note "$1/"
}

# Makes a file of its standard input.
file() {
    directory "$(dirname "$1")"
    cat >"$DESTDIR$1"
    note "$1"
}

# The list, by which an install that has failed can be taken away too.
keep_notes() {
    cat "$notes" >>"$LIST"
    rm "$notes"
}

install() {
    [ -x "$NODE" ] || fail "there is no Node.js at \"$NODE\"; install it, or say where it is with NODE="
    links | while read -r path _; do
        is_listed "$path" || { [ ! -e "$DESTDIR$path" ] && [ ! -L "$DESTDIR$path" ]; } ||
            fail "$DESTDIR$path is there, and not from bucatini; remove it, or install elsewhere"
    done
    notes=$(mktemp)
    [ -z "$DESTDIR" ] || mkdir -p "$DESTDIR"
    directory "$LIB"
    trap keep_notes EXIT
    replace_files
    links | while read -r path target; do
        directory "$(dirname "$path")"
        ln -sfn "$LIB/$target" "$DESTDIR$path"
        note "$path"
    done
    for path in "$SOURCE"/systemd/*; do
        sed "s|=/usr/local/|=$PREFIX/|" "$path" | file "$PREFIX/lib/systemd/user/${path##*/}"
    done
    describe_hook "${HOOKS:-}" bucatini.json
    describe_hook "${CDI:-}" bucatini.org-net.json --cdi
}

# For a moment there is nothing, and never half of it.
replace_files() {
    new=$DESTDIR$LIB.new
    rm -rf "$new"
    cp -R "$SOURCE/dist" "$new"
    cp "$SOURCE/plugin/example.conflist" "$new"
    [ ! -e "$LIST" ] || cp "$LIST" "$new"
    # Callers have a PATH of their own, or none.
    grep -rlI '^#!/usr/bin/env node' "$new" | while read -r path; do
        sed -i "1s|/usr/bin/env node|$NODE|" "$path"
    done
    rm -rf "$DESTDIR$LIB"
    mv "$new" "$DESTDIR$LIB"
}

# As `bucatini install-hook` does, with the path that the hook will have.
describe_hook() {
    [ -n "$1" ] || return 0
    where=$1/$2
    shift 2
    "$NODE" "$DESTDIR$LIB/bin/bucatini" install-hook --print "$@" | sed "s|\"$DESTDIR$LIB/|\"$LIB/|" | file "$where"
}

# Last first: directories are listed before what is in them. They stay when somebody else has put something there.
uninstall() {
    if [ ! -e "$LIST" ]; then
        echo "nothing to uninstall: there is no $LIST; PREFIX= and DESTDIR= say where else"
        return 0
    fi
    listed=$(sed '1!G;h;$!d' "$LIST")
    for path in $listed; do
        case $path in
            */) ;;
            *) rm -f "$DESTDIR$path" ;;
        esac
    done
    rm -rf "$DESTDIR$LIB"
    for path in $listed; do
        case $path in
            */) rmdir "$DESTDIR$path" 2>/dev/null || true ;;
        esac
    done
}

check_paths
case ${1:-} in
    install) install ;;
    uninstall) uninstall ;;
    *) fail "say \"install\" or \"uninstall\"" ;;
esac
