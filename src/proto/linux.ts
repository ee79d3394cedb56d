/** Numbers of Linux that come through the Host interface: errors, and the events of epoll. */

/** Positive errors (asm-generic/errno.h); calls of the Host return them negated. */
export const Errno = {
  EPERM: 1,
  EIO: 5,
  EAGAIN: 11,
  ENOMEM: 12,
  EACCES: 13,
  EINVAL: 22,
  ENFILE: 23,
  EMFILE: 24,
  EMSGSIZE: 90,
  ENOPROTOOPT: 92,
  EADDRINUSE: 98,
  ENETUNREACH: 101,
  ECONNABORTED: 103,
  ECONNRESET: 104,
  ENOBUFS: 105,
  ETIMEDOUT: 110,
  ECONNREFUSED: 111,
  EHOSTUNREACH: 113,
  EINPROGRESS: 115,
} as const;

/** Bits of an event (linux/eventpoll.h). */
export const EpollEvent = { In: 0x001, Urgent: 0x002, Out: 0x004, Error: 0x008, Hangup: 0x010 } as const;

/** Where an error in the queue comes from (linux/errqueue.h). */
export const ErrorOrigin = { Local: 1, Icmp: 2, Icmp6: 3 } as const;
