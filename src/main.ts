/** The bucatini executable. */
import { COMMANDS } from "./commands/table.ts";
import { report } from "./commands/output.ts";
import { parseArguments, usage, UsageError } from "./config/command-line.ts";

/** Other spellings of commands. */
const ALIASES: Readonly<Record<string, string>> = {
  "--help": "help",
  "-h": "help",
  "--version": "version",
  "-V": "version",
};

async function main([word, ...args]: readonly string[]): Promise<number> {
  if (word === undefined) throw usage("there is no command");
  const name = ALIASES[word] ?? word;
  const command = COMMANDS.find((each) => each.name === name);
  if (command === undefined) throw usage(`there is no command ${word}`);
  const asksForHelp = args[0] === "--help" || args[0] === "-h";
  if (asksForHelp) return main(["help", name]);
  try {
    return await command.start(
      parseArguments(args, command.options, command.name === "run" ? "argument" : "end"),
    );
  } catch (error) {
    // Help itself is told wrong names of commands.
    throw error instanceof UsageError && name !== "help" ? new UsageError(error.what, name) : error;
  }
}

void main(process.argv.slice(2))
  .catch(report)
  .then((status) => process.exit(status));
