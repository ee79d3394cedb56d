# First process of the namespaces that `bucatini run` makes; started by unshare(1) as
#   sh container-init.sh RESOLV_CONF HOSTNAME PROC COMMAND [ARG...]
# The first three may be empty; PROC says that there is a new PID namespace.
# Descriptors: 3 the launcher says "go", 4 we say "note TEXT" and "pid NUMBER", 5 the command's stderr.
# The command is not process 1 itself, because that one ignores every signal it has no handler for.

# What a terminal sends is for the command, which decides how it ends. A trap, because a signal that is ignored here
# would be ignored by the command too.
trap : INT QUIT

resolv_conf=$1
hostname=$2
proc=$3
shift 3

note() {
  echo "note $*" >&4
}

(
  # /proc is still the host's here: it tells the number of this subshell, which becomes the command.
  read -r pid rest </proc/self/stat
  [ -z "$proc" ] || mount -t proc proc /proc 2>/dev/null ||
    note "cannot mount /proc, so it goes on showing the processes of the host"
  if [ -n "$resolv_conf" ]; then
    mount --bind "$resolv_conf" /etc/resolv.conf 2>/dev/null ||
      note "cannot replace /etc/resolv.conf, so the resolvers in it are asked directly"
  fi
  # Everybody inside may use ping sockets.
  echo "0 0" 2>/dev/null >/proc/sys/net/ipv4/ping_group_range ||
    note "cannot set net.ipv4.ping_group_range, so ping may need privilege"
  if [ -n "$hostname" ]; then
    hostname "$hostname" 2>/dev/null || note "cannot set the host name $hostname: the program hostname is missing or refuses it"
  fi
  echo "pid $pid" >&4
  exec 4>&-
  # End of file: the launcher has failed and says why.
  read -r go <&3 || exit 125
  exec 3<&- 2>&5 5>&-
  exec "$@"
)
exit $?
