#!/bin/sh
# Prepares a machine for the namespace tests: Debian packages, an ordinary user, access to /dev/net/tun, congestion controls.
# Does nothing, and quickly, when everything is there. Needs root (or sudo) only for what is missing.
set -eu

USER_NAME=bucatini-test
# Each word: a program that the tests call, and the Debian package that has it.
NEEDED="iperf3:iperf3 dig:dnsutils dnsmasq:dnsmasq-base nginx:nginx-light socat:socat pasta:passt
slirp4netns:slirp4netns ip:iproute2 ping:iputils-ping traceroute:traceroute sshd:openssh-server
ssh:openssh-client tcpdump:tcpdump nc:netcat-openbsd ethtool:ethtool sudo:sudo ps:procps curl:curl
nsenter:util-linux setpriv:util-linux busybox:busybox ctr:containerd runc:runc crun:crun rdisc6:ndisc6
systemd-socket-activate:systemd"

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
