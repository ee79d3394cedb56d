#!/bin/sh
# Prepares a machine for the namespace tests: Debian packages, an ordinary user with subordinate ids, access to
# /dev/net/tun, congestion controls; and Podman 5 in a directory of its own.
# Does nothing, and quickly, when everything is there. Needs root (or sudo) only for what is missing.
set -eu

USER_NAME=bucatini-test
# Each word: a program that the tests call, and the Debian package that has it.
NEEDED="iperf3:iperf3 dig:dnsutils dnsmasq:dnsmasq-base nginx:nginx-light socat:socat pasta:passt
slirp4netns:slirp4netns ip:iproute2 ping:iputils-ping traceroute:traceroute sshd:openssh-server
ssh:openssh-client tcpdump:tcpdump nc:netcat-openbsd ethtool:ethtool sudo:sudo ps:procps curl:curl
nsenter:util-linux setpriv:util-linux busybox:busybox ctr:containerd runc:runc crun:crun rdisc6:ndisc6
systemd-socket-activate:systemd podman:podman conmon:conmon newuidmap:uidmap catatonit:catatonit
dhclient:isc-dhcp-client /usr/lib/cni/bridge:containernetworking-plugins"
# Where Podman of the next release of Debian is, with what it needs beside this release (test/support/podman.ts).
PODMAN_5=/opt/bucatini-test/podman-5

PATH=$PATH:/usr/sbin:/sbin

if [ "$(id -u)" -eq 0 ]; then AS_ROOT=""; else AS_ROOT="sudo -n"; fi

missing=""
for word in $NEEDED; do
    command -v "${word%%:*}" >/dev/null 2>&1 || missing="$missing ${word##*:}"
done
if [ -n "$missing" ]; then
    echo "installing$missing"
    # Debian starts services when it installs them; a policy that answers 101 forbids that for as long as it is there.
    policy=/usr/sbin/policy-rc.d
    if [ ! -e $policy ]; then
        printf '#!/bin/sh\nexit 101\n' | $AS_ROOT tee $policy >/dev/null
        $AS_ROOT chmod 755 $policy
        trap '$AS_ROOT rm -f $policy' EXIT
    fi
    $AS_ROOT env DEBIAN_FRONTEND=noninteractive apt-get update -qq
    # shellcheck disable=SC2086
    $AS_ROOT env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing
fi

# Unprivileged use of namespaces is only proved by an account without privilege.
if [ "$(id -u)" -eq 0 ]; then
    id $USER_NAME >/dev/null 2>&1 || useradd --create-home --shell /bin/sh $USER_NAME
    # Containers of an ordinary user have more than one user; useradd gives these ids where login.defs says so.
    grep -qs "^$USER_NAME:" /etc/subuid || usermod --add-subuids 200000-265535 $USER_NAME
    grep -qs "^$USER_NAME:" /etc/subgid || usermod --add-subgids 200000-265535 $USER_NAME
fi

# Debian 12 has Podman 4 only. That of Debian 13 is unpacked, not installed: tests lay it over /usr in a mount namespace.
# Of what it needs, only this is missing here or too old.
if [ ! -e $PODMAN_5 ]; then
    echo "unpacking Podman 5"
    work=$(mktemp -d)
    mkdir -p "$work/lists" "$work/cache" "$work/debs" "$work/root"
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Label: Debian' | head -n 1)
    echo "deb $mirror trixie main" > "$work/sources.list"
    : > "$work/status"
    cat > "$work/apt.conf" <<END
Dir::Etc::sourcelist "$work/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::State::lists "$work/lists";
Dir::State::status "$work/status";
Dir::Cache "$work/cache";
APT::Sandbox::User "root";
END
    (
        cd "$work/debs"
        export APT_CONFIG="$work/apt.conf"
        apt-get update -qq
        apt-get download -qq podman crun netavark aardvark-dns libc6 libgpgme11t64 libassuan9 libsubid5 libsqlite3-0 \
            golang-github-containers-common golang-github-containers-image
    )
    for package in "$work"/debs/*.deb; do dpkg-deb -x "$package" "$work/root"; done
    $AS_ROOT mkdir -p "${PODMAN_5%/*}"
    chmod 755 "$work/root"
    $AS_ROOT mv -T "$work/root" $PODMAN_5
    rm -rf "$work"
fi

# Distributions give /dev/net/tun to everybody; minimal images often do not.
if [ ! -c /dev/net/tun ]; then
    $AS_ROOT mkdir -p /dev/net
    $AS_ROOT mknod /dev/net/tun c 10 200
fi
[ "$(stat -c %a /dev/net/tun)" = 666 ] || $AS_ROOT chmod 666 /dev/net/tun

# Transfers are tried with each congestion control of this kernel, by users who may choose only among the allowed ones.
SYSCTL=/proc/sys/net/ipv4
if [ -e $SYSCTL/tcp_allowed_congestion_control ]; then
    available=$(cat $SYSCTL/tcp_available_congestion_control)
    for name in $available; do
        case " $(cat $SYSCTL/tcp_allowed_congestion_control) " in
            *" $name "*) ;;
            *) echo "$available" | $AS_ROOT tee $SYSCTL/tcp_allowed_congestion_control >/dev/null ;;
        esac
    done
fi
