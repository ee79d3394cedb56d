/** `bucatini help`: the commands and their options, from the tables that parse them. */
import { type OptionSpec, usage } from "../config/command-line.ts";
import { print, table } from "./output.ts";
import type { Command } from "./table.ts";

/** Prints the list of commands, or the options of one. Throws USAGE. */
export function help(name: string | undefined, commands: readonly Command[]): number {
  if (name === undefined) {
    print("bucatini: networks for containers, without privilege\n");
    print(table(commands.map((each) => [`  ${invocation(each)}`, each.help])));
    print('\n"bucatini help COMMAND" shows the options of a command.');
    return 0;
  }
  const command = commands.find((each) => each.name === name);
  if (command === undefined) throw usage(`there is no command ${name}`);
  print(`bucatini ${invocation(command)}\n\n${command.help}`);
  if (command.options.length > 0) print(`\n${table(command.options.map(optionRow))}`);
  if (command.options.some(({ value }) => value === "SPEC")) print(`\n${PORT_SPEC}`);
  return 0;
}

const invocation = ({ name, synopsis }: Command): string => `${name} ${synopsis}`.trimEnd();

/** See "Ports" in README.md. */
const PORT_SPEC = `SPEC is one of these, or several with commas between; README.md, "Ports", has all of it:
  80, 80-89                   ports, the same on the other side
  80:8080, 80-89:8080-8089    other ports there
  80:ADDR, 80:[ADDR]/8080     an address inside (-t, -u)
  ~90                         not this port
  all, auto                   every port; those on which somebody listens on the other side
  none                        nothing
  ADDR/80, %INTERFACE/80      in front: where the host listens (-t, -u)`;

/** The words of one option, as columns. */
export function optionRow({ name, short, value, repeatable, help: text }: OptionSpec): string[] {
  const letter = short === undefined ? "" : `-${short}, `;
  const dots = repeatable === true ? "..." : "";
  return [`  ${letter}--${name}${value === undefined ? "" : ` ${value}`}${dots}`, text];
}
