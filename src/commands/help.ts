/** `bucatini help`: the commands and their options, from the tables that parse them. */
import { type OptionSpec, usage } from "../config/command-line.ts";
import { print, table } from "./output.ts";
import type { Command } from "./table.ts";

/** Prints the list of commands, or the options of one. Throws USAGE. */
export function help(name: string | undefined, commands: readonly Command[]): number {
  if (name === undefined) {
    print("bucatini: networks for containers, without privilege\n");
    print(table(commands.map((each) => [`  ${each.name} ${each.synopsis}`.trimEnd(), each.help])));
    print('\n"bucatini help COMMAND" shows the options of a command.');
    return 0;
  }
  const command = commands.find((each) => each.name === name);
  if (command === undefined) throw usage(`there is no command ${name}`);
  print(`bucatini ${command.name} ${command.synopsis}\n\n${command.help}`);
  if (command.options.length > 0) print(`\n${table(command.options.map(row))}`);
  return 0;
}

function row({ name, short, value, repeatable, help: text }: OptionSpec): string[] {
  const letter = short === undefined ? "" : `-${short}, `;
  const dots = repeatable === true ? "..." : "";
  return [`  ${letter}--${name}${value === undefined ? "" : ` ${value}`}${dots}`, text];
}
