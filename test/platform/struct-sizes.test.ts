/** We rely on: our layouts of kernel structures are those of the C compiler. */
import { expect, test } from "@jest/globals";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as s from "../../src/ffi/structs.ts";

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
  ["struct sockaddr_nl", s.sockaddrNl, { family: "nl_family", port: "nl_pid", groups: "nl_groups" }],
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
    "struct sock_extended_err",
    s.sockExtendedErr,
    { errno: "ee_errno", origin: "ee_origin", type: "ee_type", code: "ee_code", info: "ee_info" },
  ],
  ["struct ifreq", s.ifreq, { name: "ifr_name", value: "ifr_flags" }],
  ["struct linger", s.linger, { on: "l_onoff", seconds: "l_linger" }],
  ["struct __user_cap_header_struct", s.capHeader, { version: "version", pid: "pid" }],
  [
    "struct __user_cap_data_struct",
    s.capData,
    { effective: "effective", permitted: "permitted", inheritable: "inheritable" },
  ],
  ["struct rlimit", s.rlimit, { soft: "rlim_cur", hard: "rlim_max" }],
];

const HEADERS = [
  "stddef.h",
  "stdio.h",
  "sys/epoll.h",
  "sys/resource.h",
  "sys/socket.h",
  "sys/uio.h",
  "netinet/in.h",
  "net/if.h",
  "time.h",
  "linux/capability.h",
  "linux/errqueue.h",
  "linux/netlink.h",
];

const hasCompiler = spawnSync("cc", ["--version"]).status === 0;

(hasCompiler ? test : test.skip)("sizes and offsets equal those of the C compiler", () => {
  const lines: string[] = [];
  const ours: number[] = [];
  for (const [type, layout, fields] of STRUCTS) {
    lines.push(`sizeof(${type})`);
    ours.push(layout.size);
    for (const [field, cField] of Object.entries(fields)) {
      lines.push(`offsetof(${type}, ${cField})`);
      ours.push(layout[field]);
    }
  }
  const directory = mkdtempSync(join(tmpdir(), "bucatini-structs-"));
  try {
    const program = join(directory, "sizes");
    const prints = lines.map((line) => `printf("%zu\\n", ${line});`).join("\n");
    const includes = HEADERS.map((name) => `#include <${name}>`).join("\n");
    const source = `#define _GNU_SOURCE\n${includes}\nint main(void) {\n${prints}\nreturn 0; }\n`;
    execFileSync("cc", ["-x", "c", "-o", program, "-"], { input: source });
    const theirs = execFileSync(program, { encoding: "utf8" }).trim().split("\n").map(Number);
    const name = (value: number, i: number): string => `${lines[i]} = ${value}`;
    // oxlint-disable-next-line jest/no-standalone-expect -- skipped where there is no compiler
    expect(ours.map(name)).toEqual(theirs.map(name));
  } finally {
    rmSync(directory, { recursive: true });
  }
});
