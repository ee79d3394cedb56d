import { expect, test } from "@jest/globals";
import { readFileSync } from "node:fs";
import { chooseOther, whyNotRead, whyNotWritten } from "../../../src/runtime/file-failure.ts";
import { PidFile } from "../../../src/runtime/pid-file.ts";

function failure(path: string): unknown {
  try {
    return readFileSync(path);
  } catch (error) {
    return error;
  }
}

test.each([
  ["/nonexistent/file", "it does not exist", "its directory does not exist"],
  ["/etc/passwd/file", "a part of its path is no directory", "a part of its path is no directory"],
  ["/", "it is a directory", "it is a directory"],
  [`/${"x".repeat(300)}`, "ENAMETOOLONG", "ENAMETOOLONG"],
])("why %s cannot be read or written", (path, read, written) => {
  expect(whyNotRead(failure(path))).toBe(read);
  expect(whyNotWritten(failure(path))).toBe(written);
});

test("space is asked for only where it lacks", () => {
  expect(chooseOther({ code: "ENOSPC" }, "another file")).toBe("free space or choose another file");
  expect(chooseOther({ code: "EACCES" }, "another file")).toBe("choose another file");
});

test("a PID file that cannot be written is refused with the reason", () => {
  expect(() => PidFile.open("/nonexistent/pid")).toThrow(
    "cannot write the PID file /nonexistent/pid: its directory does not exist; choose another one",
  );
});
