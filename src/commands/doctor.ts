/** `bucatini doctor`: whether containers can be connected on this machine, and who would find us. */
import { type ParsedArguments, takeNoArguments } from "../config/command-line.ts";
import { callerFindings } from "../runtime/caller-findings.ts";
import { machineFindings } from "../runtime/machine-findings.ts";
import { print, table } from "./output.ts";

/** Gives the exit status: 1 when containers cannot be connected. Throws USAGE. */
export async function doctor({ values, rest }: ParsedArguments): Promise<number> {
  takeNoArguments("doctor", rest);
  const findings = [...machineFindings(), ...(await callerFindings(process.env))];
  const usable = findings.every(({ level }) => level !== "problem");
  if (values.has("json")) print(JSON.stringify({ usable, findings }, null, 2));
  else print(table(findings.map(({ level, check, text }) => [level, check, text])));
  return usable ? 0 : 1;
}
