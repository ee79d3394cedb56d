import { expect, test } from "@jest/globals";
import { attachmentId } from "../../../src/commands/attachment.ts";
import { isEngineId } from "../../../src/config/engine-id.ts";

test("an identifier begins like the container's and fits, however long that is", () => {
  const id = attachmentId({ containerId: `default-${"0123456789abcdef".repeat(4)}`, ifname: "eth0" });
  expect(id).toMatch(/^default-0123456789abcdef-[0-9a-f]{16}$/);
  expect(isEngineId(id)).toBe(true);
  expect(isEngineId(attachmentId({ containerId: "a".repeat(1000), ifname: "@ü" }))).toBe(true);
});

test("what cannot be in an identifier is left out", () => {
  for (const [containerId, readable] of [
    ["_web+1.x", "web1.x-"],
    [".é", ""],
  ]) {
    const id = attachmentId({ containerId, ifname: "" });
    expect(id).toMatch(new RegExp(`^${readable}[0-9a-f]{16}$`));
    expect(isEngineId(id)).toBe(true);
  }
});

test("it is the same in every call and another for another attachment", () => {
  const texts = [
    { containerId: "a", ifname: "b-c" },
    { containerId: "a-b", ifname: "c" },
    { containerId: "a-b-c", ifname: "eth0" },
    { containerId: "a-b-c", ifname: "eth1" },
    { containerId: "x".repeat(64), ifname: "eth0" },
    { containerId: "x".repeat(65), ifname: "eth0" },
  ];
  expect(new Set(texts.map(attachmentId)).size).toBe(texts.length);
  expect(texts.map(attachmentId)).toEqual(texts.map(attachmentId));
});
