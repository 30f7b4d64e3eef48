#!/bin/sh
# Installs what is missing of the Debian packages that Edge Filter is built and tested with. Nothing is touched
# where all is there. Commands named as arguments, in packages of their own names, are wanted beside.
set -eu

missing=""
need() { # need COMMAND PACKAGE
    PATH="$PATH:/usr/sbin:/sbin" command -v "$1" >/dev/null 2>&1 || missing="$missing $2"
}
need haproxy haproxy
need cc gcc
need setpriv util-linux
for command in "$@"; do
    case "$command" in
    chromedriver) need chromedriver chromium-driver ;;
    named) need named bind9 ;;
    ip) need ip iproute2 ;;
    nginx) need nginx nginx-light ;;
    *) need "$command" "$command" ;;
    esac
done
# gcc without the C library's start files links nothing.
[ -n "$(find /usr/lib -name crt1.o -print -quit 2>/dev/null)" ] || missing="$missing libc6-dev"

if [ -n "$missing" ]; then
    if ! command -v apt-get >/dev/null 2>&1; then
        echo "install.sh: these are missing, and there is no apt-get to install them:$missing" >&2
        exit 1
    fi
    if [ "$(id -u)" -eq 0 ]; then
        as_root=""
    elif command -v sudo >/dev/null 2>&1; then
        as_root="sudo"
    else
        echo "install.sh: these packages are missing, and you are neither root nor have sudo:$missing" >&2
        exit 1
    fi
    echo "Installing:$missing"
    # The lists may be empty (a fresh image) or name files that are gone by now.
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get -q update
    # shellcheck disable=SC2086 # a list of names
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends $missing
    if [ -d /run/systemd/system ]; then
        case "$missing" in
        *haproxy*)
            echo "Debian has started its own haproxy.service. It listens on no port; to be rid of it:"
            echo "    systemctl disable --now haproxy"
            ;;
        esac
        case "$missing" in
        *bind9*)
            echo "Debian has started its own named.service, on port 53; to be rid of it:"
            echo "    systemctl disable --now named"
            ;;
        esac
        case "$missing" in
        *nginx*)
            echo "Debian has started its own nginx.service, on port 80; to be rid of it:"
            echo "    systemctl disable --now nginx"
            ;;
        esac
    fi
fi

if ! command -v cargo >/dev/null 2>&1; then
    echo "install.sh: no cargo in PATH; a Rust toolchain is needed: https://rustup.rs" >&2
    exit 1
fi
# A minimal toolchain lacks these two; where rustup cannot be asked, the Makefile says that they are skipped.
for component in rustfmt clippy; do
    case "$component" in rustfmt) command="fmt" ;; *) command="clippy" ;; esac
    if ! cargo "$command" --version >/dev/null 2>&1 && command -v rustup >/dev/null 2>&1; then
        rustup component add "$component"
    fi
done
