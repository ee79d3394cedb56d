import { expect, test } from "@jest/globals";
import { AppError, SysError } from "../../../src/base/errors.ts";
import { ConfigError } from "../../../src/config/config-error.ts";
import { type CniRequest, type CniVerbs, dispatch } from "../../../src/cni/dispatch.ts";
import type { Environment } from "../../../src/cni/environment.ts";
import { CniError } from "../../../src/cni/errors.ts";

const ENVIRONMENT: Environment = {
  CNI_COMMAND: "ADD",
  CNI_CONTAINERID: "c1",
  CNI_NETNS: "/run/netns/n1",
  CNI_IFNAME: "eth0",
  CNI_PATH: "/opt/cni/bin",
  CNI_ARGS: "IgnoreUnknown=1",
};
const CONFIG = { cniVersion: "1.1.0", name: "net", type: "bucatini", extra: [1] };

interface Call {
  environment?: Environment;
  input?: string;
  run?: (request: CniRequest) => Promise<unknown>;
}

/** Every verb does the same. */
const all = (run: (request: CniRequest) => Promise<unknown>): CniVerbs => ({
  ADD: run,
  DEL: run,
  CHECK: run,
  GC: run,
  STATUS: run,
});

/** One call: how it ended, the JSON that was printed, and whether stdin was read. */
async function call({ environment = ENVIRONMENT, input = JSON.stringify(CONFIG), run }: Call) {
  const verb = run ?? ((request: CniRequest) => Promise.resolve(request));
  let reads = 0;
  const read = async (): Promise<string> => {
    reads++;
    return input;
  };
  const { status, stdout, stderr } = await dispatch(environment, read, all(verb));
  return { status, json: stdout === "" ? undefined : JSON.parse(stdout), stderr, reads };
}

const failing = (error: unknown): Call => ({ run: () => Promise.reject(error) });

test("a verb gets the attachment, the version and the whole configuration, and its result is printed", async () => {
  expect(await call({})).toEqual({
    status: 0,
    json: {
      containerId: "c1",
      netns: "/run/netns/n1",
      ifname: "eth0",
      version: "1.1.0",
      config: CONFIG,
      input: JSON.stringify(CONFIG),
      environment: ENVIRONMENT,
    },
    stderr: "",
    reads: 1,
  });
});

test("a verb without a result prints nothing", async () => {
  expect(await call({ run: async () => undefined })).toMatchObject({ status: 0, json: undefined });
});

test.each(["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"])("ADD without %s is told so", async (name) => {
  for (const value of [undefined, ""]) {
    expect(await call({ environment: { ...ENVIRONMENT, [name]: value } })).toEqual({
      status: 1,
      json: { cniVersion: "1.1.0", code: 4, msg: `missing environment variables: ${name}` },
      stderr: "",
      reads: 0,
    });
  }
});

test("all missing variables are named at once", async () => {
  const { json } = await call({ environment: { CNI_COMMAND: "ADD" } });
  expect(json.msg).toBe("missing environment variables: CNI_CONTAINERID, CNI_NETNS, CNI_IFNAME");
});

test("DEL needs no namespace, but the container and the interface", async () => {
  const environment = { ...ENVIRONMENT, CNI_COMMAND: "DEL", CNI_NETNS: "" };
  expect(await call({ environment })).toMatchObject({ status: 0, json: { netns: "" } });
  for (const name of ["CNI_CONTAINERID", "CNI_IFNAME"]) {
    const { json } = await call({ environment: { ...environment, [name]: "" } });
    expect(json).toMatchObject({ code: 4, msg: `missing environment variables: ${name}` });
  }
});

test.each([
  ["CNI_CONTAINERID", "-c1"],
  ["CNI_CONTAINERID", "a/b"],
  ["CNI_CONTAINERID", "a b"],
  ["CNI_CONTAINERID", "../../etc"],
  ["CNI_IFNAME", "sixteen-bytes-xx"],
  ["CNI_IFNAME", "ääääääää"],
  ["CNI_IFNAME", "."],
  ["CNI_IFNAME", ".."],
  ["CNI_IFNAME", "eth/0"],
  ["CNI_IFNAME", "eth:0"],
  ["CNI_IFNAME", "eth 0"],
  ["CNI_IFNAME", "eth%d"],
])("%s=%s is refused by name and value", async (name, value) => {
  const { json, status } = await call({ environment: { ...ENVIRONMENT, [name]: value } });
  expect(status).toBe(1);
  expect(json).toMatchObject({ code: 4, msg: "invalid environment variables" });
  expect(json.details).toContain(`${name}=${value} must`);
});

test.each(["add", "UPDATE", "toString", "__proto__"])("%s is no command here", async (name) => {
  const { json, reads } = await call({ environment: { ...ENVIRONMENT, CNI_COMMAND: name } });
  expect(json).toEqual({ cniVersion: "1.1.0", code: 4, msg: `unknown CNI_COMMAND ${name}` });
  expect(reads).toBe(0);
});

test("without CNI_COMMAND it says what it is to humans only", async () => {
  const { status, json, stderr } = await call({ environment: {} });
  expect({ status, json }).toEqual({ status: 0, json: undefined });
  expect(stderr).toContain("ADD, DEL, CHECK, GC, STATUS or VERSION");
});

test.each(["", "{", '{"cniVersion": "1.1.0"} x', "null", "[]", '"text"', "7"])(
  "%j on stdin cannot be decoded",
  async (input) => {
    const { json, status } = await call({ input });
    expect(status).toBe(1);
    expect(json.code).toBe(6);
  },
);

test("stdin that cannot be read is an I/O failure", async () => {
  const verbs = all(async () => ({}));
  const { stdout, status } = await dispatch(ENVIRONMENT, () => Promise.reject(new Error("EIO")), verbs);
  expect(status).toBe(1);
  expect(JSON.parse(stdout)).toMatchObject({ code: 5, details: "Error: EIO" });
});

const VERSIONS = ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"];

test.each([undefined, null, ""])("a configuration with the version %j is of 0.1.0", async (cniVersion) => {
  expect((await call({ input: JSON.stringify({ ...CONFIG, cniVersion }) })).json.version).toBe("0.1.0");
});

test.each([
  ["CHECK", "0.4.0"],
  ["GC", "1.1.0"],
  ["STATUS", "1.1.0"],
])("%s is there since %s", async (command, since) => {
  const environment = { ...ENVIRONMENT, CNI_COMMAND: command };
  for (const cniVersion of VERSIONS) {
    const { json, status } = await call({ environment, input: JSON.stringify({ ...CONFIG, cniVersion }) });
    const isThere = VERSIONS.indexOf(cniVersion) >= VERSIONS.indexOf(since);
    expect(status).toBe(isThere ? 0 : 1);
    if (isThere) continue;
    expect(json).toEqual({
      cniVersion,
      code: 1,
      msg: "incompatible CNI versions",
      details: `${command} is there since ${since}, and config is "${cniVersion}"`,
    });
  }
});

test.each(["GC", "STATUS"])("%s is about no container, but needs CNI_PATH", async (CNI_COMMAND) => {
  expect((await call({ environment: { CNI_COMMAND, CNI_PATH: "/opt/cni/bin" } })).status).toBe(0);
  const { json } = await call({ environment: { CNI_COMMAND } });
  expect(json).toMatchObject({ code: 4, msg: "missing environment variables: CNI_PATH" });
});

test.each(VERSIONS)("version %s is spoken, also in errors", async (cniVersion) => {
  const input = JSON.stringify({ ...CONFIG, cniVersion });
  expect((await call({ input })).json.version).toBe(cniVersion);
  const { json } = await call({ input, ...failing(new CniError(11, "later", "in a minute")) });
  expect(json).toEqual({ cniVersion, code: 11, msg: "later", details: "in a minute" });
});

const DEEP = `${"[".repeat(100_000)}${"]".repeat(100_000)}`;

test.each([
  ...["0.0.1", "0.5.0", "1.0", "1.2.0", "2.0.0", "v1.0.0"].map((text) => [JSON.stringify(text)]),
  ["1", "no text"],
  ["{}", "no text"],
  [DEEP, "no text"],
])("version %.20s is incompatible", async (cniVersion, said = cniVersion) => {
  const { json } = await call({ input: `{"name":"net","type":"bucatini","cniVersion":${cniVersion}}` });
  expect(json).toEqual({
    cniVersion: "1.1.0",
    code: 1,
    msg: "incompatible CNI versions",
    details: `config is ${said}, plugin supports ${JSON.stringify(VERSIONS)}`,
  });
});

test.each([
  ['{"cniVersion":"1.1.0"}', "1.1.0"],
  ['{"cniVersion":"0.4.0"}', "0.4.0"],
  ["{}", "1.1.0"],
  ["", "1.1.0"],
])("VERSION with %s on stdin lists the versions", async (input, cniVersion) => {
  const environment = { CNI_COMMAND: "VERSION", CNI_IFNAME: "dummy", CNI_NETNS: "dummy" };
  expect(await call({ environment, input })).toEqual({
    status: 0,
    json: { cniVersion, supportedVersions: VERSIONS },
    stderr: "",
    reads: 1,
  });
});

test("VERSION with bad JSON on stdin cannot be decoded", async () => {
  const { json } = await call({ environment: { CNI_COMMAND: "VERSION" }, input: "{" });
  expect(json.code).toBe(6);
});

test.each([
  [new AppError("TARGET_GONE", "no such namespace"), 3],
  [new AppError("USAGE", "that is your own"), 4],
  [new AppError("STATE_DIR", "disk full"), 5],
  [new AppError("LOG_FILE", "disk full"), 5],
  [new AppError("NO_ADDRESS", "no interface eth9"), 7],
  [new AppError("ENGINE_FAILED", "not ready in time"), 11],
  [new AppError("TARGET_FORBIDDEN", "not yours"), 104],
  [new AppError("NO_TUN", "no /dev/net/tun"), 105],
  [new AppError("BUSY", "connected already"), 108],
])("%s has code %d and needs no stack", async (error, code) => {
  expect(await call(failing(error))).toEqual({
    status: 1,
    json: { cniVersion: "1.1.0", code, msg: error.message },
    stderr: "",
    reads: 1,
  });
});

test("errors of the configuration name the place", async () => {
  const invalid = await call(failing(new ConfigError("/mtu", "must be integer")));
  expect(invalid.json).toMatchObject({
    code: 7,
    msg: "invalid network configuration",
    details: "/mtu must be integer",
  });
  const unsupported = await call(failing(new ConfigError("/ipam", 'is not supported: {"type":"x"}', true)));
  expect(unsupported.json).toMatchObject({ code: 2, msg: "unsupported field" });
});

test.each([new TypeError("x is not a function"), new SysError("socket", 24, "EMFILE")])(
  "%s prints its stack to stderr, and only there",
  async (error) => {
    const { json, stderr, status } = await call(failing(error));
    expect(status).toBe(1);
    expect(json).toEqual({ cniVersion: "1.1.0", code: 101, msg: `internal error: ${error.message}` });
    expect(stderr).toContain("dispatch.test.ts");
  },
);
