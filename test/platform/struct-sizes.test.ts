/** We rely on: our layouts of kernel structures are those of the C compiler. */
import { expect, test } from "@jest/globals";
import * as s from "../../src/ffi/structs.ts";
import { evaluate, hasCompiler } from "./compiler.ts";

/** For each structure: how C calls it, our layout, and the C name of each field. */
const STRUCTS: [string, Record<string, number>, Record<string, string>][] = [
  ["struct sockaddr_in", s.sockaddrIn, { family: "sin_family", port: "sin_port", address: "sin_addr" }],
  [
    "struct sockaddr_in6",
    s.sockaddrIn6,
    {
      family: "sin6_family",
      port: "sin6_port",
      flowInfo: "sin6_flowinfo",
      address: "sin6_addr",
      scope: "sin6_scope_id",
    },
  ],
  ["struct epoll_event", s.epollEvent, { events: "events", data: "data" }],
  ["struct iovec", s.iovec, { base: "iov_base", length: "iov_len" }],
  [
    "struct msghdr",
    s.msghdr,
    {
      name: "msg_name",
      nameLength: "msg_namelen",
      iovecs: "msg_iov",
      iovecCount: "msg_iovlen",
      control: "msg_control",
      controlLength: "msg_controllen",
      flags: "msg_flags",
    },
  ],
  ["struct mmsghdr", s.mmsghdr, { header: "msg_hdr", length: "msg_len" }],
  ["struct cmsghdr", s.cmsghdr, { length: "cmsg_len", level: "cmsg_level", type: "cmsg_type" }],
  [
    "struct in_pktinfo",
    s.inPktinfo,
    { index: "ipi_ifindex", local: "ipi_spec_dst", destination: "ipi_addr" },
  ],
  ["struct in6_pktinfo", s.in6Pktinfo, { address: "ipi6_addr", index: "ipi6_ifindex" }],
  [
    "struct sock_extended_err",
    s.sockExtendedErr,
    { errno: "ee_errno", origin: "ee_origin", type: "ee_type", code: "ee_code", info: "ee_info" },
  ],
  ["struct ifreq", s.ifreq, { name: "ifr_name", value: "ifr_flags" }],
  ["struct linger", s.linger, { on: "l_onoff", seconds: "l_linger" }],
  [
    "struct nlmsghdr",
    s.nlmsghdr,
    {
      length: "nlmsg_len",
      type: "nlmsg_type",
      flags: "nlmsg_flags",
      sequence: "nlmsg_seq",
      port: "nlmsg_pid",
    },
  ],
  [
    "struct inet_diag_req_v2",
    s.inetDiagRequest,
    { family: "sdiag_family", protocol: "sdiag_protocol", states: "idiag_states", id: "id" },
  ],
  [
    "struct inet_diag_msg",
    s.inetDiagMessage,
    {
      family: "idiag_family",
      state: "idiag_state",
      sourcePort: "id.idiag_sport",
      source: "id.idiag_src",
      index: "id.idiag_if",
      uid: "idiag_uid",
      inode: "idiag_inode",
    },
  ],
  ["struct __user_cap_header_struct", s.capHeader, { version: "version", pid: "pid" }],
  [
    "struct __user_cap_data_struct",
    s.capData,
    { effective: "effective", permitted: "permitted", inheritable: "inheritable" },
  ],
  [
    "struct itimerspec",
    s.itimerspec,
    {
      intervalSeconds: "it_interval.tv_sec",
      valueSeconds: "it_value.tv_sec",
      valueNanoseconds: "it_value.tv_nsec",
    },
  ],
  [
    "struct signalfd_siginfo",
    s.signalfdSiginfo,
    { signo: "ssi_signo", errno: "ssi_errno", code: "ssi_code", pid: "ssi_pid", uid: "ssi_uid" },
  ],
  ["struct pollfd", s.pollfd, { fd: "fd", events: "events", returned: "revents" }],
  ["struct sock_filter", s.sockFilter, { code: "code", ifTrue: "jt", ifFalse: "jf", value: "k" }],
  ["struct sock_fprog", s.sockFprog, { length: "len", filter: "filter" }],
];

const HEADERS = [
  "stddef.h",
  "sys/epoll.h",
  "sys/signalfd.h",
  "sys/socket.h",
  "sys/uio.h",
  "netinet/in.h",
  "net/if.h",
  "time.h",
  "linux/capability.h",
  "linux/errqueue.h",
  "linux/filter.h",
  "linux/inet_diag.h",
  "linux/netlink.h",
  "poll.h",
];

(hasCompiler ? test : test.skip)("sizes and offsets equal those of the C compiler", () => {
  const expressions: string[] = [];
  const ours: number[] = [];
  for (const [type, layout, fields] of STRUCTS) {
    expressions.push(`sizeof(${type})`);
    ours.push(layout.size);
    for (const [field, cField] of Object.entries(fields)) {
      expressions.push(`offsetof(${type}, ${cField})`);
      ours.push(layout[field]);
    }
  }
  const theirs = evaluate(expressions, HEADERS);
  const name = (value: number, i: number): string => `${expressions[i]} = ${value}`;
  // oxlint-disable-next-line jest/no-standalone-expect -- skipped where there is no compiler
  expect(ours.map(name)).toEqual(theirs.map(name));
});
