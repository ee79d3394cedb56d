/**
 * The drop-in for pasta(1): how a call begins and ends. Callers ask for the version often and wait for it, so everything
 * else is loaded only when it is needed.
 */
import { VERSION } from "../config/generated/version.ts";
import { readWords } from "../pasta/getopt.ts";
import { PASTA_OPTIONS } from "../pasta/options.ts";
import { print, speakAs, tell } from "./output.ts";

/** For every failure, as pasta does it. */
const FAILURE = 1;

/** Gives the exit status. */
export async function pasta(words: readonly string[]): Promise<number> {
  speakAs("pasta");
  const read = readWords(words, PASTA_OPTIONS);
  const first = read.given.find(({ name }) => name === "version" || name === "help");
  if (first?.name === "version") {
    print(`pasta (bucatini) ${VERSION}`);
    return 0;
  }
  if (first !== undefined || read.error !== undefined) {
    const { usageText } = await import("./pasta-usage.ts");
    if (read.error === undefined) {
      print(usageText());
      return 0;
    }
    tell(`${read.error}\n${usageText()}`);
    return FAILURE;
  }
  try {
    return await (await import("./pasta-start.ts")).start(read);
  } catch (error) {
    const { describeFailure } = await import("./pasta-failure.ts");
    describeFailure(error).forEach(tell);
    return FAILURE;
  }
}
